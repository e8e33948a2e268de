# SPDX-License-Identifier: Apache-2.0
"""Quotas of projects, as Aodh's API has them."""
from __future__ import annotations

from typing import Any

from oslo_config import cfg
import webob

from doctor_alarm.api import body
from doctor_alarm.api.controllers import base
from doctor_alarm import exception
from doctor_alarm.objects import query
from doctor_alarm.objects import quota
from doctor_alarm.policies import quota as policies
from doctor_alarm.schemas import quota as schema
from doctor_alarm.schemas import sentence


def defaults(conf: cfg.ConfigOpts) -> quota.Defaults:
    """Return the quotas of whom no other is set for."""
    return quota.Defaults(project=conf.api.project_alarm_quota,
                          user=conf.api.user_alarm_quota)


class Quota(base.Resource):
    """``/v2/quotas/{project_id}``"""

    def __init__(self, services: base.Services, project_id: str) -> None:
        super().__init__(services, project_id)
        self.project_id = project_id

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """Show the quotas of the project."""
        return _show(self.services, request, self.project_id)

    @base.plain
    def delete(self, request: webob.Request,
               response: webob.Response) -> webob.Response:
        """Let the defaults hold for the project."""
        base.enforce(self.services, request, policies.DELETE)
        quota.delete_project(self.services.db, _checked(self.project_id))
        response.status = 204
        return response


class Quotas(base.Resource):
    """``/v2/quotas``"""

    items = 'project_id', Quota

    @base.json
    def get(self, request: webob.Request,
            response: webob.Response) -> dict[str, Any]:
        """Show the quotas of a project, of the caller's by default."""
        for name in request.GET:
            if name != 'project_id':
                raise exception.Invalid('Unknown argument: "%.80s"' % name)
        return _show(self.services, request,
                     request.GET.get('project_id')
                     or base.caller_of(request).project_id or '')

    @base.json
    def post(self, request: webob.Request,
             response: webob.Response) -> dict[str, Any]:
        """Set the quotas of a project."""
        base.enforce(self.services, request, policies.UPDATE)
        doc = body.read(request)
        wrong = schema.CHECKER.first(doc)
        if wrong:
            raise exception.Invalid(wrong)
        project_id = _checked(doc['project_id'])
        quota.set_project(self.services.db, project_id, {
            item['resource']: item['limit']
            for item in doc.get('quotas') or ()})
        response.status = 201
        return _serialize(self.services, project_id)


def _show(services: base.Services, request: webob.Request,
          project_id: str) -> dict[str, Any]:
    base.enforce(services, request, policies.GET)
    if project_id != base.caller_of(request).project_id and (
            not base.is_admin(services, request)):
        raise exception.NotAuthorized(aspect='project', id=project_id)
    return _serialize(services, _checked(project_id))


def _checked(project_id: str) -> str:
    try:
        query.text(project_id)
    except ValueError as exc:
        raise exception.Invalid(sentence.invalid(
            'project_id', project_id, 'Value must be %s.' % exc)) from None
    if not project_id:
        raise exception.Invalid(sentence.missing('project_id'))
    return project_id


def _serialize(services: base.Services, project_id: str) -> dict[str, Any]:
    # What nobody set is told, not stored: a default that the operator
    # changes later holds for this project, too.
    with services.db.reader() as conn:
        found = quota.of_project(conn, project_id)
    limits = {quota.ALARMS: defaults(services.conf).project, **found}
    return {'project_id': project_id, 'quotas': [
        {'resource': resource, 'limit': limit}
        for resource, limit in limits.items()]}
