# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st

from doctor_alarm.monitors import guests
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing
from doctor_alarm.tests.unit.monitors import recorder

VM = '6695eb01-f6a4-8304-79aa-97f2502e193f'
SUBJECT = 'vm/' + VM
#: What libvirt tells of the end of a domain, as (event, detail).
SHUTDOWN, DESTROYED, CRASHED, MIGRATED, SAVED, FAILED, SNAPSHOT = (
    (guests.STOPPED, detail) for detail in range(7))
PANICKED = (guests.CRASHED, 0)
STARTED = (guests.STARTED, 0)
RESUMED = (guests.RESUMED, 0)
UNDEFINED = (guests.UNDEFINED, 0)


class GuestsTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.reporter = recorder.Recorder()
        self.now = 0.0
        self.given()

    def given(self, faults=('crashed', 'failed'), hold_down=10.0):
        self.guests = guests.Guests(
            self.reporter, 'compute-1', faults, hold_down)

    def happen(self, *events):
        for event, detail in events:
            self.guests.lifecycle(VM, event, detail, self.now)
            self.now += 1.0
        return self.reporter.take()

    def types(self):
        found = [finding.type for finding in self.reporter.findings]
        self.reporter.take()
        return found

    def test_a_server_crashes_and_is_started(self):
        for fault in (CRASHED, FAILED, PANICKED):
            self.assertEqual([(SUBJECT, 'down')], self.happen(fault))
            self.assertEqual([(SUBJECT, 'up')], self.happen(STARTED))
            self.now += 100

    def test_what_an_event_says(self):
        self.guests.lifecycle(VM, *FAILED, self.now)
        [finding] = self.reporter.findings

        self.assertEqual('compute.vm.down', finding.type)
        self.assertEqual(
            {'hostname': 'compute-1', 'instance_id': VM, 'reason': 'failed'},
            finding.details)
        self.assertEqual('critical', finding.severity)
        self.assertEqual('the server failed', finding.cause)

    def test_what_somebody_wanted_is_no_fault(self):
        self.assertEqual([], self.happen(
            STARTED, SHUTDOWN, STARTED, DESTROYED, STARTED, MIGRATED,
            STARTED, SAVED, STARTED, SNAPSHOT, RESUMED, UNDEFINED))

    def test_unless_it_was_asked_for(self):
        self.given(faults=['shutdown'])
        self.assertEqual([], self.happen(DESTROYED, CRASHED))
        self.assertEqual([(SUBJECT, 'down'), (SUBJECT, 'up')],
                         self.happen(SHUTDOWN, STARTED))

    def test_a_crash_loop_is_damped(self):
        told = self.happen(*[CRASHED, STARTED] * 20)
        self.assertEqual([(SUBJECT, 'down'), (SUBJECT, 'up'),
                          (SUBJECT, 'down')], told)

        # it runs at last
        for _ in range(9):
            self.guests.tick(self.now)
            self.now += 1
        self.assertEqual([], self.reporter.take())
        self.now += 10
        self.guests.tick(self.now)
        self.assertEqual([(SUBJECT, 'up')], self.reporter.take())

    def test_one_that_is_stopped_while_it_is_held_is_not_up(self):
        self.happen(CRASHED, STARTED, CRASHED, STARTED, SHUTDOWN)
        self.now += 1000
        self.guests.tick(self.now)

        self.assertEqual([], self.reporter.take())

    def test_a_watchdog(self):
        for number, name in enumerate((
                'none', 'pause', 'reset', 'poweroff', 'shutdown', 'debug',
                'inject-nmi', '7')):
            self.guests.watchdog(VM, number, self.now)
            [finding] = self.reporter.findings
            self.assertEqual(
                ('compute.vm.watchdog', 'error', name),
                (finding.type, finding.status, finding.details['action']))
            self.assertIn('watchdog', finding.cause)
            self.reporter.take()

    def test_a_disk_that_fails(self):
        self.guests.io_error(VM, 'virtio-disk0', 1, 'enospc', self.now)

        [finding] = self.reporter.findings
        self.assertEqual('compute.vm.io_error', finding.type)
        self.assertEqual({
            'hostname': 'compute-1', 'instance_id': VM, 'action': 'pause',
            'device': 'virtio-disk0', 'reason': 'enospc'}, finding.details)
        self.assertEqual('I/O error of virtio-disk0: enospc', finding.cause)
        self.reporter.take()

        # there is room again, somebody lets it go on
        self.assertEqual([(SUBJECT, 'up')], self.happen(RESUMED))
        self.assertEqual([], self.happen(RESUMED))

    def test_the_same_again_and_again_is_told_once(self):
        for _ in range(100):
            self.guests.watchdog(VM, 0, self.now)
            self.guests.io_error(VM, 'a', 2, 'eio', self.now)
            self.guests.io_error(VM, 'b', 2, 'eio', self.now)
            self.now += 0.25

        self.assertEqual(
            ['compute.vm.watchdog', 'compute.vm.io_error',
             'compute.vm.io_error'] * 3, self.types())

    def test_what_is_found_on_a_new_connection(self):
        running, shutoff, crashed = 1, 5, 6
        for state, reason, told in (
                (running, 1, []), (shutoff, 1, []), (shutoff, 2, []),
                (shutoff, 0, []), (3, 5, []),
                (shutoff, 3, [(SUBJECT, 'down')]), (shutoff, 3, []),
                (crashed, 0, []), (running, 1, [(SUBJECT, 'up')]),
                (running, 1, [])):
            self.guests.found(VM, state, reason, self.now)
            self.assertEqual(told, self.reporter.take(), (state, reason))

    def test_what_was_reported_by_the_process_before(self):
        self.reporter.known.add(SUBJECT)
        self.guests.found(VM, guests.SHUTOFF, 3, self.now)
        self.assertEqual([], self.reporter.take())
        self.assertEqual([(SUBJECT, 'up')], self.happen(STARTED))

    def test_one_that_is_deleted_is_forgotten(self):
        self.happen(CRASHED, UNDEFINED)
        self.assertEqual([SUBJECT], self.reporter.forgotten)
        self.happen(CRASHED)
        self.guests.only(['another'])
        self.assertEqual([SUBJECT] * 2, self.reporter.forgotten)
        self.assertEqual({}, self.guests._guests)

    @fuzzing.settings
    @hypothesis.given(st.lists(st.tuples(
        st.integers(-1, 10).filter(lambda event: event != UNDEFINED[0]),
        st.integers(-1, 10))))
    def test_whatever_libvirt_says(self, events):
        self.given()
        told = self.happen(*events)

        states = [status for _subject, status in told]
        self.assertEqual(['down', 'up'] * (len(states) // 2)
                         + ['down'] * (len(states) % 2), states)
