# SPDX-License-Identifier: Apache-2.0
"""Shape of events as detectors post them."""
from doctor_alarm.schemas import sentence

_DETAILS = {
    'type': ['object', 'null'],
    'properties': {
        'project_id': {'type': ['string', 'null'], 'maxLength': 128},
        'tenant_id': {'type': ['string', 'null'], 'maxLength': 128},
        'resource_id': {'type': ['string', 'integer', 'null']},
        'instance_id': {'type': ['string', 'integer', 'null']},
        'hostname': {'type': ['string', 'null']},
    },
}
_EVENT = {
    'type': 'object',
    'properties': {
        'time': {'type': 'string', 'minLength': 1},
        'type': {'type': 'string', 'minLength': 1, 'maxLength': 255},
        'details': _DETAILS,
    },
    'required': ['time', 'type'],
    'additionalProperties': False,
}

#: Of one element, ``{"event": {...}}``, alone or in a bulk.
CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {'event': _EVENT},
    'required': ['event'],
    'additionalProperties': False,
})
#: Of a bulk, but for its elements.
BULK_CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {'events': {'type': 'array', 'minItems': 1,
                              'maxItems': 10000}},
    'required': ['events'],
    'additionalProperties': False,
})
