# SPDX-License-Identifier: Apache-2.0

import itertools
import math
import random
import threading

from hypothesis import given
from hypothesis import strategies as st

from doctor_alarm.inspector import resource_map
from doctor_alarm.inspector import sighting
from doctor_alarm.tests import base
from doctor_alarm.tests import fuzzing

SECOND = 1000000


def server(server_id='s', host='h1', state='active', **fields):
    return sighting.Server(
        id=server_id, name=fields.pop('name', 'n'), project_id='p', host=host,
        state=state, **fields)


def seen(stamp, server_id='s', host='h1', deleted=False, says=(None,) * 3,
         **fields):
    return sighting.Sighting(server(server_id, host, **fields), stamp, says,
                             deleted)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class MapCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.map = resource_map.ResourceMap(clock=self.clock)

    def tell(self, *changes):
        for change in changes:
            self.map.apply(change)

    def listed(self, *sightings):
        """Let nova list everything."""
        listing = self.map.begin()
        self.map.confirm(listing, sightings)
        self.map.finish(listing, self.clock())

    def listed_ports(self, *ports):
        listing = self.map.begin()
        self.map.confirm_ports(listing, ports)
        self.map.finish_ports(listing)

    def on(self, host):
        return sorted(found.id for found in self.map.servers_of(host))


class SightingsTest(MapCase):

    def test_a_host_that_nobody_knows_is_empty(self):
        self.assertEqual([], self.map.servers_of('nowhere'))
        self.assertIsNone(self.map.server('s'))
        self.assertIsNone(self.map.server_of_port('p'))
        self.assertEqual(math.inf, self.map.age_of('nowhere'))

    def test_a_server_comes_moves_changes_and_goes(self):
        self.tell(seen(1))
        self.assertEqual(['s'], self.on('h1'))
        self.tell(seen(2, host='h2', state='error', name='new'))
        self.assertEqual([], self.on('h1'))
        self.assertEqual([server(host='h2', state='error', name='new')],
                         self.map.servers_of('h2'))
        self.assertEqual(1, len(self.map))
        self.tell(seen(3, host='h2', deleted=True))
        self.assertEqual([], self.on('h2'))
        self.assertIsNone(self.map.server('s'))
        self.assertEqual(0, len(self.map))

    def test_what_is_older_changes_nothing(self):
        self.tell(seen(5, host='h2'), seen(4), seen(4))
        self.assertEqual(['s'], self.on('h2'))
        self.assertEqual([], self.on('h1'))

    def test_a_deleted_server_does_not_return(self):
        self.tell(seen(1, deleted=True), seen(9))
        self.assertIsNone(self.map.server('s'))

    def test_monitored_is_what_each_source_said_last(self):
        no_flavor = (None, False, None)
        self.tell(seen(2, says=no_flavor), seen(3, says=(True, None, True)))
        self.assertFalse(self.map.server('s').monitored)
        self.tell(seen(1, says=(None, True, None)))     # older
        self.assertFalse(self.map.server('s').monitored)
        self.tell(seen(4, says=(True, True, None)))     # resized
        self.assertTrue(self.map.server('s').monitored)
        self.tell(seen(5, says=(False, None, None)))
        self.assertFalse(self.map.server('s').monitored)


class PortsTest(MapCase):

    def attach(self, stamp, port_id='a', owner='s', **fields):
        return sighting.PortSighting(port_id, owner, stamp, **fields)

    def ports(self, server_id='s'):
        return self.map.server(server_id).ports

    def test_a_port_comes_moves_and_goes(self):
        self.tell(seen(1), seen(1, 't', 'h2'), self.attach(1),
                  self.attach(1, 'b'))
        self.assertEqual(('a', 'b'), self.ports())
        self.assertEqual('s', self.map.server_of_port('a').id)
        self.tell(self.attach(2, owner='t'))
        self.assertEqual(('b',), self.ports())
        self.assertEqual(('a',), self.ports('t'))
        self.assertEqual('t', self.map.server_of_port('a').id)
        self.tell(self.attach(3, owner=''))
        self.assertEqual((), self.ports('t'))
        self.assertIsNone(self.map.server_of_port('a'))
        self.tell(self.attach(4, 'b', '', deleted=True), self.attach(9, 'b'))
        self.assertIsNone(self.map.server_of_port('b'))

    def test_a_port_may_be_known_before_its_server(self):
        self.tell(self.attach(1))
        self.assertIsNone(self.map.server_of_port('a'))
        self.tell(seen(1))
        self.assertEqual(('a',), self.ports())

    def test_what_is_left_when_a_port_was_detached(self):
        self.tell(seen(1), self.attach(1), self.attach(1, 'b'),
                  sighting.PortsOf('s', ('b',), 3), self.attach(2))
        self.assertEqual(('b',), self.ports())
        self.assertIsNone(self.map.server_of_port('a'))
        self.tell(self.attach(4))
        self.assertEqual(('a', 'b'), self.ports())

    def test_neutron_lists_ports(self):
        self.tell(seen(1), self.attach(5 * SECOND, 'gone'),
                  sighting.PortsOf('s', ('gone',), 6 * SECOND))
        # it was changed for the last time before another one was detached
        self.listed_ports(self.attach(2 * SECOND))
        self.assertEqual(('a',), self.ports())
        self.assertIsNone(self.map.server_of_port('gone'))

    def test_what_neutron_tells_during_a_listing_is_newer(self):
        self.tell(seen(1))
        listing = self.map.begin()
        self.tell(self.attach(9 * SECOND, 'new'),
                  self.attach(9 * SECOND, 'a', '', deleted=True))
        self.map.confirm_ports(listing, [self.attach(8 * SECOND)])
        self.map.finish_ports(listing)
        self.assertEqual(('new',), self.ports())


