# SPDX-License-Identifier: Apache-2.0
"""``test://``: deliveries are kept in memory, for tests."""
from __future__ import annotations

import json
import time
from typing import Any

from oslo_config import cfg

from doctor_alarm.notifier import base
from doctor_alarm.notifier import body

#: Deliveries that are kept at most: the scheme can be used by mistake.
LIMIT = 10000


class TestNotifier(base.Notifier):
    """Keeps the bodies that an HTTP receiver would have got."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self.received: list[dict[str, Any]] = []

    async def deliver(self, delivery: base.Delivery) -> base.Outcome:
        """Keep a delivery; forget the oldest ones."""
        self.received.append(json.loads(
            body.build(delivery, time.time_ns() // 1000)))
        del self.received[:-LIMIT]
        return base.Outcome.delivered()
