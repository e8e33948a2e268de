# SPDX-License-Identifier: Apache-2.0
"""Repetitions without ids of their own, within a window of time."""

import concurrent.futures
import datetime
import logging
import threading
import uuid

import fixtures
from oslo_db import exception as db_exc
import sqlalchemy as sa

from doctor_alarm.api import window
from doctor_alarm.db import models
from doctor_alarm import event as event_mod
from doctor_alarm.objects import posted_event
from doctor_alarm.objects import purge
from doctor_alarm.tests import base
from doctor_alarm.tests import storage
from doctor_alarm.tests.unit.api import base as api_base

SECOND = 1000000


def an_event(kind='compute.host.down', hostname='h1', status='down',
             owner='service', trusted=True, **more):
    now = datetime.datetime.now(datetime.UTC)
    details = {'hostname': hostname, 'status': status, **more}
    return event_mod.Event(
        message_id=str(uuid.uuid4()), event_type=kind, generated=now,
        traits={name: value for name, value in details.items()
                if value is not None},
        project_id=owner, trusted=trusted)


class Windowed:
    """Tests on any database."""

    def setUp(self):
        super().setUp()
        self.db = self.useFixture(storage.Storage(self.url())).db
        self.now = self.db.now()

    def url(self):
        """Return the URL of the database; None: SQLite."""

    def ids(self, *events):
        """Return the ids that events get now in a window of ten seconds."""
        with self.db.writer() as conn:
            found = posted_event.share_ids(
                conn, self.db.dialect, events, self.now, 10 * SECOND)
        return [event.message_id for event in found]

    def test_a_repetition_gets_the_id_of_the_first(self):
        first, second = an_event(), an_event(cause='another')

        self.assertEqual([first.message_id], self.ids(first))
        self.now += 9 * SECOND
        self.assertEqual([first.message_id], self.ids(second))
        self.assertEqual([first.message_id] * 2,
                         self.ids(an_event(), an_event()))

    def test_the_window_begins_with_the_first(self):
        first, second, third = an_event(), an_event(), an_event()
        self.ids(first)
        self.now += 9 * SECOND
        self.ids(second)
        self.now += 1 * SECOND

        self.assertEqual([third.message_id], self.ids(third))
        self.now += 9 * SECOND
        self.assertEqual([third.message_id], self.ids(an_event()))

    def test_of_others(self):
        self.ids(an_event())
        for change in ({'kind': 'other'}, {'hostname': 'h2'},
                       {'owner': None}, {'owner': 'p1'},
                       {'trusted': False}):
            other = an_event(**change)
            self.assertEqual([other.message_id], self.ids(other), change)

    def test_another_status_is_news_and_makes_news(self):
        down, up = an_event(), an_event('compute.host.up', status='up')
        again = an_event()

        self.assertEqual(
            [down.message_id, up.message_id, again.message_id],
            self.ids(down, up, again))
        self.assertEqual([again.message_id], self.ids(an_event()))

    def test_two_faults_of_a_host_at_a_time(self):
        one, two = an_event(), an_event('compute.host.nic.error')

        self.assertEqual(
            [one.message_id, two.message_id] * 2,
            self.ids(one, two, an_event(), an_event(
                'compute.host.nic.error')))

    def test_what_is_absent_is_not_the_same(self):
        for name in ('hostname', 'status'):
            for value in (None, ''):
                events = [an_event(**{name: value}) for _ in range(2)]
                self.assertEqual([event.message_id for event in events],
                                 self.ids(*events))
        self.assertEqual(0, self.rows())

    def test_it_is_purged(self):
        self.now -= 31 * purge.DAY
        self.ids(an_event())
        self.now += 31 * purge.DAY
        self.ids(an_event(hostname='h2'))

        self.assertEqual(1, purge.purge(self.db, 30)['posted_event'])
        self.assertEqual(1, self.rows())

    def rows(self):
        with self.db.reader() as conn:
            return conn.execute(sa.select(sa.func.count()).select_from(
                models.posted_event)).scalar_one()

    def test_several_workers_at_once(self):
        hosts = ['h%d' % number for number in range(5)]
        together = threading.Barrier(4)

        def post(number):
            # Each in an order of its own.
            mine = hosts[number:] + hosts[:number]
            together.wait()
            found = window.Window(self.db, 60.0).apply(
                [an_event(hostname=name) for name in mine])
            return {event.traits['hostname']: event.message_id
                    for event in found}

        with concurrent.futures.ThreadPoolExecutor(4) as workers:
            found = list(workers.map(post, range(4)))

        self.assertEqual([found[0]] * 4, found)


class WindowTest(Windowed, base.TestCase):

    def test_none_by_default(self):
        events = [an_event(), an_event()]
        self.assertIs(events, window.Window(self.db, 0.0).apply(events))
        self.assertEqual(0, self.rows())

    def test_a_database_that_is_away(self):
        found = window.Window(self.db, 60.0)
        events = [an_event(), an_event()]
        for outage in (1, 2):
            with fixtures.MockPatchObject(
                    self.db, 'now', side_effect=db_exc.DBConnectionError
                    ), fixtures.FakeLogger(level=logging.INFO) as log:
                for _time in range(3):
                    self.assertEqual(events, found.apply(events))
            # Told once, however many are posted meanwhile.
            self.assertEqual(1, log.output.count('not told from news'), outage)
            self.assertEqual(1, len({
                event.message_id for event in found.apply(events)}))

    def test_a_deadlock_is_tried_again_and_no_more(self):
        real, failures = posted_event.share_ids, []

        def share_ids(*args):
            if failures:
                raise failures.pop()
            return real(*args)

        self.useFixture(fixtures.MonkeyPatch(
            'doctor_alarm.objects.posted_event.share_ids', share_ids))
        for count, expected in ((window.ATTEMPTS - 1, 1),
                                (window.ATTEMPTS, 2)):
            events = [an_event(hostname=str(count)) for _ in range(2)]
            failures[:] = [db_exc.DBDeadlock()] * count
            found = window.Window(self.db, 60.0).apply(events)
            self.assertEqual(
                expected, len({event.message_id for event in found}))


class ConfiguredTest(api_base.ApiTestCase):

    def prepare(self):
        self.conf.set_override('duplicate_window', 60.0, group='event')

    def test_posts(self):
        doc = {'time': '2026-11-20T10:00:00', 'type': 'compute.host.down',
               'details': {'hostname': 'h1', 'status': 'down',
                           'monitor_event_id': 'always the same'}}
        later = {**doc, 'time': '2026-11-20T10:00:01'}
        alone = {**doc, 'details': {'hostname': 'h1'}}
        ids = [self.call('post', path, body, api_base.MONITOR, 202)[
            'message_ids'][0] for path, body in (
                ('/v1/events', {'event': doc}), ('/events', [later]),
                ('/v1/events', alone), ('/v1/events', alone))]

        self.assertEqual(ids[0], ids[1])
        self.assertEqual(3, len(set(ids)))
        self.assertEqual(
            ids, [event.message_id for event in self.events.accepted])
