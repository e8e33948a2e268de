# SPDX-License-Identifier: Apache-2.0
"""Shape of the trial of an event rule."""
from doctor_alarm.schemas import sentence

SCHEMA = {
    'type': 'object',
    'properties': {
        'event_rule': {'type': 'object'},
        'resource_id': {'type': ['string', 'null']},
        'time_constraints': {'type': ['array', 'null']},
        'event': {'type': 'object'},
    },
    'required': ['event_rule', 'event'],
    'additionalProperties': False,
}

CHECKER = sentence.Checker(SCHEMA)
