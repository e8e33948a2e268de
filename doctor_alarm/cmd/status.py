# SPDX-License-Identifier: Apache-2.0
"""doctor-alarm-status: whether services of this version may start."""
from __future__ import annotations

from collections.abc import Callable
import sys
import traceback
from typing import Any

from oslo_config import cfg
from oslo_upgradecheck import common_checks
from oslo_upgradecheck import upgradecheck

from doctor_alarm.api import app
from doctor_alarm.api import basic_auth
from doctor_alarm.api import service as api
from doctor_alarm.cmd import credential
from doctor_alarm.cmd import state
from doctor_alarm import conf as conf_mod
from doctor_alarm.db import api as db_api
from doctor_alarm.db import schema
from doctor_alarm.evaluator import committer
from doctor_alarm import exception
from doctor_alarm import guard
from doctor_alarm.notifier import dispatcher
from doctor_alarm.notifier import retention
from doctor_alarm.objects import sealing
from doctor_alarm import policy
from doctor_alarm import redact

#: What it ends with when a check itself fails.
BROKEN = 255

_SUCCESS = upgradecheck.Result(upgradecheck.Code.SUCCESS)
#: What services look for at their start, beside what is in the database.
_CHECKS: tuple[Callable[[cfg.ConfigOpts], Any], ...] = (
    committer.check, dispatcher.check, retention.check, api.check,
    guard.make, app.check_keystone,
    lambda conf: basic_auth.parse_users(conf.api.http_basic_users))


def _warning(text: str) -> upgradecheck.Result:
    return upgradecheck.Result(upgradecheck.Code.WARNING, text)


def _failure(text: str) -> upgradecheck.Result:
    return upgradecheck.Result(upgradecheck.Code.FAILURE, text)


class Checks(upgradecheck.UpgradeCommands):
    """What has to be right before services of this version start."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._db = db_api.Database(conf)

    def check_schema(self) -> upgradecheck.Result:
        """Look for the revision of the database."""
        try:
            found = schema.version(self._db)
        except exception.ConfigurationError as exc:
            return _failure(str(exc))
        except Exception as exc:
            return _failure(_away(exc))
        if found == schema.head():
            return _SUCCESS
        if found is not None and not schema.knows(found):
            return _failure('The schema is %s, of a newer version' % found)
        text = 'The schema is %s, not %s: run doctor-alarm-manage db sync' % (
            found or 'missing', schema.head())
        if self._conf.state_path:
            return _warning(text + ', or let the service do it at its start')
        return _failure(text)

    def check_policy_format(self) -> upgradecheck.Result:
        """Look for a policy file in JSON."""
        return common_checks.check_policy_json(self, self._conf)

    def check_policies(self) -> upgradecheck.Result:
        """Look for policies of the operator that nobody asks for."""
        enforcer = policy.make_enforcer(self._conf)
        try:
            enforcer.load_rules()
            enforcer.check_rules(raise_on_violation=True)
        except Exception as exc:
            return _failure('The policies can not be used: %s' % exc)
        # Rules of an operator's own have no colon.
        unknown = sorted(name for name in enforcer.file_rules
                         if ':' in name
                         and name not in enforcer.registered_rules)
        if unknown:
            return _warning('Policies that there are not: %s'
                            % ', '.join(unknown))
        return _SUCCESS

    def check_credentials(self) -> upgradecheck.Result:
        """Look for credentials that can not be used, or are not encrypted."""
        try:
            found = sealing.examine(self._db, credential.vault(self._conf))
        except exception.ConfigurationError as exc:
            return _failure(str(exc))
        except Exception as exc:
            return _warning(_away(exc))
        if found.locked:
            return _failure(
                'No key of [credential] key_file fits credentials of %d '
                'alarms: their deliveries wait' % len(found.locked))
        if found.plain:
            return _warning(
                'The credentials of %d alarms are not encrypted: run '
                'doctor-alarm-manage credential rotate' % len(found.plain))
        return _SUCCESS

    def check_options(self) -> upgradecheck.Result:
        """Look for options with which services do not start."""
        complaints = []
        for check in _CHECKS:
            try:
                check(self._conf)
            except exception.ConfigurationError as exc:
                complaints.append(str(exc))
        return _failure('; '.join(complaints)) if complaints else _SUCCESS

    _upgrade_checks = (
        ('Database schema', check_schema),
        ('Policy file format', check_policy_format),
        ('Policies', check_policies),
        ('Credentials in action URLs', check_credentials),
        ('Options', check_options),
    )


def main() -> int:
    """Run the checks; return the status of oslo.upgradecheck."""
    try:
        conf = conf_mod.prepare(
            sys.argv[1:], name='doctor-alarm-status',
            cli_opts=[state.PATH, cfg.SubCommandOpt(
                'command', title='commands', handler=_add_commands)],
            defaults=state.DEFAULTS)
        state.use(conf)
        upgradecheck.CONF = conf    # where it looks for --json
        return int(Checks(conf).check())
    except exception.DoctorAlarmException as exc:
        print('ERROR: %s' % exc, file=sys.stderr)
    except Exception:
        print(redact.text(traceback.format_exc()), file=sys.stderr)
    return BROKEN


def _add_commands(nouns: Any) -> None:
    upgrade = nouns.add_parser('upgrade', help='upgrades of the service')
    check = upgrade.add_subparsers(dest='verb', required=True).add_parser(
        'check', help='whether services of this version may start')
    check.add_argument('--json', action='store_true', help=(
        'print the results as JSON, not as a table'))


def _away(exc: Exception) -> str:
    # Its first line: what follows is the statement.
    reason = redact.text(str(exc)).strip().partition('\n')[0]
    return 'The database does not answer: %s' % reason


if __name__ == '__main__':
    sys.exit(main())
