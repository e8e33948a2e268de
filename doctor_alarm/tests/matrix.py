# SPDX-License-Identifier: Apache-2.0
"""Who gets which status on which route, asked of a running application.

``ROWS`` are requests that would succeed; there is at least one for each
operation of each documented policy. They are about an alarm of the project
``OWN``, and are sent by each of ``CALLERS``. The table is in the documents.
"""

import csv
import io
import pathlib

import sqlalchemy as sa

import doctor_alarm
from doctor_alarm.db import models
from doctor_alarm import policies
from doctor_alarm.tests import outbox

TABLE = (pathlib.Path(doctor_alarm.__file__).parents[1]
         / 'doc' / 'source' / 'policy-matrix.csv')

OWN, OTHER, SERVICE = 'own', 'other', 'service'
#: Id of a fault that there is.
FAULT = 'fault'

#: column -> (project, role that the user has there); None: sends no token.
CALLERS = {
    'no token': None,
    'no role': (OWN, ''),
    'reader': (OWN, 'reader'),
    'member': (OWN, 'member'),
    'manager': (OWN, 'manager'),
    'other project': (OTHER, 'manager'),
    'monitor': (SERVICE, 'monitor'),
    'admin': (SERVICE, 'admin'),
}
#: What Keystone says of who has a role: also the roles that it implies.
IMPLIED = {
    '': ['unrelated'], 'reader': ['reader'], 'member': ['member', 'reader'],
    'manager': ['manager', 'member', 'reader'], 'monitor': ['monitor'],
    'admin': ['admin', 'manager', 'member', 'reader']}

RULE = {'event_type': 'compute.instance.update', 'query': [
    {'field': 'traits.instance_id', 'op': 'eq', 'value': 'vm1',
     'type': 'string'}]}
ALARM = {'name': 'vm1 down', 'type': 'event', 'event_rule': RULE}
EVENT = {'time': '2026-11-20T12:00:00', 'type': 'a'}
ALERT = {'status': 'firing', 'labels': {'alertname': 'a'},
         'startsAt': '2026-11-20T12:00:00Z'}


def rows(own):
    """Return (method, path, what it says, document) of every request.

    :param own: id of the project ``OWN``
    """
    alarm, delivery = '/v2/alarms/{alarm_id}', '/v2/deliveries/{delivery_id}'
    return [
        ('GET', '/', '', None),
        ('GET', '/healthcheck', '', None),
        ('GET', '/metrics', '', None),
        ('GET', '/v2/capabilities', '', None),
        ('GET', '/v2/alarms', '', None),
        ('GET', '/v2/alarms?q.field=all_projects&q.value=true',
         'of all projects', None),
        ('GET', '/v2/alarms?q.field=project_id&q.value=' + own,
         'of a project', None),
        ('POST', '/v2/alarms', '', ALARM),
        ('POST', '/v2/alarms', 'for a project', {**ALARM, 'project_id': own}),
        ('POST', '/v2/alarms', 'that logs',
         {**ALARM, 'alarm_actions': ['log://']}),
        ('POST', '/v2/alarms', 'on the events of all projects',
         {**ALARM, 'event_rule': {**RULE, 'scope': 'cloud'}}),
        ('POST', '/v2/alarms/test', '', {'event_rule': RULE, 'event': EVENT}),
        ('POST', '/v2/alarms/test', 'on the events of all projects',
         {'event_rule': {**RULE, 'scope': 'cloud'}, 'event': EVENT}),
        ('GET', alarm, '', None),
        ('PUT', alarm, '', ALARM),
        ('DELETE', alarm, '', None),
        ('GET', alarm + '/state', '', None),
        ('PUT', alarm + '/state', '', 'ok'),
        ('GET', alarm + '/history', '', None),
        ('GET', alarm + '/deliveries', '', None),
        ('POST', '/v2/query/alarms', '', {}),
        ('POST', '/v2/query/alarms', 'of a project',
         {'filter': '{"=": {"project_id": "%s"}}' % own}),
        ('POST', '/v2/query/alarms/history', '', {}),
        ('GET', '/v2/deliveries', '', None),
        ('GET', delivery, '', None),
        ('POST', delivery + '/retry', '', None),
        ('GET', '/v1/faults', '', None),
        ('GET', '/v1/faults/{fault_id}', '', None),
        ('GET', '/v2/quotas', '', None),
        ('GET', '/v2/quotas/' + own, 'of a project', None),
        ('POST', '/v2/quotas', '', {
            'project_id': own,
            'quotas': [{'resource': 'alarms', 'limit': -1}]}),
        ('DELETE', '/v2/quotas/' + own, '', None),
        ('GET', '/v2/metrics', '', None),
        ('GET', '/v2/metrics?all_projects=true', 'of all projects', None),
        ('POST', '/v1/events', '', {'event': EVENT}),
        ('PUT', '/v1/events', '', [EVENT]),
        ('POST', '/v1/event', '', EVENT),
        ('PUT', '/v1/event', '', EVENT),
        ('POST', '/events', '', EVENT),
        ('PUT', '/events', '', [EVENT]),
        ('POST', '/v1/events/alertmanager', '', {'alerts': [ALERT]}),
        ('POST', '/v1/events', 'of a project', {
            'event': {**EVENT, 'details': {'project_id': own}}}),
        ('POST', '/v1/events/alertmanager', 'of a project', {'alerts': [
            {**ALERT, 'labels': {'alertname': 'a', 'project_id': own}}]}),
    ]


