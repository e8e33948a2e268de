# SPDX-License-Identifier: Apache-2.0
"""Policies of deliveries."""
from oslo_policy import policy

from doctor_alarm.policies import base

LIST = 'telemetry:get_deliveries'

RULES = [
    policy.DocumentedRuleDefault(
        name=LIST, check_str=base.READER_OR_ADMIN,
        description='Show what an alarm delivered and when.',
        scope_types=base.SCOPE,
        operations=[{'method': 'GET',
                     'path': '/v2/alarms/{alarm_id}/deliveries'}]),
]
