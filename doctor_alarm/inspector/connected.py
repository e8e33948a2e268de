# SPDX-License-Identifier: Apache-2.0
"""The way of the inspector to nova and neutron."""
from __future__ import annotations

import threading
from typing import Any

from oslo_config import cfg

from doctor_alarm.conf import inspector as options
from doctor_alarm import session


class Connected:
    """Finds nova and neutron when they are needed; from any thread.

    :raises ConfigurationError: the options do not fit together
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._options = conf[options.GROUP]
        self._session = session.load(conf, options.GROUP)
        self._lock = threading.Lock()
        self._cloud: Any = None

    def forget(self) -> None:
        """Look for nova and neutron anew; they may have moved."""
        with self._lock:
            self._cloud = None

    def _connected(self) -> Any:
        # Here, for it asks Keystone: that may be away at start.
        with self._lock:
            if self._cloud is None:
                self._cloud = session.connect(
                    self._session, self._options, {
                        'compute': self._options.endpoint,
                        'network': self._options.network_endpoint,
                        'instance_ha': self._options.masakari_endpoint})
            return self._cloud
