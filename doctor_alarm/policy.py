# SPDX-License-Identifier: Apache-2.0
"""Enforces the policies."""
from __future__ import annotations

from collections.abc import Mapping
import itertools
import sys
import time

from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_policy import policy as oslo_policy

from doctor_alarm import conf as project_conf
from doctor_alarm import exception
from doctor_alarm import policies


#: Seconds until a changed file is noticed.
LOOK = 1.0


class Enforcer(oslo_policy.Enforcer):
    """Looks now and then, and not for each decision, for changed files."""

    _next_look = float('-inf')

    def load_rules(self, force_reload: bool = False) -> None:
        """Load the rules, if it is time to."""
        now = time.monotonic()
        if force_reload or now >= self._next_look:
            super().load_rules(force_reload)
            self._next_look = now + LOOK


def make_enforcer(conf: cfg.ConfigOpts) -> oslo_policy.Enforcer:
    """Return an enforcer of the defaults and of the operator's file."""
    enforcer = Enforcer(conf)
    enforcer.register_defaults(policies.list_rules())
    return enforcer


def get_enforcer() -> oslo_policy.Enforcer:
    """Return an enforcer for the tools of oslo.policy.

    They parse their own command line and leave ours the configuration
    files.
    """
    argv: list[str] = []
    for arg, following in itertools.pairwise([*sys.argv[1:], '']):
        if arg.startswith('--config-'):
            argv.append(arg)
            if '=' not in arg:
                argv.append(following)
    return make_enforcer(project_conf.prepare(argv))


def allows(enforcer: oslo_policy.Enforcer, rule: str,
           context: oslo_context.RequestContext,
           target: Mapping[str, str] | None = None) -> bool:
    """Whether the caller may do something to the target.

    :param target: default: what belongs to the caller's own project
    """
    if target is None:
        target = {'project_id': context.project_id or ''}
    return bool(enforcer.authorize(rule, dict(target), context))


def enforce(enforcer: oslo_policy.Enforcer, rule: str,
            context: oslo_context.RequestContext,
            target: Mapping[str, str] | None = None) -> None:
    """Refuse what the caller may not do.

    :raises Forbidden: always the same sentence, whatever the rule
    """
    if not allows(enforcer, rule, context, target):
        raise exception.Forbidden()
