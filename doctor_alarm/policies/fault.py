# SPDX-License-Identifier: Apache-2.0
"""Policies of faults: they name hosts, and servers of every project."""
from oslo_policy import policy

from doctor_alarm.policies import base

LIST = 'telemetry:get_faults'
GET = 'telemetry:get_fault'

RULES = [
    policy.DocumentedRuleDefault(
        name=LIST, check_str=base.ADMIN,
        description='List the faults that inspectors told of.',
        scope_types=base.SCOPE,
        operations=[{'method': 'GET', 'path': '/v1/faults'}]),
    policy.DocumentedRuleDefault(
        name=GET, check_str=base.ADMIN,
        description='Show a fault, its servers, and its way to the '
                    'receivers.',
        scope_types=base.SCOPE,
        operations=[{'method': 'GET', 'path': '/v1/faults/{fault_id}'}]),
]
