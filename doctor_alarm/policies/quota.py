# SPDX-License-Identifier: Apache-2.0
"""Policies of quotas, under Aodh's names."""
from oslo_policy import policy

from doctor_alarm.policies import base

GET = 'telemetry:get_quotas'
UPDATE = 'telemetry:update_quotas'
DELETE = 'telemetry:delete_quotas'

RULES = [
    policy.DocumentedRuleDefault(
        name=GET, check_str=base.READER_OR_ADMIN,
        description='Show the quotas of a project.',
        scope_types=base.SCOPE,
        operations=[{'method': 'GET', 'path': '/v2/quotas'},
                    {'method': 'GET', 'path': '/v2/quotas/{project_id}'}]),
    policy.DocumentedRuleDefault(
        name=UPDATE, check_str=base.ADMIN,
        description='Set the quotas of a project.',
        scope_types=base.SCOPE,
        operations=[{'method': 'POST', 'path': '/v2/quotas'}]),
    policy.DocumentedRuleDefault(
        name=DELETE, check_str=base.ADMIN,
        description='Let the default quotas hold for a project.',
        scope_types=base.SCOPE,
        operations=[{'method': 'DELETE',
                     'path': '/v2/quotas/{project_id}'}]),
]
