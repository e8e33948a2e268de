# SPDX-License-Identifier: Apache-2.0
"""Shape of what Prometheus Alertmanager sends to a web hook (version 4).

Only what is used: others send the same with more in it (Grafana, for one).
"""
from doctor_alarm.schemas import sentence

_TEXTS = {'type': ['object', 'null'],
          'additionalProperties': {'type': 'string'}}

#: Of the body, but for its alerts.
CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {
        'alerts': {'type': 'array', 'minItems': 1, 'maxItems': 10000},
        'externalURL': {'type': ['string', 'null']},
        'receiver': {'type': ['string', 'null']},
    },
    'required': ['alerts'],
})
#: Of one alert.
ALERT_CHECKER = sentence.Checker({
    'type': 'object',
    'properties': {
        'status': {'enum': ['firing', 'resolved']},
        'labels': {**_TEXTS, 'type': 'object', 'minProperties': 1},
        'annotations': _TEXTS,
        'startsAt': {'type': 'string', 'minLength': 1},
        'endsAt': {'type': ['string', 'null']},
        'generatorURL': {'type': ['string', 'null']},
        'fingerprint': {'type': ['string', 'null']},
    },
    'required': ['status', 'labels', 'startsAt'],
})
