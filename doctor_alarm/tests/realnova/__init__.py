# SPDX-License-Identifier: Apache-2.0
"""A real nova for the functional tests.

nova (API, conductor, scheduler and two computes with the fake driver),
placement and Keystone from PyPI, on loopback, with the brokers and databases
of doctor_alarm.tests.services; Glance and neutron are a stub. They boot,
reset, force down, evacuate and delete for real, and say so on the bus.

Tests derive from ``base.TestCase`` and use ``self.nova``, a
``stack.RealNova``. The first start installs the packages into a cache (about
a minute, 450 MB) and keeps the prepared databases there as well.
"""
