# SPDX-License-Identifier: Apache-2.0
"""Policies of events that come over HTTP."""
from oslo_policy import policy

from doctor_alarm.policies import base

CREATE = 'telemetry:create_event'
CREATE_ANY_OWNER = 'telemetry:create_event:any_owner'

_OPERATIONS: list[policy.Operation] = [
    {'method': 'POST', 'path': '/v1/events'},
    {'method': 'PUT', 'path': '/v1/events'},
    {'method': 'POST', 'path': '/v1/event'},
    {'method': 'PUT', 'path': '/v1/event'},
    {'method': 'POST', 'path': '/events'},
    {'method': 'PUT', 'path': '/events'},
    {'method': 'POST', 'path': '/v1/events/alertmanager'}]

RULES = [
    policy.DocumentedRuleDefault(
        name=CREATE,
        check_str='%s or (%s)' % (base.MONITOR_OR_ADMIN, base.PROJECT_MEMBER),
        description='Post events of the own project.',
        scope_types=base.SCOPE, operations=_OPERATIONS),
    policy.DocumentedRuleDefault(
        name=CREATE_ANY_OWNER, check_str=base.MONITOR_OR_ADMIN,
        description='Post events that name another project, or none, as '
                    'the owner of the resource, and that alarms on the '
                    'events of all projects see.',
        scope_types=base.SCOPE, operations=_OPERATIONS),
]
