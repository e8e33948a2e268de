# SPDX-License-Identifier: Apache-2.0
"""Policies of alarms, under Aodh's names."""
from oslo_policy import policy

from doctor_alarm.policies import base

GET = 'telemetry:get_alarm'
LIST = 'telemetry:get_alarms'
LIST_ALL = 'telemetry:get_alarms:all_projects'
QUERY = 'telemetry:query_alarm'
CREATE = 'telemetry:create_alarm'
CREATE_ALL = 'telemetry:create_alarm:all_projects'
TEST = 'telemetry:test_alarm'
CHANGE = 'telemetry:change_alarm'
DELETE = 'telemetry:delete_alarm'
GET_STATE = 'telemetry:get_alarm_state'
CHANGE_STATE = 'telemetry:change_alarm_state'
HISTORY = 'telemetry:alarm_history'
QUERY_HISTORY = 'telemetry:query_alarm_history'

_ALARM = '/v2/alarms/{alarm_id}'


def _rule(name: str, check: str, description: str, method: str, path: str,
          ) -> policy.DocumentedRuleDefault:
    return policy.DocumentedRuleDefault(
        name=name, check_str=check, description=description,
        scope_types=base.SCOPE,
        operations=[{'method': method, 'path': path}])


RULES = [
    _rule(GET, base.READER_OR_ADMIN, 'Show an alarm.', 'GET', _ALARM),
    _rule(LIST, base.READER_OR_ADMIN, 'List the alarms of the project.',
          'GET', '/v2/alarms'),
    _rule(LIST_ALL, base.ADMIN, 'List the alarms of all projects.',
          'GET', '/v2/alarms?q.field=all_projects'),
    _rule(QUERY, base.READER_OR_ADMIN, 'Find alarms by a complex query.',
          'POST', '/v2/query/alarms'),
    _rule(CREATE, base.MEMBER_OR_ADMIN, 'Create an alarm.',
          'POST', '/v2/alarms'),
    _rule(CREATE_ALL, base.ADMIN,
          'Create an alarm on the events of all projects and of the cloud, '
          'or try its rule.',
          'POST', '/v2/alarms'),
    _rule(TEST, base.READER_OR_ADMIN, 'Try a rule with an event.', 'POST',
          '/v2/alarms/test'),
    _rule(CHANGE, base.MEMBER_OR_ADMIN, 'Replace an alarm.', 'PUT', _ALARM),
    _rule(DELETE, base.MEMBER_OR_ADMIN, 'Delete an alarm.', 'DELETE',
          _ALARM),
    _rule(GET_STATE, base.READER_OR_ADMIN, 'Show the state of an alarm.',
          'GET', _ALARM + '/state'),
    _rule(CHANGE_STATE, base.MEMBER_OR_ADMIN, 'Set the state of an alarm.',
          'PUT', _ALARM + '/state'),
    _rule(HISTORY, base.READER_OR_ADMIN, 'Show the history of an alarm.',
          'GET', _ALARM + '/history'),
    _rule(QUERY_HISTORY, base.READER_OR_ADMIN,
          'Find history by a complex query.', 'POST',
          '/v2/query/alarms/history'),
]
