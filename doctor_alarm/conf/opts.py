# SPDX-License-Identifier: Apache-2.0
"""Entry point of oslo-config-generator."""
from oslo_config import cfg

from doctor_alarm import conf


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return (group, options) of the service."""
    return conf.groups()
