# SPDX-License-Identifier: Apache-2.0
"""The commands of doctor-alarm-manage about faults, and their table."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Mapping
import datetime
from typing import Any

from oslo_config import cfg
import prettytable

from doctor_alarm.api.forms import fault as form
from doctor_alarm.db import api as db_api
from doctor_alarm.objects import fault_list
from doctor_alarm.objects import query

#: Servers and notifications that are shown.
SHOWN = 1000

#: Adds a verb and what it does to the verbs of a noun.
_Verb = Callable[[Any, str, Callable[[cfg.ConfigOpts], None]],
                 argparse.ArgumentParser]


def list_(conf: cfg.ConfigOpts) -> None:
    """List faults and ends of faults, newest first."""
    options = conf.command
    with db_api.Database(conf).reader() as conn:
        found = fault_list.find(conn, options.status, query.Page(
            sort=fault_list.NEWEST_FIRST, limit=options.limit))
    for item in map(form.listed, found):
        print('%s  %s  %-4s  %s  %s  affected %d' % (
            item['id'], item['detected_at'], item['status'], item['type'],
            item['root_cause'], item['affected']))


def show(conf: cfg.ConfigOpts) -> None:
    """Show a fault and its way from the monitor to the receivers."""
    with db_api.Database(conf).reader() as conn:
        found = form.serialize(fault_list.get(
            conn, conf.command.id, SHOWN))
    print('fault %(id)s\n%(root_cause)s, status %(status)s\n'
          'told by %(type)s' % found
          + (' of %s' % found['source'] if found['source'] else ''))
    if found['cause']:
        print(found['cause'])
    print()
    print(time_line(found))
    print()
    for name, outcome in _outcomes(found):
        print('%s: %s' % (name, outcome))
    print('%d servers affected, %d not monitored; %d of %d notifications '
          'received' % (found['affected'], found['unmonitored'],
                        found['delivered'], found['notified']))
    if found['servers']:
        print(_servers(found))


def time_line(fault: Mapping[str, Any]) -> str:
    """Return the time line of a fault, as the API shows it, as a table."""
    table = prettytable.PrettyTable(
        ['', 'stage', 'first (UTC)', 'ms', 'last, ms'])
    table.align = 'r'
    table.align['stage'] = 'l'
    began = None
    for stage, item in fault['timeline'].items():
        first, last = (item[name] and datetime.datetime.fromisoformat(
            item[name]) for name in ('first', 'last'))
        if first is None:
            table.add_row([stage, item['name'], '-', '-', '-'])
            continue
        began = began or first
        table.add_row([
            stage, item['name'], first.time().isoformat('microseconds'),
            _ms(first - began), _ms(last - began)])
    text: str = table.get_string()
    return text


def add_commands(verbs: Any, verb: _Verb) -> None:
    """Add the verbs to the noun."""
    listing = verb(verbs, 'list', list_)
    listing.add_argument('--status', choices=fault_list.STATUSES)
    listing.add_argument('--limit', type=_limit, default=100, metavar='N',
                         help='the newest N (default: 100)')
    verb(verbs, 'show', show).add_argument('id', metavar='ID')


def _outcomes(fault: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(item['action'], item['outcome'] + (
        ' (%s)' % item['reason'] if item['reason'] else ''))
        for item in fault['actions']]


def _servers(fault: Mapping[str, Any]) -> str:
    table = prettytable.PrettyTable(
        ['server', 'name', 'project', 'nova', 'notifications'])
    table.align = 'l'
    for server in fault['servers']:
        table.add_row([
            server['server_id'], server['name'], server['project_id'],
            ', '.join('%s %s' % (item['action'], item['outcome'])
                      for item in server['actions']) or '-',
            ', '.join('%s %s' % (item['alarm_name'], item['status'])
                      for item in fault['notifications']
                      if item['resource_id'] == server['server_id']) or '-'])
    text: str = table.get_string()
    return text


def _ms(span: datetime.timedelta) -> str:
    return '%.1f' % (span / datetime.timedelta(milliseconds=1))


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError('a whole number, at least 1')
    return int(text)
