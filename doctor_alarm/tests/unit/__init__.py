# SPDX-License-Identifier: Apache-2.0

import os

if os.environ.get('DOCTOR_ALARM_FUZZ') == 'long':
    # Those that say nothing of their own about how many they try.
    import hypothesis

    hypothesis.settings.register_profile(
        'long', max_examples=10000, deadline=None)
    hypothesis.settings.load_profile('long')
    os.environ.setdefault('OS_TEST_TIMEOUT', '36000')
