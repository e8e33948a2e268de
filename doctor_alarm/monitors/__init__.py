# SPDX-License-Identifier: Apache-2.0
"""Monitors: they look for faults and post what they find to the event API.

::

    plugin (ping, nova_service, libvirt, ...) -> Finding
        -> buffer (bounded) -> sender -> POST /v1/events
"""
