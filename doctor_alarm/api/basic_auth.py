# SPDX-License-Identifier: Apache-2.0
"""HTTP basic authentication, for clouds and monitors without Keystone.

The passwords are where every service with oslo.middleware has them: an Apache
htpasswd file with bcrypt. What oslo.middleware does not know is a project and
roles; these come from the configuration.
"""
from __future__ import annotations

from collections.abc import Iterable
import hashlib
import hmac
import math
import os
import secrets
import threading
from typing import Any

from oslo_config import cfg
from oslo_middleware import basic_auth
from oslo_middleware import exceptions
from oslo_middleware import http_proxy_to_wsgi
import webob
import webob.dec
import webob.exc

from doctor_alarm.api import errors
from doctor_alarm.api import throttle
from doctor_alarm import exception

GROUP = 'oslo_middleware'
CHALLENGE = 'Basic realm="doctor-alarm"'

#: What a service behind Keystone is told of the caller; a client is not
#: believed when it says so itself.
_CLAIMS = ('HTTP_X_IDENTITY', 'HTTP_X_USER', 'HTTP_X_PROJECT',
           'HTTP_X_TENANT', 'HTTP_X_DOMAIN', 'HTTP_X_ROLE', 'HTTP_X_SERVICE',
           'HTTP_X_IS_ADMIN', 'HTTP_X_AUTH_TOKEN', 'HTTP_X_STORAGE_TOKEN',
           'HTTP_OPENSTACK_SYSTEM_SCOPE')
#: Passwords that were right a moment ago: bcrypt is slow on purpose, and a
#: monitor that reports a fault is in a hurry.
_REMEMBERED = 1000


class BasicAuth:
    """Tells the application who calls, as keystonemiddleware does.

    Who does not prove it is nobody; the application refuses or serves him.
    Who fails again and again has to wait.
    """

    def __init__(self, app: Any, conf: cfg.ConfigOpts) -> None:
        """Read what is configured.

        :raises ConfigurationError: the file or the list of users is wrong
        """
        conf.register_opts(basic_auth.OPTS, group=GROUP)
        conf.register_opts(http_proxy_to_wsgi.OPTS, group=GROUP)
        self._app = app
        self._file = conf[GROUP].http_basic_auth_user_file
        _check_file(self._file)
        self._users = parse_users(conf.api.http_basic_users)
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        self._proxied = conf[GROUP].enable_proxy_headers_parsing
        self._throttle = throttle.Throttle(conf.api.http_basic_failures)
        self._lock = threading.Lock()

    @webob.dec.wsgify
    def __call__(self, request: webob.Request) -> webob.Response:
        environ = request.environ
        for name in [n for n in environ if n.startswith(_CLAIMS)]:
            del environ[name]
        name, pause = '', 0.0
        if 'HTTP_AUTHORIZATION' in environ:
            name, pause = self._log_in(environ)
        if name:
            environ.update(HTTP_X_IDENTITY_STATUS='Confirmed',
                           HTTP_X_USER_ID=name, HTTP_X_USER_NAME=name,
                           **self._users.get(name, {}))
        answer = request.get_response(self._app)
        if answer.status_int == 401:
            if pause:
                return _wait(pause)
            answer.headers['WWW-Authenticate'] = CHALLENGE
        return answer

    def _log_in(self, environ: dict[str, Any]) -> tuple[str, float]:
        """Return the name that was proven, empty: none; and for how long not.

        While somebody has to wait, a right password is not known either:
        how quickly it is refused must tell nothing.
        """
        try:
            name, password = basic_auth.parse_token(
                basic_auth.parse_header(environ))
        except webob.exc.HTTPException:
            return '', 0.0
        # It is logged, and it is an id.
        if not name or not name.isprintable():
            return '', 0.0
        who = throttle.who(throttle.client(environ, self._proxied), name)
        pause = self._throttle.pause(who)
        if pause:
            return '', pause
        try:
            self._check(name, password)
        except (webob.exc.HTTPUnauthorized, ValueError):
            # ValueError: no bcrypt takes more than 72 bytes.
            self._throttle.failed(who)
            return '', 0.0
        except (webob.exc.HTTPException, OSError):
            return '', 0.0      # the file is at fault
        self._throttle.passed(who)
        return name, 0.0

    def _check(self, name: str, password: bytes) -> None:
        key = self._digest(name, password)
        if key not in self._right:
            basic_auth.authenticate(self._file, name, password)
            self._remember(key)

    def _digest(self, name: str, password: bytes) -> bytes:
        found = os.stat(self._file)
        text = '%d %d %d %s:' % (
            found.st_mtime_ns, found.st_size, found.st_ino, name)
        return hmac.digest(
            self._key, text.encode() + password, hashlib.sha256)

    def _remember(self, key: bytes) -> None:
        with self._lock:
            while len(self._right) >= _REMEMBERED:
                del self._right[next(iter(self._right))]
            self._right[key] = None


def _wait(pause: float) -> webob.Response:
    answer = errors.make(429, 'Too many logins failed, try again later')
    answer.retry_after = math.ceil(pause)
    return answer


def parse_users(entries: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return name -> what the application is told of this user.

    :param entries: ``name:project:role|role``
    :raises ConfigurationError: one of them is not
    """
    users: dict[str, dict[str, str]] = {}
    for entry in entries:
        parts = [part.strip() for part in entry.split(':')]
        if len(parts) != 3 or not all(parts) or parts[0] in users:
            raise exception.ConfigurationError(
                where='[api] http_basic_users', reason=(
                    '%r is not name:project:role|role, each name once'
                    % entry))
        name, project, roles = parts
        users[name] = {'HTTP_X_PROJECT_ID': project,
                       'HTTP_X_ROLES': ','.join(roles.split('|'))}
    return users


def _check_file(path: str) -> None:
    where = '[%s] http_basic_auth_user_file = %s' % (GROUP, path)
    try:
        with open(path):
            basic_auth.validate_auth_file(path)
    except OSError as exc:
        raise exception.ConfigurationError(
            where=where, reason=exc.strerror or str(exc)) from exc
    except (webob.exc.HTTPException, exceptions.ConfigInvalid,
            ValueError) as exc:
        raise exception.ConfigurationError(
            where=where, reason='not an htpasswd file with bcrypt: %s'
            % exc) from exc
