# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-manage: what an operator does by hand."""
from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import sys
from typing import Any

from oslo_config import cfg
from oslo_db import exception as db_exc

from doctor_alarm.agent import replay
from doctor_alarm.agent import send
from doctor_alarm.cmd import alarm
from doctor_alarm.cmd import credential
from doctor_alarm.cmd import delivery
from doctor_alarm.cmd import fault
from doctor_alarm.cmd import state
from doctor_alarm import conf as conf_mod
from doctor_alarm.db import api as db_api
from doctor_alarm.db import schema
from doctor_alarm import dead_letter
from doctor_alarm import event
from doctor_alarm import exception
from doctor_alarm import messaging
from doctor_alarm.objects import dead_letter as dead_letter_obj
from doctor_alarm.objects import purge
from doctor_alarm import redact

#: What a command does, with its arguments in ``conf.command``.
_Command = Callable[[cfg.ConfigOpts], None]


def main() -> int:
    """Run one command; return the exit status."""
    try:
        conf = conf_mod.prepare(
            sys.argv[1:], name='doctor-alarm-manage',
            cli_opts=[state.PATH, cfg.SubCommandOpt(
                'command', title='commands', handler=_add_commands)],
            defaults=state.DEFAULTS)
        state.use(conf, new=conf.command.run is db_sync)
        conf.command.run(conf)
    except (exception.DoctorAlarmException, OSError) as exc:
        print('ERROR: %s' % exc, file=sys.stderr)
        return 1
    except UnicodeDecodeError as exc:
        print('ERROR: The file is not UTF-8: %s' % exc, file=sys.stderr)
        return 1
    except db_exc.DBNonExistentTable:
        print('ERROR: The database has no schema: run doctor-alarm-manage db '
              'sync', file=sys.stderr)
        return 1
    except Exception as exc:
        what = ('The database does not answer' if db_api.is_transient(exc)
                else 'Not foreseen')
        reason = redact.text(str(exc)).strip().partition('\n')[0]
        print('ERROR: %s: %s: %s' % (what, type(exc).__name__, reason),
              file=sys.stderr)
        return 1
    return 0


def db_sync(conf: cfg.ConfigOpts) -> None:
    """Create the schema or bring it up to date."""
    db = db_api.Database(conf, patient=True)
    schema.sync(db, conf.command.revision)
    print(schema.version(db))


def db_version(conf: cfg.ConfigOpts) -> None:
    """Print the revision of the schema."""
    print(schema.version(db_api.Database(conf)) or 'no schema')


def db_purge(conf: cfg.ConfigOpts) -> None:
    """Delete old history and deliveries, and what they leave behind."""
    days = conf.command.days or conf.retention.days or 30
    if days * 86400 < conf.evaluator.max_event_age:
        raise exception.Invalid(
            'Events of %d days would be taken for new ones: lower [evaluator]'
            ' max_event_age first' % days)
    for name, count in purge.purge(db_api.Database(conf), days).items():
        print('%s: %d' % (name, count))


def event_send(conf: cfg.ConfigOpts) -> None:
    """Send captured notifications onto the bus, or to the API."""
    options = conf.command
    sender: send.Sender = (
        send.Api(conf, options.url) if options.url
        else send.Bus(conf, options.exchange))
    for exchange, message in replay.read(_read(options.file)):
        sent = replay.fresh(message) if options.now else message
        taken = sender.send(exchange, sent)
        print('%s %s %s' % ('sent' if taken else 'left out',
                            sent.get('event_type'),
                            sent.get('message_id', '')))


def letter_list(conf: cfg.ConfigOpts) -> None:
    """List what was put aside."""
    for letter in _letters(conf).list():
        print('%s  %s  %s  %s  %s' % (
            letter.id, _time(letter.created_at), letter.source,
            letter.message_id or '-', letter.reason))


