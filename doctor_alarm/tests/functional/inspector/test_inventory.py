# SPDX-License-Identifier: Apache-2.0
"""The resource map and the APIs of nova and neutron, over HTTP."""

import datetime
import logging
import math
import time
from unittest import mock

import fixtures
from openstack import exceptions

from doctor_alarm import exception
from doctor_alarm.inspector import cycle
from doctor_alarm.inspector import inventory
from doctor_alarm.inspector import lookup
from doctor_alarm.inspector import resource_map
from doctor_alarm.inspector import sighting
from doctor_alarm.inspector import upkeep
from doctor_alarm.tests import base
from doctor_alarm.tests import cloudmock
from doctor_alarm.tests import novamock
from doctor_alarm.tests.unit.agent import configuration


class CloudCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.cloud = self.useFixture(cloudmock.CloudMock())
        self.addCleanup(self.cloud.release)
        self.conf = configuration.prepare(**{
            'inspector__' + name: value for name, value in {
                'auth_type': 'password', 'username': 'monitor',
                'auth_url': self.cloud.url + '/identity/v3',
                'password': novamock.PASSWORD, 'timeout': 60,
                'exchanges': []}.items()})

    def given(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value, group='inspector')

    def boot(self, *ids, host='h1', **fields):
        for server_id in ids:
            self.cloud.boot(server_id, host, **fields)

    def ids(self, found, host='h1'):
        return sorted(each.id for each in found.servers_of(host))


