# SPDX-License-Identifier: Apache-2.0
"""What nova and neutron do only now and then, or long ago, over HTTP."""

from keystoneauth1 import exceptions as keystone
from openstack import exceptions

from doctor_alarm.inspector import cloud
from doctor_alarm.tests import base
from doctor_alarm.tests import toldcloud
from doctor_alarm.tests.unit.agent import configuration

SERVICES = '/compute/v2.1/os-services'
ACTION = '/compute/v2.1/servers/vm1/action'


class CloudCase(base.TestCase):

    keystone = False

    def setUp(self):
        super().setUp()
        self.mock = self.useFixture(toldcloud.ToldCloud())
        self.mock.forced = {'h0': False, 'h1': False}
        self.mock.servers = {'vm1': ['h1', 'active']}
        self.mock.ports = {'port1': ['vm1', 'ACTIVE'],
                           'port2': ['vm1', None], 'port3': ['vm2', 'ACTIVE']}
        self.given()

    def given(self, **options):
        self.cloud = cloud.Cloud(configuration.prepare(**{
            'inspector__' + name: value for name, value in {
                **self.mock.options(self.keystone), **options}.items()}))

    def tearDown(self):
        self.assertEqual([], self.mock.wrong)
        super().tearDown()


class MicroversionTest(CloudCase):

    def play(self, newest):
        self.mock.newest = newest
        self.mock.told.clear()
        self.given()
        for down in (True, False):
            self.assertEqual(cloud.Outcome.DONE,
                             self.cloud.force_down('h1', down), newest)
            self.assertEqual({'h0': False, 'h1': down}, self.mock.forced)
            self.assertEqual(cloud.Outcome.UNCHANGED,
                             self.cloud.force_down('h1', down), newest)
        self.assertEqual(cloud.Outcome.UNKNOWN,
                         self.cloud.force_down('h9', True))
        return self.mock.told

    def test_a_service_is_forced_down_by_its_host(self):
        for newest in ('2.11', '2.37', '2.52'):
            self.assertEqual([
                ('PUT', SERVICES + '/force-down', {
                    'host': 'h1', 'binary': 'nova-compute',
                    'forced_down': down})
                for down in (True, False)], self.play(newest))

    def test_a_service_is_forced_down_by_its_id(self):
        for newest in ('2.53', '2.60', '2.100'):
            self.assertEqual([
                ('PUT', SERVICES + '/service-h1', {'forced_down': down})
                for down in (True, False)], self.play(newest))

    def test_a_nova_that_knows_no_such_thing(self):
        self.mock.newest = '2.10'
        self.given()

        error = self.assertRaises(exceptions.SDKException,
                                  self.cloud.force_down, 'h1', True)

        self.assertTrue(cloud.is_final(error))

    def test_states_of_servers(self):
        for newest in ('2.1', '2.11', '2.52', '2.100'):
            self.mock.newest = newest
            self.mock.servers = {'vm1': ['h1', 'active']}
            self.mock.told.clear()
            self.given()
            for expected in (cloud.Outcome.DONE, cloud.Outcome.UNCHANGED):
                self.assertEqual(expected, self.cloud.reset_state(
                    'vm1', 'h1', 'error'))
            self.assertEqual(
                [('POST', ACTION, {'os-resetState': {'state': 'error'}})],
                self.mock.told)


class FailureTest(CloudCase):

    def test_what_it_answers_is_known_for_final_or_not(self):
        for status, final in ((400, True), (403, True), (409, False),
                              (429, False), (500, False), (503, False)):
            self.mock.failures['POST', ACTION] = [status]
            error = self.assertRaises(
                exceptions.SDKException, self.cloud.reset_state, 'vm1',
                'h1', 'error')
            self.assertEqual(final, cloud.is_final(error), status)
        self.assertEqual(cloud.Outcome.DONE, self.cloud.reset_state(
            'vm1', 'h1', 'error'))

    def test_a_server_that_goes_meanwhile(self):
        self.mock.failures['POST', ACTION] = [404]
        self.assertEqual(cloud.Outcome.GONE, self.cloud.reset_state(
            'vm1', 'h1', 'error'))

    def test_an_answer_that_does_not_come(self):
        self.given(timeout=1)
        # given: a connection, so that only this question has no answer
        self.cloud.force_down('h1', True)
        self.mock.hanging.add(('POST', ACTION))

        error = self.assertRaises(
            keystone.ConnectTimeout, self.cloud.reset_state, 'vm1', 'h1',
            'error')

        self.assertFalse(cloud.is_final(error))
        self.assertEqual({'vm1': ['h1', 'active']}, self.mock.servers)
        self.mock.hanging.clear()
        self.assertEqual(cloud.Outcome.DONE, self.cloud.reset_state(
            'vm1', 'h1', 'error'))


class NeutronTest(CloudCase):

    def test_ports_of_one_server(self):
        self.assertEqual(cloud.Outcome.DONE, self.cloud.data_plane_status(
            'vm1', 'DOWN'))

        self.assertEqual([
            ('PUT', '/network/v2.0/ports/port%d' % number,
             {'port': {'data_plane_status': 'DOWN'}}) for number in (1, 2)],
            self.mock.told)
        self.assertEqual(cloud.Outcome.UNCHANGED,
                         self.cloud.data_plane_status('vm1', 'DOWN'))
        self.assertEqual(cloud.Outcome.UNCHANGED,
                         self.cloud.data_plane_status('vm9', 'DOWN'))
        self.assertEqual(2, len(self.mock.told))

    def test_what_was_done_before_a_failure_is_not_done_again(self):
        self.mock.failures['PUT', '/network/v2.0/ports/port2'] = [503]

        self.assertRaises(exceptions.SDKException,
                          self.cloud.data_plane_status, 'vm1', 'DOWN')
        self.assertEqual(cloud.Outcome.DONE, self.cloud.data_plane_status(
            'vm1', 'DOWN'))

        self.assertEqual(2, len(self.mock.told))

    def test_a_neutron_without_the_extension(self):
        self.mock.extensions = False

        error = self.assertRaises(
            exceptions.SDKException, self.cloud.data_plane_status, 'vm1',
            'DOWN')

        self.assertTrue(cloud.is_final(error))
        self.assertIn('data_plane_status', str(error))


class CauseTest(CloudCase):

    def test_requests_tell_why_they_are_made(self):
        for newest in ('2.52', '2.100'):
            self.mock.newest = newest
            self.given()
            self.cloud.force_down('h1', True, 'a')
            self.cloud.force_down('h1', False, 'b')
            self.cloud.reset_state('vm1', 'h1', 'error', 'c')
            self.mock.servers['vm1'][1] = 'active'
            self.cloud.reset_state('vm1', 'h1', 'error')
            self.assertEqual(
                ['req-a', 'req-b', 'req-c', None], self.mock.causes)
            self.mock.causes.clear()
            self.mock.servers['vm1'][1] = 'active'


class TokenTest(CloudCase):

    keystone = True

    def test_one_that_expired(self):
        self.cloud.force_down('h1', True)
        self.mock.tokens.clear()

        self.assertEqual(cloud.Outcome.DONE,
                         self.cloud.force_down('h1', False))
        self.mock.tokens.clear()
        self.assertEqual(cloud.Outcome.DONE, self.cloud.reset_state(
            'vm1', 'h1', 'error'))
        self.mock.tokens.clear()
        self.assertEqual(cloud.Outcome.DONE, self.cloud.data_plane_status(
            'vm1', 'DOWN'))

        self.assertEqual(4, self.mock.logins)
