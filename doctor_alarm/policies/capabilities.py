# SPDX-License-Identifier: Apache-2.0
"""Policies of what the service tells about itself."""
from oslo_policy import policy

from doctor_alarm.policies import base

GET = 'telemetry:get_capabilities'

RULES = [
    policy.DocumentedRuleDefault(
        name=GET, check_str='(%s) or role:reader or role:member' % base.ADMIN,
        description='Show what the API can do.',
        scope_types=base.SCOPE,
        operations=[{'method': 'GET', 'path': '/v2/capabilities'}]),
]
