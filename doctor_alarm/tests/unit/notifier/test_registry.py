# SPDX-License-Identifier: Apache-2.0

import asyncio
import logging
from unittest import mock

import fixtures
import stevedore

from doctor_alarm import exception
from doctor_alarm.notifier import base as notifier
from doctor_alarm.notifier.plugins import http
from doctor_alarm.notifier import registry
from doctor_alarm.tests import base
from doctor_alarm.tests.unit.notifier import deliveries


class Good(notifier.Notifier):
    started = stopped = 0

    async def start(self):
        self.started += 1

    async def stop(self):
        self.stopped += 1

    async def deliver(self, delivery):
        return notifier.Outcome.delivered()


class Unmakeable(Good):
    def __init__(self, conf):
        raise ValueError('no such luck')


class Unstartable(Good):
    async def start(self):
        raise OSError('no such luck')


class Misconfigured(Good):
    def __init__(self, conf):
        raise exception.ConfigurationError(where='[x] y', reason='wrong')


class Unstoppable(Good):
    async def stop(self):
        raise OSError('no such luck')


class RegistryTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.logged = self.useFixture(fixtures.FakeLogger(
            level=logging.ERROR))

    def load(self, **plugins):
        """Load these plugins; an exception is one that can not be."""
        def manager(_namespace, on_load_failure_callback):
            found = []
            for name, plugin in plugins.items():
                point = mock.Mock(plugin=plugin)
                point.name = name
                if isinstance(plugin, Exception):
                    on_load_failure_callback(None, point, plugin)
                else:
                    found.append(point)
            return found

        with mock.patch.object(stevedore, 'ExtensionManager', manager):
            return registry.Registry.load(deliveries.a_conf())

    def deliver(self, loaded, scheme):
        async def work():
            await loaded.start()
            outcome = await loaded.get(scheme).deliver(
                deliveries.a_delivery())
            await loaded.stop()
            return outcome
        return asyncio.run(work())

    def test_what_is_installed(self):
        loaded = registry.Registry.load(deliveries.a_conf())

        self.assertIsInstance(loaded.get('http'), http.HttpNotifier)
        self.assertIs(loaded.get('http'), loaded.get('https'))
        self.assertIsNone(loaded.get('gopher'))

    def test_one_instance_is_started_and_stopped_once(self):
        loaded = self.load(a=Good, b=Good)

        self.deliver(loaded, 'a')

        self.assertIs(loaded.get('a'), loaded.get('b'))
        self.assertEqual(
            (1, 1), (loaded.get('a').started, loaded.get('a').stopped))

    def test_a_broken_plugin_hurts_only_its_own_deliveries(self):
        for broken in (ImportError('x'), Unmakeable, Unstartable):
            loaded = self.load(bad=broken, good=Good)

            self.assertEqual(
                notifier.Outcome.delivered(), self.deliver(loaded, 'good'))
            outcome = self.deliver(loaded, 'bad')
            self.assertEqual(notifier.Status.RETRY, outcome.status)
            self.assertIn('bad', outcome.reason)
        self.assertEqual(3, self.logged.output.count('can not be used'))

    def test_a_wrong_configuration_stops_the_start(self):
        self.assertRaises(
            exception.ConfigurationError, self.load, x=Misconfigured)

    def test_a_plugin_that_does_not_stop(self):
        self.deliver(self.load(a=Unstoppable, b=Good), 'b')

        self.assertIn('Unstoppable did not stop', self.logged.output)
