# SPDX-License-Identifier: Apache-2.0
"""Shape of events as detectors post them."""
from doctor_alarm.schemas import sentence

_ID = {'type': ['string', 'integer', 'null']}
_DETAILS = {
    'type': ['object', 'null'],
    'properties': {
        'project_id': {'type': ['string', 'null'], 'maxLength': 128},
        'tenant_id': {'type': ['string', 'null'], 'maxLength': 128},
        'resource_id': _ID,
        'instance_id': _ID,
        'hostname': {'type': ['string', 'null']},
        'monitor_id': _ID,
        'monitor_event_id': _ID,
    },
}
_MANY = {'type': 'array', 'minItems': 1, 'maxItems': 10000}

#: Of one event.
CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {
        # The monitors of OPNFV Doctor send one, always the same.
        'id': _ID,
        'time': {'type': 'string', 'minLength': 1},
        'type': {'type': 'string', 'minLength': 1, 'maxLength': 255},
        'details': _DETAILS,
    },
    'required': ['time', 'type'],
    'additionalProperties': False,
})
#: Of ``{"event": {...}}``, but for the event.
WRAPPED_CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {'event': {}},
    'required': ['event'],
    'additionalProperties': False,
})
#: Of ``{"events": [...]}``, but for its elements.
BULK_CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {'events': _MANY},
    'required': ['events'],
    'additionalProperties': False,
})
#: Of a list, but for its elements.
LIST_CHECKER = sentence.Checker(_MANY)