class ListingTest(MapCase):

    def test_an_answer_counts_whatever_the_clocks_say(self):
        self.tell(seen(2 ** 61, host='h2'), seen(2 ** 61, 'lost'),
                  seen(1, 'undead', deleted=True))
        self.listed(seen(5 * SECOND), seen(5 * SECOND, 'undead'),
                    seen(5 * SECOND, 'missed'))
        self.assertEqual(['missed', 's', 'undead'], self.on('h1'))
        self.assertEqual([], self.on('h2'))
        # and then what is told is newer than the answer
        self.tell(seen(5 * SECOND + 1, host='h3'))
        self.assertEqual(['s'], self.on('h3'))

    def test_what_is_told_during_a_listing_is_newer(self):
        self.tell(seen(SECOND), seen(SECOND, 'old'))
        listing = self.map.begin()
        self.tell(seen(9 * SECOND + 7, host='h2'), seen(9 * SECOND, 'new'),
                  seen(9 * SECOND, 'old', deleted=True))
        self.map.confirm(listing, [
            seen(9 * SECOND), seen(SECOND, 'old')])
        self.map.finish(listing, self.clock())
        self.assertEqual(['new'], self.on('h1'))
        self.assertEqual(['s'], self.on('h2'))

    def test_an_answer_that_is_surely_newer(self):
        listing = self.map.begin()
        self.tell(seen(9 * SECOND + 7))
        self.map.confirm(listing, [seen(10 * SECOND, host='h2')])
        self.assertEqual(['s'], self.on('h2'))

    def test_one_that_broke_off_removes_nothing(self):
        self.tell(seen(1), seen(1, 't'))
        self.map.confirm(self.map.begin(), [seen(SECOND)])
        self.assertEqual(['s', 't'], self.on('h1'))
        self.assertEqual(math.inf, self.map.age_of('h1'))

    def test_what_a_listing_does_not_tell_stays(self):
        self.tell(seen(1, says=(True, False, None)))
        self.listed(seen(SECOND, says=(True, None, None)))
        self.assertFalse(self.map.server('s').monitored)

    def test_one_host(self):
        self.tell(seen(1), seen(1, 'moved'), seen(1, 'other', 'h2'))
        listing = self.map.begin()
        self.map.confirm(listing, [seen(2)])
        self.map.finish_host('h1', listing, self.clock())
        self.assertEqual(['s'], self.on('h1'))
        self.assertEqual(['other'], self.on('h2'))
        # it is heard of again
        self.tell(seen(3, 'moved', 'h2'))
        self.assertEqual(['moved', 'other'], self.on('h2'))

    def test_age(self):
        self.listed(seen(1))
        self.clock.now += 10
        self.assertEqual(10, self.map.age_of('h1'))
        listing = self.map.begin()
        self.map.finish_host('h1', listing, self.clock())
        self.clock.now += 5
        self.assertEqual(5, self.map.age_of('h1'))
        self.assertEqual(15, self.map.age_of('h2'))
        # a listing that began before the host was looked at
        self.map.confirmed(self.clock() - 7)
        self.assertEqual(5, self.map.age_of('h1'))
        self.assertEqual(7, self.map.age_of('h2'))

    def test_what_is_gone_is_forgotten_after_a_while(self):
        self.tell(seen(1), seen(1, 'gone', deleted=True),
                  sighting.PortSighting('p', '', 1, deleted=True))
        for _listing in range(2):
            self.assertIn('gone', self.map._entries)
            self.assertIn('p', self.map._claims)
            self.listed(seen(2))
        self.listed(seen(2))
        self.assertEqual(['s'], list(self.map._entries))
        self.assertEqual({}, self.map._claims)