def shown(path, own):
    """Return a path as the documents write it."""
    return path.partition('?')[0].replace('/' + own, '/{project_id}')


def missing(own):
    """Return the operations of policies that no row asks for."""
    asked = {(method, shown(path, own)) for method, path, *_ in rows(own)}
    return {
        (operation['method'], operation['path'].partition('?')[0])
        for rule in policies.list_rules()
        for operation in getattr(rule, 'operations', None) or ()} - asked


def dead_delivery(db, alarm_id, project_id):
    """Store a delivery of an alarm that was given up; return its id."""
    made = outbox.Outbox(db)
    made.fire(made.lane('http://receiver.example/', alarm_id, project_id))
    of_alarm = models.delivery.c.alarm_id == alarm_id
    with db.writer() as conn:
        conn.execute(sa.update(models.delivery).where(of_alarm).values(
            status='dead'))
        return conn.execute(sa.select(models.delivery.c.id).where(
            of_alarm)).scalar_one()


def fault(db):
    """Store the fault that is asked for."""
    with db.writer() as conn:
        conn.execute(sa.insert(models.fault).values(
            id=FAULT, status='down', fault_type='compute.host.down',
            root_cause='', cause='', source='', resource_id='', host='',
            affected=0, unmonitored=0, detected_at=0, found_at=0,
            created_at=0))


def walk(ask, prepare, own):
    """Return the table, its header first.

    :param ask: ask(caller, method, path, document) -> status
    :param prepare: prepare() -> ids of a new alarm and a dead delivery
    :param own: id of the project ``OWN``
    """
    table = [['Method', 'Path', *CALLERS]]
    for method, path, says, doc in rows(own):
        row = [method, '%s (%s)' % (shown(path, own), says) if says
               else shown(path, own)]
        for caller in CALLERS:
            alarm_id, delivery_id = prepare()
            row.append(str(ask(caller, method, path.format(
                alarm_id=alarm_id, delivery_id=delivery_id,
                fault_id=FAULT), doc)))
        table.append(row)
    return table


def read():
    """Return the table of the documents."""
    with TABLE.open(newline='') as table:
        return list(csv.reader(table))


def write(table):
    """Replace the table of the documents."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(table)
    TABLE.write_text(text.getvalue())
