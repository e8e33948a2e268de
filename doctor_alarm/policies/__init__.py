# SPDX-License-Identifier: Apache-2.0
"""Policies of the API, one module per noun."""
from __future__ import annotations

import itertools

from oslo_policy import policy

from doctor_alarm.policies import alarm
from doctor_alarm.policies import base
from doctor_alarm.policies import capabilities
from doctor_alarm.policies import delivery
from doctor_alarm.policies import event
from doctor_alarm.policies import fault
from doctor_alarm.policies import metrics
from doctor_alarm.policies import quota


def list_rules() -> list[policy.RuleDefault]:
    """Return every policy; entry point of oslopolicy-sample-generator."""
    return list(itertools.chain(
        base.RULES, alarm.RULES, capabilities.RULES, delivery.RULES,
        event.RULES, fault.RULES, metrics.RULES, quota.RULES))
