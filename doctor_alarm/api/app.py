# SPDX-License-Identifier: Apache-2.0
"""The WSGI application."""
from __future__ import annotations

import datetime
import importlib.metadata
from typing import Any
import zoneinfo

from keystoneauth1 import exceptions as keystone_exc
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_middleware import cors
from oslo_middleware import http_proxy_to_wsgi
from oslo_middleware import request_id
import pecan

from doctor_alarm.api import alertmanager
from doctor_alarm.api import basic_auth
from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm.api.controllers import root
from doctor_alarm.api import errors
from doctor_alarm.api import hooks
from doctor_alarm.api import repetitions
from doctor_alarm.api import window
from doctor_alarm.api import request_log
from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm import exception
from doctor_alarm import guard
from doctor_alarm.objects import announcement
from doctor_alarm import policy

NOTIFIERS = 'doctor_alarm.notifier'
PUBLISHER_ID = 'doctor_alarm.api'


class Request(pecan.Request):
    """A request whose body is for its controller alone.

    Pecan would parse it too, for arguments that the controllers do not have.
    """

    @property
    def json(self) -> Any:
        raise ValueError('see body.read')

    @property
    def params(self) -> Any:
        return self.GET


class _Pecan(pecan.Pecan):      # type: ignore[misc]
    """Asks the root for the way, and nothing else.

    Pecan's own way inspects the signatures of the nodes for each request.
    """

    def route(self, req: Any, node: base.Resource,
              path: str) -> tuple[Any, list[str]]:
        found: tuple[Any, list[str]] = node._route(path.split('/')[1:], req)
        return found


def build_app(conf: cfg.ConfigOpts, db: db_api.Database,
              events: base.Events) -> Any:
    """Return the application: pecan inside the middlewares of OpenStack.

    :param events: where events that come over HTTP go
    :raises ConfigurationError: it can not work as configured
    """
    noauth = conf.api.auth_mode == 'noauth'
    services = base.Services(
        conf=conf, db=db, enforcer=policy.make_enforcer(conf),
        events=events, actions=installed_actions(), guard=guard.make(conf),
        vault=credential.make(conf), alerts=alertmanager.load(conf),
        zone=timezone(conf),
        window=window.Window(db, conf.event.duplicate_window),
        repetitions=repetitions.Repetitions(conf.event.repetition_interval),
        tell=announcement.teller(conf, PUBLISHER_ID))
    app: Any = _Pecan(
        root.Root(services), use_context_locals=False, request_cls=Request,
        hooks=[hooks.ContextHook(noauth), hooks.ErrorHook(),
               hooks.CountHook()],
        default_renderer='json', force_canonical=False,
        guess_content_type_from_ext=False)
    if conf.api.auth_mode == 'keystone':
        app = _with_keystone(conf, app)
    elif conf.api.auth_mode == 'http_basic':
        app = basic_auth.BasicAuth(app, conf)
    app = body.Limit(app, conf.api.max_body_size)
    app = errors.Uniform(app)
    app = _with_cors(conf, app)
    app = request_id.RequestId(request_log.Logged(app))
    return http_proxy_to_wsgi.HTTPProxyToWSGI(app, conf)


def _with_cors(conf: cfg.ConfigOpts, app: Any) -> Any:
    conf.register_opts(cors.OPTS, group='cors')
    # The middleware would answer every OPTIONS with 200.
    return cors.CORS(app, conf) if conf.cors.allowed_origin else app


def check_keystone(conf: cfg.ConfigOpts) -> None:
    """Look whether tokens can be checked as configured; asks nobody.

    :raises ConfigurationError: they can not
    """
    if conf.api.auth_mode == 'keystone':
        _with_keystone(conf, None)


def _with_keystone(conf: cfg.ConfigOpts, app: Any) -> Any:
    # The decision is left to us: versions and metrics need no token.
    where = '[keystone_authtoken]'
    try:
        app = auth_token.AuthProtocol(app, {
            'oslo_config_config': conf, 'delay_auth_decision': True})
    except keystone_exc.ClientException as exc:
        raise exception.ConfigurationError(
            where=where, reason=str(exc)) from exc
    options = conf.keystone_authtoken
    if not (options.auth_type or options.auth_section):
        raise exception.ConfigurationError(
            where=where, reason='auth_type is not set: no token could be '
            'checked, see [api] auth_mode')
    return app


def timezone(conf: cfg.ConfigOpts) -> datetime.tzinfo:
    """Return the zone of posted times that tell none.

    :raises ConfigurationError: there is no such zone
    """
    name = conf.event.timezone
    if name.upper() == 'UTC':
        return datetime.timezone.utc
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise exception.ConfigurationError(
            where='[event] timezone', reason='%r is no time zone, or not one '
            'that this host knows' % name) from exc


def installed_actions() -> frozenset[str]:
    """Return the schemes of action URLs that a notifier plugin serves."""
    return frozenset(
        point.name
        for point in importlib.metadata.entry_points(group=NOTIFIERS))
