# SPDX-License-Identifier: Apache-2.0
"""Who calls: the context of a request."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oslo_context import context as oslo_context

#: Who calls a service without authentication that says nothing of itself.
NOBODY = {'project_id': 'admin', 'user_id': 'admin', 'roles': ['admin']}

_IDENTITY = ('HTTP_X_USER_ID', 'HTTP_X_PROJECT_ID', 'HTTP_X_ROLES')


class Context(oslo_context.RequestContext):
    """Who calls.

    ``anonymous``: nobody asked for an identity and none was given; such a
    caller has no project of its own to be confined to.
    """

    def __init__(self, *args: Any, anonymous: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.anonymous = anonymous


def from_environ(environ: Mapping[str, Any], noauth: bool) -> Context:
    """Return the context of a WSGI request.

    With ``noauth`` the headers are taken as sent, an empty ``X-Roles`` is no
    role; who sends none of them is an admin. Without it they are those of
    keystonemiddleware, which removes what a client sent of them.
    """
    values: dict[str, Any] = {}
    if noauth and not any(name in environ for name in _IDENTITY):
        values.update(NOBODY, anonymous=True)
    if 'openstack.request_id' in environ:
        values['request_id'] = environ['openstack.request_id']
    return Context.from_environ(dict(environ), **values)
