# SPDX-License-Identifier: Apache-2.0
"""Deliveries as plugins get them."""

import json
import urllib.parse
import uuid

from oslo_config import cfg

from doctor_alarm import conf as project_conf
from doctor_alarm import event
from doctor_alarm.notifier import base

WHEN = event.parse_time('2026-11-20T10:39:51.925127', 'test')


def a_conf(**options):
    conf = cfg.ConfigOpts()
    project_conf.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    options.setdefault('allowed_networks', ['127.0.0.0/8'])
    for name, value in options.items():
        conf.set_override(name, value, group='notifier')
    return conf


def an_event():
    return event.build(event.Parts(
        message_id='m1', event_type='compute.instance.update', generated=WHEN,
        project_id='p1', traits={'instance_id': 'vm1', 'state': 'error'}),
        received=WHEN)


def a_delivery(url='test://', **values):
    return base.Delivery(**{
        'id': str(uuid.uuid4()), 'lane_id': 'l1', 'sequence': 7,
        'action': urllib.parse.urlsplit(url), 'project_id': 'p1',
        'alarm_id': 'a1', 'alarm_name': 'vm d\u00f6wn',
        'severity': 'critical', 'previous': 'ok', 'current': 'alarm',
        'reason': 'Event hits the query', 'resource_id': 'vm1',
        'message_id': 'm1', 'event_json': json.dumps(an_event().as_dict()),
        'attempts': 0, 'created_at': event.to_us(WHEN) + 5000,
        'notified_at': event.to_us(WHEN), 'transformed_at': 0,
        'evaluated_at': 0, **values})
