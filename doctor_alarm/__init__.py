# SPDX-License-Identifier: Apache-2.0
"""Event-driven alarm service for OpenStack and NFV clouds.

What an event does, in the order of the packages that it meets::

    agent      bus notification -> Event -> publisher
    api        POST /v1/events  -> Event -> publisher
    evaluator  [Event] -> look up by key -> match -> transition
               -> one transaction {state, history, active alarm, deliveries}
    notifier   delivery -> plugin (http, log, ...) -> outcome committed

The pure heart is in ``event``, ``match`` and ``transition``; ``objects`` holds
the SQL; ``standalone`` wires the same stages in one process without a bus.
"""
import warnings as _warnings

# oslo.service requires eventlet, so that it is installed, and it warns as
# soon as a library looks whether it is. Nothing here uses it.
_warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

from oslo_service import backend as _backend  # noqa: E402

# The first import of oslo.service or oslo.messaging chooses; without a word
# it would be eventlet.
_backend.register_backend_default_hook(
    lambda: _backend.BackendType.THREADING)
