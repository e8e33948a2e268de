# SPDX-License-Identifier: Apache-2.0

from doctor_alarm.inspector import failure_policy
from doctor_alarm.tests.unit.agent import test_definitions
from doctor_alarm.tests.unit.inspector import base

GOOD = '''
    - event_type: [a.*, b]
      query: [{field: n, op: gt, value: 3, type: integer}]
      root_cause: it broke
      affected: {servers_of: hostname}
      state: error
'''


class PolicyTest(test_definitions.FileCase):

    def find(self, *args, **traits):
        policy = failure_policy.read(self.write(GOOD + '''
    - event_type: '*'
      root_cause: other
      affected: {server: instance_id}
      state: actual
'''))
        return policy.find(base.event(*args, **traits)).root_cause

    def test_the_first_that_fits_counts(self):
        self.assertEqual('it broke', self.find('a.x', n=4))
        self.assertEqual('it broke', self.find('b', n=4))
        self.assertEqual('other', self.find('b', n=3))
        self.assertEqual('other', self.find('c', n=4))

    def test_concerns(self):
        policy = failure_policy.read(self.write(GOOD))

        self.assertEqual(
            [True, True, False, False],
            [policy.concerns(kind) for kind in ('a.x', 'b', 'b.x', '')])

    def test_an_empty_one(self):
        policy = failure_policy.read(self.write('[]'))

        self.assertFalse(policy.concerns('compute.host.down'))
        self.assertIsNone(policy.find(base.event()))


class ErrorTest(test_definitions.FileCase):

    read = staticmethod(failure_policy.read)

    def refused(self, line, reason, old, new):
        text = GOOD.lstrip('\n')
        self.assertIn(old, text)
        self.assertRefused(line - 1, reason, text.replace(old, new))

    def test_no_list(self):
        self.assertRefused(1, 'list of entries', 'a: b')
        self.assertRefused(1, 'an entry has', '- a')

    def test_unknown_key(self):
        self.refused(7, 'unknown key', 'state: error',
                     'state: error\n      colour: red')

    def test_missing(self):
        for key in ('event_type', 'root_cause', 'state'):
            self.refused(
                2, '%s is required' % key, key + ':', 'unmonitored:')

    def test_affected(self):
        self.refused(5, 'needs one of servers_of', 'servers_of: hostname', '')
        self.refused(5, 'needs one of', 'servers_of: hostname',
                     'servers_of: hostname, server: x')
        self.refused(5, 'unknown key', 'servers_of:', 'hosts:')
        self.refused(5, 'must be a mapping', '{servers_of: hostname}', 'x')
        self.refused(5, 'field must be one of id, name',
                     'hostname}', 'hostname, where: [{field: x, value: y}]}')

    def test_query(self):
        self.refused(3, 'operator', 'op: gt', 'op: like')
        self.refused(3, 'type', 'integer', 'number')
        self.refused(3, 'value', '3', 'x')
        self.refused(3, 'value is required', ', value: 3', '')
        self.refused(3, 'unknown key', 'op: gt', 'operator: gt')
        self.refused(3, 'a condition has', '[{', '[x, {')

    def test_flags(self):
        self.refused(7, 'show_host must be true or false', 'state: error\n',
                     'state: error\n      show_host: perhaps\n')
        self.refused(7, 'unmonitored must be one of skip, include',
                     'state: error\n',
                     'state: error\n      unmonitored: maybe\n')

    def test_actions(self):
        for actions, reason in (
                ('[reboot]', 'actions must be of force_down, reset_state'),
                ('reset', 'actions must be of'),
                ('[]', 'a list that is not empty')):
            self.refused(7, reason, 'state: error\n',
                         'state: error\n      actions: %s\n' % actions)
        self.refused(6, 'reset_state needs one of the states error, active',
                     'state: error\n',
                     'actions: reset_state\n      state: stopped\n')
        self.refused(7, 'force_down needs servers_of',
                     '{servers_of: hostname}\n      state: error\n',
                     '{server: id}\n      state: error\n'
                     '      actions: force_down\n')
        self.refused(7, 'fencing must be true or false', 'state: error\n',
                     'state: error\n      fencing: demanded\n')
