# SPDX-License-Identifier: Apache-2.0
"""The requests of ``gabbits`` to the standalone service."""

from doctor_alarm.tests import gabbing

load_tests = gabbing.loader(__name__, gabbing.Live)
