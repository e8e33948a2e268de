# SPDX-License-Identifier: Apache-2.0
"""Policies of deliveries."""
from oslo_policy import policy

from doctor_alarm.policies import base

LIST = 'telemetry:get_deliveries'
GET = 'telemetry:get_delivery'
RETRY = 'telemetry:retry_delivery'

RULES = [
    policy.DocumentedRuleDefault(
        name=LIST, check_str=base.READER_OR_ADMIN,
        description='Show what was delivered and when.',
        scope_types=base.SCOPE,
        operations=[{'method': 'GET',
                     'path': '/v2/alarms/{alarm_id}/deliveries'},
                    {'method': 'GET', 'path': '/v2/deliveries'}]),
    policy.DocumentedRuleDefault(
        name=GET, check_str=base.READER_OR_ADMIN,
        description='Show a delivery.', scope_types=base.SCOPE,
        operations=[{'method': 'GET',
                     'path': '/v2/deliveries/{delivery_id}'}]),
    policy.DocumentedRuleDefault(
        name=RETRY, check_str=base.MEMBER_OR_ADMIN,
        description='Send a delivery again that was given up.',
        scope_types=base.SCOPE,
        operations=[{'method': 'POST',
                     'path': '/v2/deliveries/{delivery_id}/retry'}]),
]
