# SPDX-License-Identifier: Apache-2.0
"""The WSGI application."""
from __future__ import annotations

import importlib.metadata
from typing import Any

from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_middleware import http_proxy_to_wsgi
from oslo_middleware import request_id
import pecan

from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm.api.controllers import root
from doctor_alarm.api import errors
from doctor_alarm.api import hooks
from doctor_alarm.db import api as db_api
from doctor_alarm import policy

NOTIFIERS = 'doctor_alarm.notifier'


class Request(pecan.Request):
    """A request whose body is read once, by its controller."""

    @property
    def json(self) -> Any:
        raise ValueError('see body.read')

    json_body = json


def build_app(conf: cfg.ConfigOpts, db: db_api.Database,
              events: base.Events) -> Any:
    """Return the application: pecan inside the middlewares of OpenStack.

    :param events: where events that come over HTTP go
    """
    noauth = conf.api.auth_mode == 'noauth'
    services = base.Services(
        conf=conf, db=db, enforcer=policy.make_enforcer(conf),
        events=events, actions=installed_actions())
    app: Any = pecan.Pecan(
        root.Root(services), use_context_locals=False, request_cls=Request,
        hooks=[hooks.ContextHook(noauth), hooks.ErrorHook()],
        default_renderer='json', force_canonical=False,
        guess_content_type_from_ext=False)
    if not noauth:
        # The decision is left to us: versions and metrics need no token.
        app = auth_token.AuthProtocol(app, {
            'oslo_config_config': conf, 'delay_auth_decision': True})
    app = body.Limit(app, conf.api.max_body_size)
    app = errors.Uniform(app)
    app = request_id.RequestId(app)
    return http_proxy_to_wsgi.HTTPProxyToWSGI(app, conf)


def installed_actions() -> frozenset[str]:
    """Return the schemes of action URLs that a notifier plugin serves."""
    return frozenset(
        point.name
        for point in importlib.metadata.entry_points(group=NOTIFIERS))
