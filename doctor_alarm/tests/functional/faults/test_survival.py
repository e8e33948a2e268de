# SPDX-License-Identifier: Apache-2.0
"""Each guarantee broken on purpose: nothing is lost, the order is kept."""

import threading
import time

from doctor_alarm.tests.functional import scenario

SERVERS = 50
#: Notifications of a burst: 20 for each server, error and active in turn.
BURST = 1000
STATES = ('alarm', 'ok') * (BURST // SERVERS // 2)


class Survival(scenario.Story):
    """Fifty servers that fail and recover, and what can go wrong."""

    def setUp(self):
        super().setUp()
        self.alarms = {}
        for n in range(SERVERS):
            vm = 'vm%d' % n
            self.alarms[vm] = self.given_alarm(vm)

    def burst(self):
        """Let all servers fail and recover; as quick as the bus takes it."""
        for turn in range(BURST // SERVERS):
            for vm in self.alarms:
                self.when(vm, ('error', 'active')[turn % 2])

    def while_bursting(self, fault):
        """Cause a fault in the middle of a burst."""
        burst = threading.Thread(target=self.burst)
        burst.start()
        self.wait_until(lambda: len(self.receiver.bodies) > BURST // 10, 60)
        fault()
        burst.join(120)
        self.assertFalse(burst.is_alive())

    def expect_everything(self):
        """Every server's states, once each, in the order of the faults."""
        def missing():
            return BURST - len(self.receiver.ids())

        self.wait_until(lambda: not missing(), 120,
                        lambda: '%d of %d missing' % (missing(), BURST))
        for alarm in self.alarms.values():
            self.expect(alarm, *STATES)


class TestSurvival(Survival):

    def kill_and_restart(self, name):
        def fault():
            for _ in range(3):
                self.cloud.kill(name)
                goal = len(self.receiver.bodies) + 20
                self.cloud.start(name)
                self.wait_until(
                    lambda goal=goal: len(self.receiver.bodies) > goal
                    or len(self.receiver.ids()) == BURST, 60)
        return fault

    def test_kill_of_the_evaluator(self):
        self.while_bursting(self.kill_and_restart('evaluator'))
        self.expect_everything()

    def test_kill_of_the_notifier(self):
        self.while_bursting(self.kill_and_restart('notifier'))
        self.expect_everything()

    def test_kill_of_the_agent(self):
        self.while_bursting(self.kill_and_restart('agent'))
        self.expect_everything()

    def away(self, service, seconds):
        """Stop a service for a while. The time is the fault itself."""
        service.stop()
        time.sleep(seconds)
        service.start()

    def test_database_away_for_10_seconds(self):
        self.while_bursting(lambda: self.away(self.cloud.database, 10))
        self.expect_everything()

    def test_database_killed(self):
        def fault():
            self.cloud.database.kill()
            self.cloud.database.start()
        self.while_bursting(fault)
        self.expect_everything()

    def test_broker_restarted_under_every_part(self):
        self.burst()
        self.expect_everything()
        self.cloud.bus.stop()
        self.cloud.bus.start()
        self.wait_until(self._told_again, 120)

    def _told_again(self):
        """Whether a new fault passes all parts after the restart."""
        before = len(self.receiver.bodies)
        self.when('vm0', 'error')
        self.when('vm0', 'active')
        try:
            self.wait_until(
                lambda: len(self.receiver.bodies) >= before + 2, 10)
        except self.failureException:
            return False
        return True

    def test_receiver_refuses_for_10_seconds(self):
        self.while_bursting(lambda: self.away(self.receiver, 10))
        self.expect_everything()

    def test_receiver_answers_503_then_recovers(self):
        def fault():
            self.receiver.status = 503
            self.wait_until(lambda: self.receiver.refused > 20, 30)
            self.receiver.status = 200
        self.while_bursting(fault)
        self.expect_everything()

    def test_receiver_hangs_then_recovers(self):
        def fault():
            self.receiver.hang()
            time.sleep(5)       # longer than [notifier] timeout
            self.receiver.release()
        self.while_bursting(fault)
        self.expect_everything()


class TestDurableBuses(Survival):
    """The bus of nova has quorum queues too, so that it survives as well."""

    query = '?rabbit_quorum_queue=true'
    extra = '[agent]\nmessaging_urls = %(bus)s' + query

    def test_broker_restarted_with_messages_on_every_hop(self):
        # given: messages wait for the agent as well as for the evaluator
        self.cloud.kill('evaluator')
        self.burst()
        self.wait_until(
            lambda: self.cloud.waiting('doctor_alarm.event.sample') > 0)
        self.cloud.kill('agent')

        # when: the broker restarts, once while nobody works on them ...
        self.cloud.bus.stop()
        self.cloud.bus.start()
        self.cloud.start('agent')
        self.cloud.start('evaluator')
        self.wait_until(lambda: len(self.receiver.bodies) > BURST // 10, 60)
        # ... and once while everybody does
        self.cloud.bus.stop()
        self.cloud.bus.start()

        self.expect_everything()
