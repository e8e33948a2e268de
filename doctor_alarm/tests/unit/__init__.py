# SPDX-License-Identifier: Apache-2.0
"""Unit tests. Those that make up their input measure no time.

Else a busy machine, on which an input takes longer than 0.2 s, would fail
them.
"""

import os

import hypothesis

hypothesis.settings.register_profile(
    'patient', deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck))
hypothesis.settings.load_profile('patient')
if os.environ.get('DOCTOR_ALARM_FUZZ') == 'long':
    # Those that say nothing of their own about how many they try.
    hypothesis.settings.register_profile(
        'long', hypothesis.settings.get_profile('patient'),
        max_examples=10000)
    hypothesis.settings.load_profile('long')
    os.environ.setdefault('OS_TEST_TIMEOUT', '36000')