class ReadingTest(CloudCase):
    """One reading after the other, in this thread."""

    def setUp(self):
        super().setUp()
        self.map = resource_map.ResourceMap()
        self.nova = inventory.Inventory(self.conf)
        self.servers = upkeep.Servers(self.map, self.nova, 3600)

    def read(self):
        self.servers.read()
        upkeep.read_ports(self.map, self.nova)

    def test_everything_page_by_page(self):
        for number in range(8):
            self.boot('s-%d' % number, host='h%d' % (number % 2),
                      port='p-%d' % number)
        self.read()

        self.assertEqual(
            ['s-0', 's-2', 's-4', 's-6'], self.ids(self.map, 'h0'))
        self.assertEqual(resource_map.Server(
            's-3', 'name of s-3', 'project', 'h1', 'active', True,
            ('p-3',)), self.map.server_of_port('p-3'))
        self.assertEqual(8, len(self.map))
        self.assertLess(self.map.age_of('h0'), 300)
        asked = self.cloud.asked_for('servers')
        # the last one shows that there is nothing more
        self.assertEqual([None, 's-2', 's-5', 's-7'],
                         [query.get('marker') for query in asked])
        self.assertEqual({'500'}, {query['limit'] for query in asked})
        self.assertEqual(4, len(self.cloud.asked_for('ports')))
        self.assertEqual([], self.cloud.wrong)
        self.assertEqual(1, self.cloud.logins)

    def test_five_thousand_servers(self):
        self.cloud.page = 500       # nova's osapi_max_limit is 1,000
        ids = ['s-%04d' % number for number in range(5000)]
        for number, server_id in enumerate(ids):
            self.cloud.boot(server_id, 'h%d' % (number % 50),
                            port='p-%04d' % number)
        self.read()

        self.assertEqual(5000, len(self.map))
        self.assertEqual(ids[7::50], self.ids(self.map, 'h7'))
        self.assertEqual(
            [None, *ids[499::500]], [query.get('marker') for query
                                     in self.cloud.asked_for('servers')])
        self.assertEqual('s-4999', self.map.server_of_port('p-4999').id)
        # and the second time what changed, in one page
        self.cloud.requests.clear()
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self.cloud.now = now
        self.cloud.change('s-0007', host='h8')
        self.servers.read()
        self.assertEqual(ids[57::50], self.ids(self.map, 'h7'))
        self.assertEqual(2, len(self.cloud.asked_for('servers')))
        self.assertEqual([], self.cloud.wrong)

    def test_an_empty_cloud(self):
        self.read()
        self.assertEqual(0, len(self.map))
        self.assertLess(self.map.age_of('h1'), 300)

    def test_ports_of_others_are_left_out(self):
        self.boot('s-0', port='p-0')
        self.cloud.ports['p-1'] = {
            'device_id': 's-0', 'device_owner': 'network:dhcp'}
        self.read()
        self.assertEqual(('p-0',), self.map.server('s-0').ports)
        # and one that is detached is no longer that of the server
        del self.cloud.ports['p-0']
        self.read()
        self.assertEqual((), self.map.server('s-0').ports)
        self.assertIsNone(self.map.server_of_port('p-0'))

    def test_only_what_changed_the_second_time(self):
        self.boot('s-0', 's-1', 's-2')
        # a day ago, on the clock of the cloud
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        self.cloud.now = now
        self.read()
        self.cloud.change('s-0', host='h2')
        self.cloud.change('s-1', state='error')
        self.cloud.delete('s-2')
        self.boot('s-3')
        self.read()

        self.assertEqual(['s-0'], self.ids(self.map, 'h2'))
        self.assertEqual(['s-1', 's-3'], self.ids(self.map))
        self.assertEqual('error', self.map.server('s-1').state)
        since = self.cloud.asked_for('servers')[-1]['changes-since']
        when = datetime.datetime.fromisoformat(since)
        self.assertEqual(datetime.timedelta(0), when.utcoffset())
        self.assertLess(when.replace(tzinfo=None),
                        now - datetime.timedelta(seconds=upkeep.OVERLAP - 2))
        self.assertEqual([], self.cloud.wrong)

    def test_everything_again_after_a_while(self):
        self.servers = upkeep.Servers(self.map, self.nova, 0)
        self.boot('s-0', 's-1')
        self.read()
        del self.cloud.instances['s-0']     # nobody told
        self.read()
        self.assertEqual(['s-1'], self.ids(self.map))

    def test_a_reading_that_breaks_off_removes_nothing(self):
        for number in range(7):
            self.boot('s-%d' % number)
        self.read()
        self.servers = upkeep.Servers(self.map, self.nova, 3600)
        age = self.map.age_of('h1')
        for server_id in ('s-0', 's-6'):
            del self.cloud.instances[server_id]
        self.boot('s-8')
        for status in (500, 503, 403, 404, 400):
            for first in (True, False):
                self.cloud.failures['servers'] = (status, first)
                self.assertRaises(
                    exceptions.SDKException, self.servers.read)
                self.assertLessEqual(
                    {'s-0', 's-6'}, set(self.ids(self.map)), status)
        self.assertLessEqual(age, self.map.age_of('h1'))
        self.cloud.failures.clear()
        self.servers.read()
        self.assertEqual(['s-%d' % number for number in (1, 2, 3, 4, 5, 8)],
                         self.ids(self.map))

    def test_neutron_that_fails_removes_nothing(self):
        for number in range(7):
            self.boot('s-%d' % number, port='p-%d' % number)
        self.read()
        self.cloud.failures['ports'] = (500, False)
        del self.cloud.ports['p-0']
        self.assertRaises(exceptions.SDKException, upkeep.read_ports,
                          self.map, self.nova)
        self.assertEqual('s-0', self.map.server_of_port('p-0').id)

    def test_a_token_that_expired(self):
        for number in range(4):
            self.boot('s-%d' % number)
        self.read()
        self.cloud.tokens.clear()
        self.boot('s-5')
        self.servers = upkeep.Servers(self.map, self.nova, 3600)
        self.read()
        self.assertEqual(5, len(self.map))
        self.assertEqual(2, self.cloud.logins)

    def test_an_account_that_may_not_see_hosts(self):
        self.boot('s-0')
        self.cloud.show_hosts = False
        error = self.assertRaises(inventory.Unreadable, self.read)
        self.assertIn('[inspector] may not see them', str(error))
        # nor does it take the servers of all hosts for those of one
        self.assertEqual([], list(self.nova.servers_of('h1')))

    def test_one_host(self):
        self.boot('s-0', 's-1', 's-2', 's-3')
        self.boot('s-4', host='h2')
        self.assertEqual(4, len(list(self.nova.servers_of('h1'))))
        self.assertEqual({'h1'}, {
            query['host'] for query in self.cloud.asked_for('servers')})

    def test_not_monitored(self):
        no = {'doctor_alarm:monitored': 'false'}
        self.cloud.boot('s-flavor', 'h1', flavor=no)
        self.cloud.boot('s-image', 'h1', image=no)
        self.cloud.boot('s-itself', 'h1', **no)
        self.cloud.boot('s-plain', 'h1', flavor={'a': 'b'}, image={'c': 'd'})
        # microversions from which on flavors and images are told
        for newest, silent in (
                ('2.1', {'s-itself'}), ('2.60', {'s-itself', 's-flavor'}),
                ('2.100', {'s-itself', 's-flavor', 's-image'})):
            self.cloud.newest = newest
            self.nova = inventory.Inventory(self.conf)
            self.map = resource_map.ResourceMap()
            upkeep.Servers(self.map, self.nova, 0).read()
            self.assertEqual(silent, {
                each.id for each in self.map.servers_of('h1')
                if not each.monitored}, newest)
        self.assertEqual([], self.cloud.wrong)

    def test_where_nova_and_neutron_are(self):
        self.given(endpoint=self.cloud.url + '/compute/v2.1',
                   network_endpoint=self.cloud.url + '/network',
                   region_name='R1')
        self.nova = inventory.Inventory(self.conf)
        self.boot('s-0', port='p-0')
        upkeep.Servers(self.map, self.nova, 0).read()
        upkeep.read_ports(self.map, self.nova)
        self.assertEqual(('p-0',), self.map.server('s-0').ports)

    def test_options_that_do_not_fit(self):
        self.given(auth_url=None)
        for build in (inventory.Inventory, upkeep.Upkeep):
            error = self.assertRaises(
                exception.ConfigurationError, build, self.conf)
            self.assertIn('[inspector]', str(error))


