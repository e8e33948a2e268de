# SPDX-License-Identifier: Apache-2.0
"""Policies of what is counted of the alarms, under Aodh's names."""
from oslo_policy import policy

from doctor_alarm.policies import base

GET = 'telemetry:get_metrics'
GET_ALL = 'telemetry:get_metrics:all_projects'

RULES = [
    policy.DocumentedRuleDefault(
        name=GET, check_str=base.READER_OR_ADMIN,
        description='Show what evaluations of the alarms of the project led '
                    'to.',
        scope_types=base.SCOPE,
        operations=[{'method': 'GET', 'path': '/v2/metrics'}]),
    policy.DocumentedRuleDefault(
        name=GET_ALL, check_str=base.ADMIN,
        description='Show what evaluations of all alarms led to.',
        scope_types=base.SCOPE,
        operations=[{'method': 'GET',
                     'path': '/v2/metrics?all_projects=true'}]),
]
