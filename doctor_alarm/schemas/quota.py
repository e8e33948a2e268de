# SPDX-License-Identifier: Apache-2.0
"""Shape of the quotas of a project."""
from doctor_alarm.schemas import sentence

RESOURCES = ('alarms',)

CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {
        'project_id': {'type': 'string', 'minLength': 1, 'maxLength': 128},
        'quotas': {
            'type': ['array', 'null'],
            'maxItems': 10,
            'items': {
                'type': 'object',
                'properties': {
                    'resource': {'enum': list(RESOURCES)},
                    'limit': {'type': 'integer', 'minimum': -1,
                              'maximum': 2 ** 31 - 1},
                },
                'required': ['resource', 'limit'],
                'additionalProperties': False,
            },
        },
    },
    'required': ['project_id'],
    'additionalProperties': False,
})
