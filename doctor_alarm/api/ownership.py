# SPDX-License-Identifier: Apache-2.0
"""Whose alarm it is, and who may touch it.

Another project's alarm is not found rather than forbidden: that it exists is
nobody else's business.
"""
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import itertools
from typing import Any
import urllib.parse

from oslo_utils import strutils
import webob

from doctor_alarm import action
from doctor_alarm.api.controllers import base
from doctor_alarm.api.forms import alarm as form
from doctor_alarm import composite
from doctor_alarm import exception
from doctor_alarm import match
from doctor_alarm.objects import alarm as alarm_obj
from doctor_alarm.objects import change
from doctor_alarm.policies import alarm as policies
from doctor_alarm.schemas import sentence

#: Actions on the service's own host, which tenants have no business with.
_ADMIN_SCHEMES = ('log', 'test')


def get(services: base.Services, request: webob.Request, rule: str,
        alarm_id: str) -> alarm_obj.Alarm:
    """Return an alarm if the caller may do something to it.

    :raises AlarmNotFound: there is none, or it is another project's
    :raises Forbidden: the caller's roles do not suffice
    """
    with services.db.reader() as conn:
        alarm = alarm_obj.get(conn, alarm_id)
    own = base.caller_of(request).project_id
    if alarm.project_id != own and not base.is_admin(services, request):
        raise exception.AlarmNotFound(id=alarm_id)
    base.enforce(services, request, rule, {
        'project_id': alarm.project_id, 'user_id': alarm.user_id})
    return alarm


def of_new(services: base.Services, request: webob.Request,
           doc: Any) -> change.Actor:
    """Return the owner of a new alarm: the caller, or whom an admin names.

    :raises NotAuthorized: another owner is named
    :raises Invalid: there is no owner: no event would ever match
    """
    owner = _owner(services, request, doc, base.actor_of(request))
    if not owner.project_id:
        raise exception.Invalid(sentence.missing('project_id'))
    return owner


def of_changed(services: base.Services, request: webob.Request, doc: Any,
               present: alarm_obj.Alarm) -> change.Actor:
    """Return the owner of an alarm as a ``PUT`` has it.

    :raises NotAuthorized: another owner is named
    """
    return _owner(services, request, doc, change.Actor(
        present.user_id, present.project_id))


def check_unmoved(seen: alarm_obj.Alarm, locked: alarm_obj.Alarm) -> None:
    """Refuse to change what went to another project since it was allowed.

    :raises AlarmNotFound: as if it had never been the caller's
    """
    if locked.project_id != seen.project_id:
        raise exception.AlarmNotFound(id=locked.id)


def list_scope(services: base.Services, request: webob.Request,
               asked: Sequence[tuple[str, str]]) -> str | None:
    """Return the project that a list is confined to; ``None``: to none.

    :param asked: the filters of the list
    :raises NotAuthorized: a project that is not the caller's
    :raises Forbidden: all projects, which is for admins
    """
    caller = base.caller_of(request)
    filters = dict(asked)
    everything = _boolean('all_projects', filters.get('all_projects'))
    if everything:
        base.enforce(services, request, policies.LIST_ALL)
    wanted = filters.get('project_id')
    if wanted is not None:
        if wanted != caller.project_id and not base.is_admin(
                services, request):
            raise exception.NotAuthorized(aspect='project', id=wanted)
        return wanted
    if everything or caller.anonymous:
        return None
    return caller.project_id or ''


def check_actions(services: base.Services, request: webob.Request,
                  alarm: alarm_obj.Alarm,
                  present: alarm_obj.Alarm | None = None) -> None:
    """Refuse actions that nobody serves or that the caller may not use.

    :param present: the alarm as it is, whose receivers were checked
    :raises Invalid: it is no URL, there is no plugin for it, or it leads
        where receivers may not be
    :raises NotAuthorized: it is for admins
    """
    used = check_schemes(alarm, services.actions)
    _check_count(alarm, services.conf.api.alarm_max_actions)
    for scheme in _ADMIN_SCHEMES:
        if scheme in used and not base.is_admin(services, request):
            raise exception.NotAuthorized(
                'You are not authorized to create action: %.200s'
                % _shown(used[scheme]))
    known = _hosts(present) if present else {}
    refused = services.guard.refused(_hosts(alarm).keys() - known.keys())
    check_hosts(alarm, lambda host: host not in refused)


