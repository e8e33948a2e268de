# SPDX-License-Identifier: Apache-2.0

import logging

import fixtures
from oslo_db import exception as db_exc

from doctor_alarm.notifier import naming
from doctor_alarm.tests import base
from doctor_alarm.tests import dispatching


class NamingTest(base.TestCase):

    def test_few_are_all_named(self):
        self.assertEqual('1; 2', naming.several([1, 2]))
        self.assertEqual(': 1', naming.after(iter([1])))
        self.assertEqual('', naming.after([]))

    def test_of_many_the_first(self):
        self.assertEqual('0; 1; 2; 3; 4; and 95 more',
                         naming.several(range(100)))


class WarningTest(dispatching.DispatcherTests, base.TestCase):
    """What an operator needs to find the alarm of a line of the log."""

    def setUp(self):
        super().setUp()
        self.logged = self.useFixture(
            fixtures.FakeLogger(level=logging.WARNING))

    def expect_named(self, line):
        line, = [text for text in self.logged.output.splitlines()
                 if text.startswith(line)]
        named = [row for row in self.outbox.deliveries()
                 if 'delivery %s of alarm %s, message %s' % (
                     row.id, row.alarm_id, row.message_id) in line]
        self.assertEqual(5, len(named))
        self.assertIn('and 3 more', line)

    def fire_together(self):
        """Eight outcomes that are committed together."""
        hosts = ['r%d' % i for i in range(8)]
        for host in hosts:
            self.plugin.hold(host)
        given = self.a_dispatcher()
        given.wake(self.outbox.fire(*map(self.lane, hosts)))
        self.wait_until(lambda: self.plugin.running == 8)
        return given

    def fail_with(self, error, times):
        errors = [error] * times
        from_ledger = self.given._lanes._ledger
        work = from_ledger._commit

        def failing(steps):
            if errors and len(steps) == 8:
                raise errors.pop()
            return work(steps)

        from_ledger._commit = failing
        for i in range(8):
            self.plugin.release('r%d' % i)

    def test_the_outcome_can_not_be_stored(self):
        self.given = self.fire_together()
        self.patch_some()
        self.fail_with(db_exc.DBDeadlock(), 1000)
        self.given._lanes._ledger.stopping = lambda: None
        self.given._lanes._ledger._give_up_at = 0.0
        self.wait_until(lambda: 'Could not store' in self.logged.output)

        self.expect_named('Could not store the outcome of 8 lanes: ')

    def test_the_database_is_away(self):
        self.given = self.fire_together()
        self.patch_some()
        self.fail_with(db_exc.DBConnectionError(), 2)
        self.wait_idle()

        self.expect_named('The database does not take the commit')

    def patch_some(self):
        """Let commits wait until all eight outcomes are there."""
        committing = self.given._lanes._committing
        add = committing.add

        def collect(step):
            committing._steps.append(step)
            if len(committing._steps) == 8:
                committing.add = add
                committing._to_commit.set()

        committing.add = collect
