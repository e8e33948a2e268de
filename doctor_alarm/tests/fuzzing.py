# SPDX-License-Identifier: Apache-2.0
"""What the tests that make up their input have in common.

They try a hundred inputs each; with ``DOCTOR_ALARM_FUZZ=long`` in the
environment ten thousand. An input that fails is kept in ``.hypothesis`` and
tried first the next time.
"""

import os

import hypothesis
from hypothesis import strategies as st

LONG = os.environ.get('DOCTOR_ALARM_FUZZ') == 'long'

settings = hypothesis.settings(
    deadline=None, max_examples=10000 if LONG else 100,
    suppress_health_check=list(hypothesis.HealthCheck))
#: Where an input costs ten times as much.
costly = hypothesis.settings(
    settings, max_examples=10000 if LONG else 30)
#: Seconds for a test class
TIMEOUT = 36000 if LONG else 900

#: Texts that databases, encoders and comparisons stumble over.
TEXTS = st.text(max_size=20) | st.sampled_from((
    '', '\0', '\ud800', '\U0001f4a5', '0', '-1', '1e999', 'nan', 'True',
    'null', '{}', "' OR 1=1 --", '%s%n', '\x1f', 'é', 'e\u0301', 'x' * 300,
    '2026-11-20T10:00:00', '0001-01-01T00:00:00+23:59',
    '9999-12-31T23:59:59-23:59', '2026-02-30T00:00:00Z', '*', 'compute.*'))
#: Whatever JSON can say, and what Python's reader takes besides.
SCALARS = (
    st.none() | st.booleans() | st.integers() | TEXTS
    | st.integers(min_value=-2 ** 70, max_value=2 ** 70)
    | st.floats(allow_nan=True, allow_infinity=True))


def docs(names=TEXTS, scalars=SCALARS, leaves=20):
    """Return documents whose objects have such names."""
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
            names, inner, max_size=5), max_leaves=leaves)
