# SPDX-License-Identifier: Apache-2.0
"""What every controller is: a node of the tree of URLs.

Pecan finds controllers by attribute names and mixes query and body into
arguments; here a node says what is below it, and its methods are HTTP's.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any, ClassVar, Protocol

from oslo_config import cfg
from oslo_policy import policy as oslo_policy
import pecan
import webob
import webob.exc

from doctor_alarm.api import alertmanager
from doctor_alarm.api import repetitions
from doctor_alarm.api import window
from doctor_alarm import context
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm import event
from doctor_alarm import guard
from doctor_alarm.objects import announcement
from doctor_alarm.objects import change
from doctor_alarm.policies import base as base_policy
from doctor_alarm import policy

METHODS = {'GET': 'get', 'HEAD': 'get', 'POST': 'post', 'PUT': 'put',
           'DELETE': 'delete'}

#: Answer of a method, rendered as JSON.
json: Callable[[Any], Any] = pecan.expose('json')
#: Answer that the method makes itself, a response.
plain: Callable[[Any], Any] = pecan.expose()


class Events(Protocol):
    """Where events that come over HTTP go."""

    def accept(self, events: list[event.Event]) -> None:
        """Return when they are durable.

        :raises PublishFailed: they are still the caller's
        """


@dataclasses.dataclass(frozen=True)
class Services:
    """What the controllers work with.

    ``alerts``: what becomes of the alerts of Alertmanager.
    ``zone``: of posted times that tell none.
    ``window``: tells repetitions from news.
    ``repetitions``: what was taken a moment before.
    ``tell``: takes what changed, after the commit.
    ``actions``: schemes of URLs for which there is a notifier plugin.
    ``guard``: where such a URL may lead.
    ``vault``: encrypts the credentials in it.
    """

    conf: cfg.ConfigOpts
    db: db_api.Database
    enforcer: oslo_policy.Enforcer
    events: Events
    actions: frozenset[str]
    guard: guard.Guard
    vault: credential.Vault
    alerts: alertmanager.Rules
    zone: datetime.tzinfo
    window: window.Window
    repetitions: repetitions.Repetitions
    tell: announcement.Tell = announcement.nobody


class Resource:
    """A node: ``get``, ``post``, ``put``, ``delete`` if it has them.

    ``public``: answered without authentication.
    ``below``: name -> what is below by this name.
    ``items``: what is below by any other name, and what such a name is
    called where routes are written down. Tests walk both.
    ``ids``: what stands for such names in the path.
    """

    public: ClassVar[bool] = False
    below: ClassVar[Mapping[str, type[Resource]]] = {}
    items: ClassVar[tuple[str, type[Resource]] | None] = None

    def __init__(self, services: Services, *ids: str) -> None:
        self.services = services
        self.ids = ids
        self._made: dict[str, Resource] = {}

    def child(self, name: str) -> Resource | None:
        """Return the node below this one, if there is such a one."""
        kind = self.below.get(name)
        if kind is not None:
            if name not in self._made:
                self._made[name] = kind(self.services, *self.ids)
            return self._made[name]
        if self.items is not None:
            return self.items[1](self.services, *self.ids, name)
        return None

    @pecan.expose()
    def _route(self, remainder: list[str],
               request: webob.Request) -> tuple[Any, list[str]]:
        path = [part for part in remainder if part]
        node: Resource | None = self
        while path and node is not None:
            node = node.child(path.pop(0))
        methods = {} if node is None else node._methods()
        if not methods:
            raise webob.exc.HTTPNotFound('Unknown path %s' % request.path)
        if request.method not in methods:
            raise webob.exc.HTTPMethodNotAllowed(
                'Method %.20s is not allowed here' % request.method,
                headers={'Allow': ', '.join(methods)})
        return methods[request.method], []

    def _methods(self) -> dict[str, Any]:
        return {name: getattr(self, attribute)
                for name, attribute in METHODS.items()
                if hasattr(self, attribute)}


def caller_of(request: webob.Request) -> context.Context:
    """Return who calls."""
    found: context.Context = request.context['caller']
    return found


def actor_of(request: webob.Request) -> change.Actor:
    """Return who calls, as the history keeps it."""
    caller = caller_of(request)
    return change.Actor(caller.user_id or '', caller.project_id or '')


def is_admin(services: Services, request: webob.Request) -> bool:
    """Whether the caller may act on what belongs to any project."""
    return policy.allows(
        services.enforcer, base_policy.IS_ADMIN, caller_of(request))


def enforce(services: Services, request: webob.Request, rule: str,
            target: Mapping[str, str] | None = None) -> None:
    """Refuse what the caller may not do.

    :param target: default: what belongs to the caller's own project
    :raises Forbidden: it is not allowed
    """
    policy.enforce(services.enforcer, rule, caller_of(request), target)
