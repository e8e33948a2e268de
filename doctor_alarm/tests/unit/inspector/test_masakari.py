# SPDX-License-Identifier: Apache-2.0
"""Names of hosts of Masakari, over real HTTP."""

import fixtures

from doctor_alarm.inspector import masakari
from doctor_alarm.tests import base
from doctor_alarm.tests import faults
from doctor_alarm.tests import toldcloud
from doctor_alarm.tests.unit.agent import configuration

SEGMENTS = '/ha/v1/segments'


class NamesTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.mock = self.useFixture(toldcloud.ToldCloud())
        self.mock.segments = {'s1': {'m1': 'h1'}, 's2': {'m2': 'h2'}}
        self.given()

    def given(self, **options):
        self.names = masakari.names(configuration.prepare(**{
            'inspector__' + name: value for name, value in {
                'lookup_timeout': 60, **self.mock.options(),
                **options}.items()}))
        self.names._pause = 0.0

    def completed(self, host_id):
        root = faults.root(masakari_host_id=host_id)
        del root.traits['hostname'], root.traits['host']
        traits = self.names.completed(root).traits
        return traits.get('hostname'), traits.get('host')

    def test_masakari_is_asked_once(self):
        self.assertEqual(('h2', 'h2'), self.completed('m2'))
        self.mock.failures['GET', SEGMENTS] = [500]
        self.assertEqual(('h1', 'h1'), self.completed('m1'))
        self.assertEqual([500], self.mock.failures['GET', SEGMENTS])

    def test_a_new_one(self):
        self.assertEqual((None, None), self.completed('m3'))
        self.assertIn('name is not known, m3', self.log.output)
        self.mock.segments['s1']['m3'] = 'h3'
        self.assertEqual(('h3', 'h3'), self.completed('m3'))

    def test_what_has_a_name_keeps_it(self):
        root = faults.root(masakari_host_id='m2')

        self.assertIs(root, self.names.completed(root))

    def test_masakari_is_away(self):
        self.mock.failures['GET', SEGMENTS] = 9 * [503]
        self.assertEqual((None, None), self.completed('m1'))
        self.assertIn('Masakari does not tell its hosts', self.log.output)
        self.mock.failures.clear()
        self.assertEqual(('h1', 'h1'), self.completed('m1'))

    def test_masakari_hangs(self):
        self.given(lookup_timeout=0.1)
        self.mock.hanging.add(('GET', SEGMENTS))

        self.assertEqual((None, None), self.completed('m1'))

    def test_nobody_to_ask(self):
        self.given(auth_type=None)

        self.assertEqual((None, None), self.completed('m1'))
