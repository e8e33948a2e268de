# SPDX-License-Identifier: Apache-2.0
"""The commands of doctor-alarm-manage about deliveries."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from doctor_alarm import action
from doctor_alarm.db import api as db_api
from doctor_alarm import event
from doctor_alarm.objects import delivery as delivery_obj
from doctor_alarm.objects import delivery_list
from doctor_alarm.objects import query
from doctor_alarm.objects import replay

#: Adds a verb and what it does to the verbs of a noun.
_Verb = Callable[[Any, str, Callable[[cfg.ConfigOpts], None]],
                 argparse.ArgumentParser]


def list_(conf: cfg.ConfigOpts) -> None:
    """List deliveries, newest first."""
    options = conf.command
    with db_api.Database(conf).reader() as conn:
        found = delivery_list.find(
            conn, delivery_list.Which(
                alarm_id=options.alarm, status=options.status),
            query.Page(sort=delivery_list.NEWEST_FIRST, limit=options.limit))
    for item in found:
        print('%s  %s  %s  alarm %s  message %s  %s  attempts %d  %s  %s' % (
            item.id, event.to_iso(event.from_us(item.created_at)),
            item.status, item.alarm_id, item.message_id, item.current,
            item.attempts, action.masked(item.action),
            item.last_error or '-'))


def retry(conf: cfg.ConfigOpts) -> None:
    """Send again what was given up; all, or none if one can not be sent."""
    replay.replay(db_api.Database(conf), conf.command.ids)
    for id_ in conf.command.ids:
        print('%s waits to be sent' % id_)


def add_commands(verbs: Any, verb: _Verb) -> None:
    """Add the verbs to the noun."""
    listing = verb(verbs, 'list', list_)
    listing.add_argument('--status', choices=delivery_obj.STATUSES)
    listing.add_argument('--alarm', metavar='ID', help='only of this alarm')
    listing.add_argument('--limit', type=_limit, default=100, metavar='N',
                         help='the newest N (default: 100)')
    verb(verbs, 'retry', retry).add_argument('ids', nargs='+', metavar='ID')


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError('a whole number, at least 1')
    return int(text)
