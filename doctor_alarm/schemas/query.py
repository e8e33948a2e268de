# SPDX-License-Identifier: Apache-2.0
"""Shape of a complex query; filter and order are texts of JSON."""
from doctor_alarm.schemas import sentence

#: Fields that an order may have.
MAX_ORDER = 20

_TEXT = {'type': ['string', 'null'], 'maxLength': 65535}

CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {
        'filter': _TEXT,
        'orderby': _TEXT,
        'limit': {'type': ['integer', 'null'], 'minimum': 1},
    },
    'additionalProperties': False,
})