class UpkeepTest(CloudCase):
    """Everything together, in threads."""

    def start(self):
        kept = upkeep.Upkeep(self.conf)
        kept.start()
        self.addCleanup(kept.stop)
        self.addCleanup(self.cloud.release)
        return kept.map

    def test_it_is_filled_and_kept(self):
        self.useFixture(fixtures.MockPatchObject(cycle, 'FIRST', 0.0))
        self.given(resource_map_interval=1, resource_map_full_interval=1)
        self.boot('s-0', port='p-0')
        found = self.start()
        self.wait_until(lambda: found.server_of_port('p-0'))
        self.boot('s-1', port='p-1')
        del self.cloud.instances['s-0']
        self.wait_until(lambda: found.server_of_port('p-1'))
        self.wait_until(lambda: found.server('s-0') is None)

    def test_a_nova_that_is_away_at_first(self):
        self.useFixture(fixtures.MockPatchObject(cycle, 'FIRST', 0.0))
        self.given(resource_map_interval=1, lookup_timeout=0.01)
        self.boot('s-0')
        self.cloud.failures['servers'] = (503, True)
        found = self.start()
        self.wait_until(lambda: 'stays as it is' in self.log.output)
        self.assertEqual(math.inf, found.age_of('h1'))
        self.cloud.failures.clear()
        self.wait_until(lambda: self.ids(found) == ['s-0'])
        self.wait_until(lambda: 'can be read again' in self.log.output)
        self.assertNotIn(novamock.PASSWORD, self.log.output)
        for token in self.cloud.tokens:
            self.assertNotIn(token, self.log.output)

    def test_without_neutron(self):
        self.useFixture(fixtures.MockPatchObject(cycle, 'FIRST', 0.0))
        self.given(resource_map_ports=False, resource_map_interval=1)
        self.boot('s-0', port='p-0')
        found = self.start()
        self.wait_until(lambda: len(self.cloud.asked_for('servers')) > 2)
        self.assertEqual(1, len(found))
        self.assertEqual([], self.cloud.asked_for('ports'))


class FallbackTest(CloudCase):
    """A fault comes in before anything was read."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(lookup, 'PAUSE', 0.0))
        self.kept = None

    def map_with(self, timeout):
        self.given(lookup_timeout=timeout)
        nova = inventory.Inventory(self.conf)
        return resource_map.ResourceMap(
            900, lookup.Lookup(nova, timeout, 0))

    def test_a_cold_map_asks_nova_for_the_host(self):
        self.boot('s-0', 's-1', 's-2', 's-3')
        self.boot('s-4', host='h2')
        found = self.map_with(120)
        self.assertEqual(['s-0', 's-1', 's-2', 's-3'], self.ids(found))
        self.assertIsNone(found.server('s-4'))
        before = len(self.cloud.requests)
        self.assertEqual(4, len(found.servers_of('h1')))
        self.assertEqual(before, len(self.cloud.requests))

    def test_a_stale_one_as_well(self):
        self.boot('s-0')
        clock = mock.Mock(side_effect=lambda: time.monotonic() + shift)
        shift = 0
        nova = inventory.Inventory(self.conf)
        found = resource_map.ResourceMap(
            900, lookup.Lookup(nova, 120, 0), clock)
        upkeep.Servers(found, nova, 3600).read()
        self.cloud.change('s-0', host='h2')
        self.assertEqual(['s-0'], self.ids(found))
        shift = 901
        self.assertEqual([], self.ids(found))
        self.assertEqual(['s-0'], self.ids(found, 'h2'))

    def test_a_nova_that_hangs_does_not_keep_the_fault(self):
        self.boot('s-0')
        found = self.map_with(0.2)
        found.apply(sighting.Sighting(
            sighting.Server('heard', 'n', 'p', 'h1'), 1))
        self.cloud.hang()
        started = time.monotonic()
        self.assertEqual(['heard'], self.ids(found))
        self.assertLess(time.monotonic() - started, 30)
        self.assertIn('what is known of it counts', self.log.output)
        self.cloud.release()
        # the answer is late, and counts
        self.wait_until(lambda: found.server('s-0'))

    def test_a_nova_that_fails(self):
        self.boot('s-0')
        found = self.map_with(120)
        for status in (500, 403, 503):
            self.cloud.failures['servers'] = (status, True)
            self.assertEqual([], found.servers_of('h1'))
        self.cloud.failures.clear()
        self.assertEqual(['s-0'], self.ids(found))
