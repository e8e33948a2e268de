# SPDX-License-Identifier: Apache-2.0

import dataclasses

from doctor_alarm import event as event_mod
from doctor_alarm import fault
from doctor_alarm.inspector import action
from doctor_alarm.inspector import cloud
from doctor_alarm.tests import base
from doctor_alarm.tests import faults

PART = fault.Part


class PartTest(base.TestCase):
    """Which part of a fault an event tells, and who can make such events."""

    def setUp(self):
        super().setUp()
        self.events = faults.derived(
            faults.root(), {'vm1': 'p1', 'vm2': 'p2', 'vm3': 'p2'})

    def test_what_the_inspector_makes(self):
        self.assertEqual(
            [PART.FAULT] + 3 * [PART.SERVER, PART.OWNED],
            [fault.part_of(event) for event in self.events])

    def test_outcomes(self):
        found = [fault.part_of(asked.outcome(cloud.Outcome.DONE, '', 1))
                 for event in self.events for asked in action.of(event)]

        # The host, and three servers
        self.assertEqual(4 * [PART.OUTCOME], found)

    def test_over_the_wire(self):
        for event in self.events:
            again = event_mod.Event.from_wire(
                event.to_wire(), received=event.generated, clean=True)
            self.assertEqual(fault.part_of(event), fault.part_of(again))

    def test_nobody_else_makes_them(self):
        for event in self.events:
            for changed in (
                    # as the API names what is posted
                    {'message_id': event_mod.derived_id('posted', 'x')},
                    {'traits': {**event.traits, 'correlation_id': 'm2'}},
                    {'traits': {**event.traits, 'correlation_id': 5}},
                    {'event_type': 'compute.instance.create.end'},
                    {'traits': {}}):
                forged = dataclasses.replace(event, **changed)
                self.assertIsNone(fault.part_of(forged), changed)

    def test_what_a_tenant_tells_is_for_the_owner_alone(self):
        for event in self.events:
            found = fault.part_of(dataclasses.replace(event, trusted=False))
            self.assertIn(found, (None, PART.OWNED))
