# SPDX-License-Identifier: Apache-2.0
"""The requests of ``gabbits`` in this process, on SQLite."""

from doctor_alarm.tests import gabbing

load_tests = gabbing.loader(__name__, gabbing.InProcess)
