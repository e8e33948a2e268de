# SPDX-License-Identifier: Apache-2.0
"""The routes of the API, read from its tree of controllers.

There is no list of them in the tests: a controller that is added is found,
and misses its policy, its section in the API reference, its requests in
``functional/gabbits`` and its samples until it has them.
"""

import dataclasses
import re

from doctor_alarm.api.controllers import base
from doctor_alarm.api.controllers import root

#: What stands for any name in the path of a route.
PARAMETER = re.compile(r'{\w+}')


@dataclasses.dataclass(frozen=True, order=True)
class Route:
    """A method of a path, such as ``GET /v2/alarms/{alarm_id}``."""

    path: str
    method: str
    public: bool = dataclasses.field(compare=False, default=False)

    def __str__(self):
        return '%s %s' % (self.method, self.path)


def everything(kind=root.Root, path=''):
    """Return the routes of a controller and of all below it."""
    found = {
        Route(path or '/', method, kind.public)
        for method, attribute in base.METHODS.items()
        if method != 'HEAD' and hasattr(kind, attribute)}
    for name, below in kind.below.items():
        found |= everything(below, '%s/%s' % (path, name))
    if kind.items is not None:
        name, below = kind.items
        found |= everything(below, '%s/{%s}' % (path, name))
    return found


def of(method, path):
    """Return the route that a request takes; None: there is none."""
    kind, pattern = root.Root, ''
    for name in filter(None, path.partition('?')[0].split('/')):
        if name in kind.below:
            kind, pattern = kind.below[name], '%s/%s' % (pattern, name)
        elif kind.items is not None:
            called, kind = kind.items
            pattern = '%s/{%s}' % (pattern, called)
        else:
            return None
    wanted = Route(pattern or '/', method)
    return wanted if wanted in everything(kind, pattern) else None
