# SPDX-License-Identifier: Apache-2.0
"""What nova and neutron are told, over real HTTP."""

import dataclasses
import datetime
import threading

import fixtures
from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import event as event_mod
from doctor_alarm.inspector import action as action_mod
from doctor_alarm.inspector import cloud
from doctor_alarm.inspector import ledger
from doctor_alarm.inspector import worker
from doctor_alarm.tests import base
from doctor_alarm.tests import faults
from doctor_alarm.tests import toldcloud

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


FORCE_DOWN = 'PUT', '/compute/v2.1/os-services/service-h1'
RESET = 'POST', '/compute/v2.1/servers/vm1/action'


class Incoming:

    def __init__(self, *events):
        self.message = {'payload': [event.to_wire() for event in events]}
        self.acknowledged = threading.Event()
        self.lost = False

    def acknowledge(self):
        self.acknowledged.set()


class WorkerTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.mock = self.useFixture(toldcloud.ToldCloud())
        self.mock.forced = {'h1': False}
        self.mock.servers = {'vm1': ['h1', 'active'], 'vm2': ['h1', 'active']}
        self.conf = cfg.ConfigOpts()
        project_conf.register(self.conf)
        self.conf([], default_config_files=[], default_config_dirs=[])
        for name, value in {**self.mock.options(), 'action_concurrency': 4,
                            'action_retry_max': 0.1}.items():
            self.conf.set_override(name, value, 'inspector')
        self.outcomes = []
        self.stopping = threading.Event()
        self.worker = self.start()

    def start(self):
        made = worker.Worker(self.conf, cloud.Cloud(self.conf), self.publish,
                             self.stopping)
        made.start()
        self.addCleanup(made.stop, 60)
        self.addCleanup(self.stopping.set)
        return made

    def publish(self, events):
        self.outcomes += events
        return True

    def host(self, status='down', seconds=0):
        return self.event('h1', seconds, 'force_down', host='h1',
                          status=status)

    def server(self, server='vm1', seconds=0, actions='reset_state',
               **traits):
        return self.event(server, seconds, actions, **{
            'instance_id': server, 'host': 'h1', 'state': 'error',
            'status': 'down', **traits})

    def event(self, resource, seconds, actions, **traits):
        return event_mod.Event(
            message_id='%s-%s-%s' % (resource, seconds, actions),
            event_type='e', generated=NOW + datetime.timedelta(
                seconds=seconds), traits={
                'resource_id': resource, 'actions': actions,
                'correlation_id': 'c1', **traits})

    def work(self, *events):
        """Let events be worked off; return what came of them."""
        incoming = Incoming(*events)
        self.worker.submit(incoming)
        self.assertTrue(incoming.acknowledged.wait(60))
        self.assertEqual([], self.mock.wrong)
        found = {(event.traits['action'], event.resource_id):
                 event.traits['outcome'] for event in self.outcomes}
        self.outcomes.clear()
        return found

    def test_down(self):
        self.assertEqual({
            ('force_down', 'h1'): 'done', ('reset_state', 'vm1'): 'done',
            ('reset_state', 'vm2'): 'done',
        }, self.work(self.host(), self.server('vm1'), self.server('vm2')))

        self.assertEqual({'h1': True}, self.mock.forced)
        self.assertEqual({'vm1': ['h1', 'error'], 'vm2': ['h1', 'error']},
                         self.mock.servers)
        self.assertEqual(3, len(self.mock.told))

    def test_when_it_was_so(self):
        before, seen = event_mod.now_us(), faults.observed()
        incoming = Incoming(self.host(), self.server('vm1'), self.server(
            'vm9'), self.server('vm2', actions='data_plane_status'))
        self.worker.submit(incoming)
        self.assertTrue(incoming.acknowledged.wait(60))

        for event in self.outcomes:
            self.assertTrue(
                before <= event.transformed_at <= event_mod.now_us())
        # then: vm9 is gone, and of ports there is no stage
        self.assertEqual(
            {'marked_down': 1, 'set_error': 1},
            {stage: count for stage, (count, _) in faults.observed(
                since=seen).items()})

    def test_again_it_changes_nothing(self):
        self.work(self.host(), self.server())
        self.mock.told.clear()

        self.assertEqual({
            ('force_down', 'h1'): 'unchanged',
            ('reset_state', 'vm1'): 'unchanged'},
            self.work(self.host(), self.server()))
        self.assertEqual([], self.mock.told)

    def test_up(self):
        self.mock.forced['h1'] = True

        self.assertEqual({('force_down', 'h1'): 'done'},
                         self.work(self.host('up')))
        self.assertEqual({'h1': False}, self.mock.forced)

    def test_nova_refuses_until_the_compute_was_restarted(self):
        self.mock.forced['h1'] = True
        path = '/compute/v2.1/os-services/service-h1'
        self.mock.failures['PUT', path] = [400, 400]

        self.assertEqual({('force_down', 'h1'): 'done'},
                         self.work(self.host('up')))

    def test_reset_to_active_leaves_stopped_servers_alone(self):
        self.mock.servers = {'vm1': ['h1', 'error'], 'vm2': ['h1', 'stopped']}

        self.assertEqual({
            ('reset_state', 'vm1'): 'done',
            ('reset_state', 'vm2'): 'unchanged'}, self.work(*(
                self.server(vm, state='active', status='up')
                for vm in ('vm1', 'vm2'))))

    def test_ports(self):
        self.mock.ports = {'port1': ['vm1', None], 'port2': ['vm1', 'ACTIVE'],
                           'port3': ['vm2', 'ACTIVE']}

        self.work(self.server(actions='data_plane_status'))

        self.assertEqual(
            {'port1': 'DOWN', 'port2': 'DOWN', 'port3': 'ACTIVE'},
            {port: status for port, (_, status) in self.mock.ports.items()})

    def test_what_is_not_there(self):
        self.mock.servers = {'vm2': ['h2', 'active']}
        self.mock.forced = {'h2': False}

        self.assertEqual({
            ('force_down', 'h1'): 'unknown', ('reset_state', 'vm1'): 'gone',
            ('reset_state', 'vm2'): 'moved',
        }, self.work(self.host(), self.server('vm1'), self.server('vm2')))
        self.assertEqual([], self.mock.told)

    def test_what_may_pass_is_tried_again(self):
        path = '/compute/v2.1/servers/vm1/action'
        self.mock.failures['POST', path] = [409, 500, 503]

        self.assertEqual({('reset_state', 'vm1'): 'done'},
                         self.work(self.server()))

    def test_what_does_not_is_reported(self):
        path = '/compute/v2.1/servers/vm1/action'
        self.mock.failures['POST', path] = [403]

        self.assertEqual({('reset_state', 'vm1'): 'failed'},
                         self.work(self.server()))

    def test_it_gives_up(self):
        self.conf.set_override('action_timeout', 1.0, 'inspector')
        self.worker = self.start()
        path = '/compute/v2.1/servers/vm1/action'
        self.mock.failures['POST', path] = 1000 * [500]

        self.assertEqual({('reset_state', 'vm1'): 'failed'},
                         self.work(self.server()))

    def test_the_newer_one_counts(self):
        self.mock.forced['h1'] = True

        self.assertEqual(
            {('force_down', 'h1'): 'superseded'},
            self.work(self.host('up', 5), self.host('down', 0)))
        self.assertEqual({'h1': False}, self.mock.forced)
        self.assertEqual(1, len(self.mock.told))

    def test_of_equal_times_the_later_one_counts(self):
        first, second = self.host('down'), self.host('up')
        second = dataclasses.replace(second, message_id='second')
        self.mock.forced['h1'] = True

        self.work(first, second)

        self.assertEqual({'h1': False}, self.mock.forced)

    def given_failing(self, what, *events):
        """Submit events whose call fails; return the message."""
        self.mock.failures[what] = failures = 10 ** 6 * [503]
        incoming = Incoming(*events)
        self.worker.submit(incoming)
        self.wait_until(lambda: len(failures) < 10 ** 6)
        return incoming

    def test_the_newer_one_ends_the_wait_of_the_older_one(self):
        self.conf.set_override('action_retry_max', 500.0, 'inspector')
        self.useFixture(fixtures.MockPatchObject(
            ledger, 'FIRST_PAUSE', 500.0))
        down = self.given_failing(FORCE_DOWN, self.host('down'))
        self.mock.failures.clear()

        up = Incoming(self.host('up', 5))
        self.worker.submit(up)

        self.assertTrue(up.acknowledged.wait(60))
        self.assertTrue(down.acknowledged.is_set())
        self.assertEqual([('down', 'superseded'), ('up', 'unchanged')], [
            (event.traits['status'], event.traits['outcome'])
            for event in sorted(self.outcomes,
                                key=lambda event: event.generated)])

    def test_that_it_is_over_ends_what_only_the_fault_asks_for(self):
        reset = self.given_failing(RESET, self.server(
            root_cause='host failure: h1'))

        # given: a fault of something else is over
        over = Incoming(self.server(
            seconds=5, actions='', status='up',
            root_cause='port failure: p1'))
        self.worker.submit(over)
        self.assertTrue(over.acknowledged.wait(60))
        self.assertFalse(reset.acknowledged.is_set())
        # when
        self.worker.submit(Incoming(self.server(
            seconds=5, actions='', status='up',
            root_cause='host failure: h1')))

        self.assertTrue(reset.acknowledged.wait(60))
        self.assertEqual(['superseded'], [
            event.traits['outcome'] for event in self.outcomes])
        self.assertEqual([], self.mock.told)

    def test_another_action_of_the_same_server_goes_on(self):
        reset = self.given_failing(RESET, self.server())
        self.work(self.server(seconds=5, actions='data_plane_status'))
        self.mock.failures.clear()

        self.assertTrue(reset.acknowledged.wait(60))
        self.assertEqual(['error'], [
            state for _host, state in [self.mock.servers['vm1']]])

    def test_a_newer_one_is_kept_as_long_as_the_older_one(self):
        # given: a message of two, one of which does not get done
        self.mock.forced['h1'] = True
        first = self.given_failing(RESET, self.host('down'), self.server())
        # when: all that the second one says is done
        second = Incoming(self.host('up', 5))
        self.worker.submit(second)
        self.wait_until(lambda: self.mock.forced == {'h1': False})
        self.wait_until(lambda: len(self.outcomes) == 2)

        # then: nobody who takes over would get the first one alone
        self.assertFalse(second.acknowledged.is_set())
        self.mock.failures.clear()
        self.assertTrue(second.acknowledged.wait(60))
        self.assertTrue(first.acknowledged.is_set())

    def test_a_late_call_does_not_undo_the_newer_one(self):
        # given: a call that hangs in nova
        self.mock.released.clear()
        down = Incoming(self.host('down'))
        self.worker.submit(down)
        self.wait_until(lambda: self.mock.under_way)
        # when
        up = Incoming(self.host('up', 5))
        self.worker.submit(up)
        self.mock.released.set()

        self.assertTrue(up.acknowledged.wait(60))
        self.assertEqual({'h1': False}, self.mock.forced)

    def test_what_somebody_else_did_too_late_is_done_again(self):
        self.work(self.host('up', 5))
        # given: one that had lost the broker forces it down nevertheless
        self.mock.forced['h1'] = True
        action, = action_mod.of(self.host('down'))

        self.assertEqual({}, self.work(
            action.outcome(cloud.Outcome.DONE, '', 1)))
        self.assertEqual({'h1': False}, self.mock.forced)

    def test_nothing_is_done_again_for_what_is_not_older(self):
        action, = action_mod.of(self.host('down', 9))
        self.work(self.host('up', 5))
        self.mock.forced['h1'] = True

        self.work(action.outcome(cloud.Outcome.DONE, '', 1))

        self.assertEqual({'h1': True}, self.mock.forced)

    def test_what_is_remembered_is_bounded(self):
        self.useFixture(fixtures.MockPatchObject(ledger, 'KEPT', 3))
        book = ledger.Ledger()
        for number in range(9):
            book.enter(Incoming(self.server('vm%d' % number)), 60)
        self.assertEqual(
            [('reset_state', 'vm%d' % number) for number in (6, 7, 8)],
            list(book._newest))
        # then: nothing that is old is kept either
        self.useFixture(fixtures.MockPatchObject(ledger, 'MEMORY', 0.0))
        book.enter(Incoming(self.event('vm1', 0, '')), 60)
        book.enter(Incoming(self.server('vm9')), 60)
        self.assertEqual([], list(book._newest))

    def test_what_the_broker_gives_to_others_is_left_to_them(self):
        reset = self.given_failing(RESET, self.server())

        reset.lost = True

        self.assertTrue(reset.acknowledged.wait(60))
        self.mock.failures.clear()
        self.assertEqual({('force_down', 'h1'): 'done'},
                         self.work(self.host()))
        self.assertEqual({'vm1': ['h1', 'active'], 'vm2': ['h1', 'active']},
                         self.mock.servers)

    def test_what_waits_keeps_no_other_from_its_turn(self):
        self.conf.set_override('action_concurrency', 1, 'inspector')
        self.worker = self.start()
        self.given_failing(RESET, self.server())

        self.assertEqual({('force_down', 'h1'): 'done'},
                         self.work(self.host()))

    def test_fencing(self):
        self.assertEqual(
            {('reset_state', 'vm1'): 'not fenced'},
            self.work(self.server(fencing='missing')))
        self.assertEqual([], self.mock.told)

    def test_no_more_at_a_time_than_configured(self):
        self.mock.servers = {
            'vm%d' % n: ['h1', 'active'] for n in range(20)}
        self.mock.released.clear()
        incoming = Incoming(*(self.server(vm) for vm in self.mock.servers))
        self.worker.submit(incoming)
        self.wait_until(lambda: self.mock.under_way)
        self.mock.released.set()

        self.assertTrue(incoming.acknowledged.wait(60))
        self.assertLessEqual(self.mock.most, 4)
        self.assertEqual(20, len(self.mock.told))

    def test_at_the_end_the_broker_keeps_it(self):
        path = '/compute/v2.1/servers/vm1/action'
        self.mock.failures['POST', path] = 1000 * [500]
        incoming = Incoming(self.server())
        self.worker.submit(incoming)
        self.wait_until(lambda: len(self.mock.failures['POST', path]) < 1000)

        self.stopping.set()
        self.worker.stop(60)

        self.assertFalse(incoming.acknowledged.is_set())
        self.assertEqual([], self.outcomes)

    def test_nothing_to_do(self):
        incoming = Incoming(self.event('vm1', 0, ''))

        self.worker.submit(incoming)

        self.assertTrue(incoming.acknowledged.is_set())
