# SPDX-License-Identifier: Apache-2.0
"""The commands of doctor-alarm-manage about alarms."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import gc
import json
import os
import shutil
import sys
import tempfile
from typing import Any
from typing import TextIO

from oslo_config import cfg

from doctor_alarm.api import alarm_export
from doctor_alarm.api import alarm_import
from doctor_alarm.api import app
from doctor_alarm.api import body
from doctor_alarm.cmd import aodh
from doctor_alarm.cmd import credential
from doctor_alarm.cmd import orphan
from doctor_alarm.db import api as db_api
from doctor_alarm import exception
from doctor_alarm import guard

#: Adds a verb and what it does to the verbs of a noun.
_Verb = Callable[[Any, str, Callable[[cfg.ConfigOpts], None]],
                 argparse.ArgumentParser]

#: Hosts of receivers whose permission is remembered while alarms are read.
HOSTS = 10000


class Lines:
    """The lines of a file, as often as they are asked for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        self._stream.seek(0)
        return iter(self._stream)


def load(conf: cfg.ConfigOpts) -> None:
    """Store alarms as the API or "alarm export" shows them.

    The file is a list of alarms in JSON, or has one as JSON per line. Those
    that are for other services are left out, counted and listed. If any other
    is wrong, none is stored.
    """
    options = conf.command
    permits = functools.lru_cache(HOSTS)(functools.partial(
        guard.make(conf).permits_host, look_up=not options.no_look_up))
    # A tenth of the time; alarms have no cycles that it could find.
    gc.disable()
    try:
        with _seekable(options.file) as stream:
            noun, texts = _texts(stream)
            loaded = alarm_import.load(
                db_api.Database(conf), texts, alarm_import.Terms(
                    schemes=app.installed_actions(),
                    vault=credential.vault(conf), permits=permits,
                    complete=options.aodh and aodh.Aodh(options.aodh).alarm,
                    partial=options.partial, noun=noun))
    finally:
        gc.enable()
    print('%d alarms' % loaded.count)
    if loaded.left_out:
        print('%d left out:' % len(loaded.left_out))
        for said in loaded.left_out:
            print('  ' + said)


def export(conf: cfg.ConfigOpts) -> None:
    """Write alarms, one as JSON per line, so that they can be imported.

    Credentials in their actions stay encrypted, unless the contrary is said.
    """
    options = conf.command
    vault = credential.vault(conf) if options.clear else None
    lines = alarm_export.lines(
        db_api.Database(conf), options.project, vault)
    if options.file == '-':
        for line in lines:
            print(line)
        return
    number = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, 'w', encoding='utf-8') as file:
        count = sum(1 for line in lines if file.write(line + '\n'))
    print('%d alarms' % count)


@contextlib.contextmanager
def _seekable(name: str) -> Iterator[TextIO]:
    """Open a file, or a copy of one that can be read only once."""
    with contextlib.ExitStack() as stack:
        stream = sys.stdin if name == '-' else stack.enter_context(
            open(name, encoding='utf-8'))
        if name == '-' or not stream.seekable():
            copy = stack.enter_context(tempfile.TemporaryFile(
                'w+', encoding='utf-8'))
            shutil.copyfileobj(stream, copy)
            copy.seek(0)
            stream = copy
        yield stream


def _texts(stream: TextIO) -> tuple[str, Any]:
    """Return what there is one of for each alarm, and the text of each."""
    first = stream.read(1)
    while first.isspace():
        first = stream.read(1)
    stream.seek(0)
    if first != '[':
        return 'line', Lines(stream)
    docs = body.parse(stream.read())
    if not isinstance(docs, list):
        raise exception.Invalid('The file is not a list')
    return 'item', [json.dumps(doc) for doc in docs]


def add_commands(verbs: Any, verb: _Verb) -> None:
    """Add the verbs to the noun."""
    loading = verb(verbs, 'import', load)
    loading.add_argument('file', metavar='FILE', help='- for standard input')
    loading.add_argument('--partial', action='store_true', help=(
        'leave out those that are wrong as well, and store the others'))
    loading.add_argument('--no-look-up', action='store_true', help=(
        'do not look up the names in action URLs; the notifier checks where '
        'they lead when it calls them'))
    loading.add_argument('--aodh', metavar='URL', help=(
        'API of an Aodh that has the alarms of a list which shows only parts '
        'of them; OS_TOKEN of the environment is the token'))
    writing = verb(verbs, 'export', export)
    writing.add_argument('file', nargs='?', default='-', metavar='FILE', help=(
        'a new file, for its owner only (default: standard output)'))
    writing.add_argument('--project', metavar='ID',
                         help='only those of this project')
    writing.add_argument('--clear', action='store_true', help=(
        'decrypt credentials in action URLs, for a service with other keys'))
    gone = verb(verbs, 'orphans', orphan.orphans)
    gone.add_argument('projects', nargs='*', metavar='PROJECT', help=(
        'id of a project to ask for (default: all that have alarms)'))
    gone.add_argument('--purge', action='store_true', help=(
        'delete the alarms of projects that are gone'))
