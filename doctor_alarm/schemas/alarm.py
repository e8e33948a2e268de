# SPDX-License-Identifier: Apache-2.0
"""Shape of an alarm as clients send it.

``null`` stands for an omitted field where Aodh takes it so; what the service
sets itself may be sent back and is ignored.
"""
from doctor_alarm import composite
from doctor_alarm import match
from doctor_alarm.schemas import sentence

STATES = ('ok', 'alarm', 'insufficient data')
SEVERITIES = ('low', 'moderate', 'critical')
#: Whose events a rule takes: those of the alarm's project, or all.
SCOPES = ('project', 'cloud')
OPERATORS = ('eq', 'ne', 'lt', 'le', 'gt', 'ge')
VALUE_TYPES = ('', 'string', 'integer', 'float', 'boolean', 'datetime')

#: Types that this service evaluates.
TYPES = ('event', 'composite')

_METRIC = ('Metric alarms belong to Aodh, which evaluates what Gnocchi or '
           'Prometheus has measured; this service evaluates events.')

#: Types that other services know, and what we say of them.
FOREIGN_TYPES = {
    'threshold': _METRIC,
    'prometheus': _METRIC,
    'gnocchi_resources_threshold': _METRIC,
    'gnocchi_aggregation_by_metrics_threshold': _METRIC,
    'gnocchi_aggregation_by_resources_threshold': _METRIC,
    'loadbalancer_member_health':
        'Load balancer alarms belong to Aodh, which asks Octavia; this '
        'service evaluates events.',
}

READ_ONLY = ('alarm_id', 'timestamp', 'state_timestamp', 'state_reason',
             'evaluate_timestamp')

#: Characters of an alarm as JSON; what tells why it was raised repeats many.
MAX_SIZE = 256 * 1024

_TEXT_255 = {'type': 'string', 'minLength': 1, 'maxLength': 255}
_ACTIONS = {'type': ['array', 'null'],
            'items': {'type': 'string', 'minLength': 1, 'maxLength': 8000},
            'maxItems': 100}
_ID = {'type': ['string', 'null'], 'maxLength': 128}

_QUERY = {
    'type': ['array', 'null'],
    'maxItems': 100,
    'items': {
        'type': 'object',
        'properties': {
            'field': _TEXT_255,
            'op': {'enum': [*OPERATORS, None]},
            'value': {'type': ['string', 'number', 'boolean'],
                      'maxLength': 1024},
            'type': {'enum': [*VALUE_TYPES, None]},
        },
        'required': ['field', 'value'],
        'additionalProperties': False,
    },
}
_PATTERN = {
    'event_type': {'type': ['string', 'null'], 'maxLength': 255},
    'query': _QUERY,
}
_EVENT = {
    **_PATTERN,
    'scope': {'enum': [*SCOPES, None]},
    'clear': {'type': ['object', 'null'], 'properties': _PATTERN,
              'additionalProperties': False},
    'timeout': {'type': ['integer', 'null'], 'minimum': 1,
                'maximum': match.MAX_TIMEOUT},
    'after': {'type': ['object', 'null'], 'properties': _PATTERN,
              'additionalProperties': False},
}
_EVENT_RULE = {'type': ['object', 'null'], 'properties': _EVENT,
               'additionalProperties': False}
_RESOURCE_ID = {'type': ['string', 'null'], 'maxLength': 255}
_TIME_CONSTRAINTS = {
    'type': ['array', 'null'],
    # Each may cost milliseconds, once a minute.
    'maxItems': 10,
    'items': {
        'type': 'object',
        'properties': {
            'name': _TEXT_255,
            # Each event that may hit the alarm reads it.
            'description': {'type': ['string', 'null'], 'maxLength': 1024},
            'start': {'type': 'string', 'minLength': 1, 'maxLength': 255},
            'duration': {'type': ['integer', 'string'], 'minimum': 0,
                         'maxLength': 18},
            'timezone': {'type': ['string', 'null'], 'maxLength': 255},
        },
        'required': ['name', 'start', 'duration'],
        'additionalProperties': False,
    },
}

#: Seconds that a delivery may be said to stay news.
MAX_AGE = 2 ** 31 - 1
_DELIVERY = {
    'type': ['object', 'null'],
    'properties': {
        'max_age': {'type': ['integer', 'null'], 'minimum': 1,
                    'maximum': MAX_AGE},
        'latest_only': {'type': 'boolean'},
    },
    'additionalProperties': False,
}

SCHEMA = {
    'type': 'object',
    'properties': {
        'name': _TEXT_255,
        'type': {'enum': [*TYPES, *FOREIGN_TYPES]},
        'description': {'type': ['string', 'null'], 'maxLength': 65535},
        'enabled': {'type': 'boolean'},
        'severity': {'enum': list(SEVERITIES)},
        'state': {'enum': list(STATES)},
        'repeat_actions': {'type': 'boolean'},
        'ok_actions': _ACTIONS,
        'alarm_actions': _ACTIONS,
        'insufficient_data_actions': _ACTIONS,
        'time_constraints': _TIME_CONSTRAINTS,
        'project_id': _ID,
        'user_id': _ID,
        'resource_id': _RESOURCE_ID,
        'event_rule': _EVENT_RULE,
        # It may be nested: what joins its leaves is checked by hand.
        'composite_rule': {'type': ['object', 'null']},
        'delivery': _DELIVERY,
        **{'%s_rule' % name: {} for name in FOREIGN_TYPES},
        **{name: {} for name in READ_ONLY},
    },
    'required': ['name', 'type'],
    'additionalProperties': False,
}

CHECKER = sentence.Checker(SCHEMA)
#: Leaves of a composite rule, by their type.
LEAF_CHECKERS = {
    composite.EVENT: sentence.Checker({
        'type': 'object',
        'properties': {'type': {}, 'resource_id': _RESOURCE_ID, **_EVENT},
        'additionalProperties': False}),
    composite.ALARM: sentence.Checker({
        'type': 'object',
        'properties': {'type': {}, 'alarm_id': {
            'type': 'string', 'minLength': 1, 'maxLength': 36}},
        'required': ['alarm_id'],
        'additionalProperties': False})}
STATE_CHECKER = sentence.Checker({'enum': list(STATES)})