class RefreshTest(base.TestCase):

    def test_what_is_too_old_is_refreshed_first(self):
        clock, asked = Clock(), []

        def refresh(resources, host):
            asked.append(host)
            listing = resources.begin()
            resources.confirm(listing, [seen(1)])
            resources.finish_host(host, listing, clock())

        found = resource_map.ResourceMap(60, refresh, clock)
        self.assertEqual(['s'], [each.id for each in found.servers_of('h1')])
        clock.now += 60
        found.servers_of('h1')
        self.assertEqual(['h1'], asked)
        clock.now += 1
        self.assertTrue(found.is_stale('h1'))
        found.servers_of('h1')
        self.assertEqual(['h1', 'h1'], asked)


IDS = ('s1', 's2')
HOSTS = ('h1', 'h2', '')
PORTS = ('p1', 'p2', 'p3')
SAYS = st.tuples(*[st.sampled_from((None, True, False))] * 3)


@st.composite
def histories(draw):
    """Changes with times of their own, and an order they arrive in."""
    told = []
    for number in range(draw(st.integers(1, 12))):
        stamp = (number + 1) * 10
        kind = draw(st.sampled_from(('server', 'port', 'ports')))
        if kind == 'server':
            told.append(seen(
                stamp, draw(st.sampled_from(IDS)),
                draw(st.sampled_from(HOSTS)), name=str(number),
                says=draw(SAYS), deleted=draw(st.integers(0, 5)) == 0))
        elif kind == 'port':
            told.append(sighting.PortSighting(
                draw(st.sampled_from(PORTS)),
                draw(st.sampled_from((*IDS, ''))), stamp,
                deleted=draw(st.integers(0, 5)) == 0))
        else:
            told.append(sighting.PortsOf(
                draw(st.sampled_from(IDS)),
                tuple(draw(st.sets(st.sampled_from(PORTS)))), stamp))
    twice = told + draw(st.lists(st.sampled_from(told), max_size=4))
    return told, draw(st.permutations(twice))


class AnyOrderTest(base.TestCase):

    def shown(self, changes):
        found = resource_map.ResourceMap()
        for change in changes:
            found.apply(change)
        self.check(found)
        return ({host: {each.id: each for each in found.servers_of(host)}
                 for host in HOSTS},
                {port: found.server_of_port(port) for port in PORTS})

    def check(self, found):
        """Every way to a server leads to the same."""
        on_hosts = [each for host in HOSTS
                    for each in found.servers_of(host)]
        self.assertEqual(len(on_hosts), len(found))
        for each in on_hosts:
            self.assertEqual(each, found.server(each.id))
            for port in each.ports:
                self.assertEqual(each, found.server_of_port(port))

    @fuzzing.settings
    @given(histories())
    def test_any_order_and_repetitions_end_the_same(self, history):
        told, arrived = history
        self.assertEqual(self.shown(told), self.shown(arrived))

    @fuzzing.settings
    @given(histories())
    def test_the_newest_counts(self, history):
        told, arrived = history
        on_hosts, _ports = self.shown(arrived)
        for server_id in IDS:
            about = [change for change in told
                     if isinstance(change, sighting.Sighting)
                     and change.server.id == server_id]
            expected = about and not any(
                change.deleted for change in about) and about[-1].server.host
            self.assertEqual(
                [] if expected is False or not about else [expected],
                [host for host in HOSTS if server_id in on_hosts[host]])


class ThreadsTest(base.TestCase):

    def test_those_who_ask_see_a_server_on_one_host(self):
        found = resource_map.ResourceMap()
        stopping = threading.Event()
        wrong, asked = [], []

        def ask():
            while not stopping.is_set():
                each = found.server('s')
                listed = found.servers_of('h1') + found.servers_of('h2')
                asked.append(1)
                if each and not {one.host for one in listed} <= {'h1', 'h2'}:
                    wrong.append(listed)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for stamp in itertools.count(1):
                found.apply(seen(stamp, host=random.choice(('h1', 'h2'))))
                listing = found.begin()
                found.confirm(listing, [seen(stamp * SECOND)])
                found.finish(listing, 0.0)
                if stamp >= 300 and len(asked) > 20:
                    break
        finally:
            stopping.set()
            for thread in threads:
                thread.join()

        self.assertEqual([], wrong)
        self.assertEqual(1, len(found))