def letter_show(conf: cfg.ConfigOpts) -> None:
    """Show one dead letter."""
    letter = _letters(conf).show(conf.command.id)
    print(json.dumps({
        'id': letter.id, 'created_at': _time(letter.created_at),
        'source': letter.source, 'message_id': letter.message_id,
        'reason': letter.reason, 'body': letter.body}, indent=2))


def letter_replay(conf: cfg.ConfigOpts) -> None:
    """Send a dead letter again and forget it."""
    letters = _letters(conf)
    if isinstance(letters, dead_letter_obj.TableDeadLetters):
        if not conf.command.url:
            raise exception.Invalid(
                'Without a broker it goes to the API: say --url')
        letter = letters.show(conf.command.id)
        send.Api(conf, conf.command.url).replay(letter.body)
        letters.remove(letter.id)
    else:
        letter = letters.replay(conf.command.id)
    print('sent to %s' % letter.source)


def queue_delete(conf: cfg.ConfigOpts) -> None:
    """Delete a queue that nobody reads any more, as of a removed sink."""
    count = dead_letter.QueueDeadLetters(
        messaging.get_own_transport(conf)).delete_queue(
            conf.command.name, conf.command.with_messages)
    print('deleted, with %d messages' % count)


def _letters(conf: cfg.ConfigOpts) -> Any:
    if conf.state_path or not conf.transport_url:
        return dead_letter_obj.TableDeadLetters(db_api.Database(conf))
    return dead_letter.QueueDeadLetters(messaging.get_own_transport(conf))


def _time(microseconds: int) -> str:
    if not microseconds:
        return '-'
    return event.to_iso(event.from_us(microseconds))


def _open(name: str) -> Any:
    return sys.stdin if name == '-' else open(name, encoding='utf-8')


def _read(name: str) -> str:
    with _open(name) as stream:
        text: str = stream.read()
        return text


def _add_commands(nouns: Any) -> None:
    db = _noun(nouns, 'db', 'the database')
    _verb(db, 'sync', db_sync).add_argument(
        'revision', nargs='?', default='head')
    _verb(db, 'version', db_version)
    _verb(db, 'purge', db_purge).add_argument(
        '--days', type=_days,
        help='what is older goes (default: [retention] days, or 30)')
    sending = _verb(_noun(nouns, 'event', 'events'), 'send', event_send)
    sending.add_argument('file', metavar='FILE', help='- for standard input')
    sending.add_argument('--url', help='post to this API, not to the bus')
    sending.add_argument('--now', action='store_true', help=(
        'as if they happened now, with ids of their own'))
    sending.add_argument('--exchange', default='nova', help=(
        'of notifications that do not tell theirs (default: nova)'))
    alarm.add_commands(_noun(nouns, 'alarm', 'alarms'), _verb)
    letters = _noun(nouns, 'dead-letter', 'what was put aside')
    _verb(letters, 'list', letter_list)
    _verb(letters, 'show', letter_show).add_argument('id')
    again = _verb(letters, 'replay', letter_replay)
    again.add_argument('id')
    again.add_argument('--url', help='API of a service without a broker')
    delivery.add_commands(
        _noun(nouns, 'delivery', 'notifications and their receivers'), _verb)
    fault.add_commands(
        _noun(nouns, 'fault', 'faults and their way to receivers'), _verb)
    credential.add_commands(
        _noun(nouns, 'credential', 'credentials in action URLs'), _verb)
    deletion = _verb(_noun(nouns, 'queue', 'queues of the broker'),
                     'delete', queue_delete)
    deletion.add_argument('name')
    deletion.add_argument('--with-messages', action='store_true', help=(
        'also if it has messages: they are lost'))


def _noun(nouns: Any, name: str, meaning: str) -> Any:
    parser = nouns.add_parser(name, help=meaning)
    return parser.add_subparsers(dest='verb', required=True)


def _verb(verbs: Any, name: str, run: _Command) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=(run.__doc__ or '').partition('\n')[0],
        description=run.__doc__)
    parser.set_defaults(run=run)
    return parser


def _days(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError('a whole number, at least 1')
    return int(text)


if __name__ == '__main__':
    sys.exit(main())
