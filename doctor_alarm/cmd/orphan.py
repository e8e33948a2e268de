# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-manage alarm orphans: alarms whose project is gone."""
from __future__ import annotations

import sys

from oslo_config import cfg

from doctor_alarm.cmd import keystone
from doctor_alarm.db import api as db_api
from doctor_alarm import exception
from doctor_alarm.objects import orphan


def orphans(conf: cfg.ConfigOpts) -> None:
    """List the projects that have alarms and are gone; delete these alarms.

    Keystone is asked for each project. Alarms are deleted only with --purge,
    and only of projects that it clearly says do not exist.
    """
    options = conf.command
    if conf.api.auth_mode != 'keystone':
        raise exception.Invalid(
            'With [api] auth_mode = %s projects are not those of Keystone'
            % conf.api.auth_mode)
    db = db_api.Database(conf)
    counts = orphan.projects(db)
    for project_id in options.projects:
        if project_id not in counts:
            raise exception.Invalid('Project %s has no alarms' % project_id)
    gone, unknown = _ask(keystone.Projects(conf),
                         options.projects or list(counts))
    for project_id in gone:
        if options.purge:
            print('%s  %d alarms deleted' % (
                project_id, orphan.purge(db, project_id)))
        else:
            print('%s  %d alarms' % (project_id, counts[project_id]))
    print('%d of %d projects are gone' % (
        len(gone), len(options.projects or counts)))
    if unknown:
        raise exception.DoctorAlarmException(
            'Whether these exist is not clear: %s' % ', '.join(
                '%s (%s)' % item for item in unknown.items()))


def _ask(known: keystone.Projects, project_ids: list[str],
         ) -> tuple[list[str], dict[str, str]]:
    """Return the projects that are gone, and why others may be.

    :raises Away: Keystone ceased to answer; then none is said to be gone
    """
    gone, unknown = [], {}
    for number, project_id in enumerate(dict.fromkeys(project_ids), 1):
        try:
            if not known.exists(project_id):
                gone.append(project_id)
        except keystone.Away:
            raise
        except keystone.Unknown as exc:
            unknown[project_id] = str(exc)
        if not number % 100 and sys.stderr.isatty():
            print('%d of %d projects' % (number, len(project_ids)),
                  file=sys.stderr)
    return gone, unknown