def _check_count(alarm: alarm_obj.Alarm, most: int) -> None:
    for name in form.ACTIONS:
        if 0 < most < len(set(getattr(alarm, name))):
            raise exception.Invalid(
                '%s count exceeds maximum value %d' % (name, most))


def check_scope(services: base.Services, request: webob.Request,
                alarm: alarm_obj.Alarm) -> None:
    """Refuse an alarm on the events of others to those who may not see them.

    :raises Forbidden: it is for admins
    """
    if any(rule.get('scope') == match.CLOUD
           for _path, rule in composite.leaves(alarm.rule)):
        base.enforce(services, request, policies.CREATE_ALL)


def check_schemes(alarm: alarm_obj.Alarm,
                  known: frozenset[str]) -> dict[str, str]:
    """Return the schemes of the actions, each with a URL that has it.

    :raises Invalid: it is no URL, or not of a known scheme
    """
    used = {}
    for url in _urls(alarm):
        scheme = _scheme(url)
        if scheme not in known:
            raise exception.Invalid('Unsupported action %.200s' % _shown(url))
        used[scheme] = url
    return used


def check_hosts(alarm: alarm_obj.Alarm,
                permits: Callable[[str], bool]) -> None:
    """Refuse actions that lead where receivers may not be.

    :raises Invalid: names the action
    """
    for host, url in _hosts(alarm).items():
        if not permits(host):
            raise exception.Invalid(
                'The address of action %.200s is not allowed'
                % action.masked(url))


def _urls(alarm: alarm_obj.Alarm) -> Iterator[str]:
    return itertools.chain(alarm.ok_actions, alarm.alarm_actions,
                           alarm.insufficient_data_actions)


def _hosts(alarm: alarm_obj.Alarm) -> dict[str, str]:
    """Return the hosts that the actions call, each with a URL of it."""
    return {host: url for url in _urls(alarm)
            if (host := urllib.parse.urlsplit(
                action.masked(url)).hostname)}


def _scheme(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        complete = parts.port is None or parts.port > 0
    except ValueError:
        complete = False
    else:
        if parts.scheme in ('http', 'https'):
            complete = complete and bool(parts.hostname)
    if not complete or not url.isprintable() or ' ' in url:
        raise exception.Invalid('Unable to parse action %.200s' % _shown(url))
    return parts.scheme


def _shown(url: str) -> str:
    """Return what may be shown of a URL that may not be one."""
    scheme, slashes, rest = action.masked(url).partition('://')
    if not slashes or ':' in scheme:
        scheme, slashes, rest = '', '', scheme + slashes + rest
    # A password with a slash in it is no part of what is parsed as userinfo.
    _hidden, at, host = rest.rpartition('@')
    return scheme + slashes + (action.MASK if at else '') + at + host


def _owner(services: base.Services, request: webob.Request, doc: Any,
           default: change.Actor) -> change.Actor:
    if not isinstance(doc, dict):
        return default
    project_id = _named(doc, 'project_id', default.project_id)
    user_id = _named(doc, 'user_id', default.user_id)
    same = (project_id, user_id) == (default.project_id, default.user_id)
    if not same and not base.is_admin(services, request):
        if project_id != default.project_id:
            raise exception.NotAuthorized(aspect='project', id=project_id)
        raise exception.NotAuthorized(aspect='user', id=user_id)
    return change.Actor(user_id, project_id)


def _named(doc: dict[str, Any], name: str, default: str) -> str:
    value = doc.get(name)
    return value if isinstance(value, str) and value else default


def _boolean(name: str, value: str | None) -> bool:
    try:
        return bool(strutils.bool_from_string(value or 'false', strict=True))
    except ValueError:
        raise exception.Invalid('%s must be true or false' % name) from None
