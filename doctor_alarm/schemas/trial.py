# SPDX-License-Identifier: Apache-2.0
"""Shape of the trial of a rule."""
from doctor_alarm.schemas import sentence

SCHEMA = {
    'type': 'object',
    'properties': {
        'event_rule': {'type': ['object', 'null']},
        'composite_rule': {'type': ['object', 'null']},
        'resource_id': {'type': ['string', 'null']},
        'time_constraints': {'type': ['array', 'null']},
        'event': {'type': 'object'},
    },
    'required': ['event'],
    'additionalProperties': False,
}

CHECKER = sentence.Checker(SCHEMA)
