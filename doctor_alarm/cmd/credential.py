# SPDX-License-Identifier: Apache-2.0
"""The commands of doctor-alarm-manage about credentials in action URLs."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from doctor_alarm import credential
from doctor_alarm.db import api as db_api
from doctor_alarm import exception
from doctor_alarm.objects import rotation
from doctor_alarm import standalone

#: Adds a verb and what it does to the verbs of a noun.
_Verb = Callable[[Any, str, Callable[[cfg.ConfigOpts], None]],
                 argparse.ArgumentParser]

#: Alarms that are named because their credentials can not be decrypted.
NAMED = 20


def vault(conf: cfg.ConfigOpts) -> credential.Vault:
    """Return the vault of the service that is worked on.

    :raises ConfigurationError: the file is not one of keys
    """
    if conf.state_path:
        standalone.provide_key(conf)
    return credential.make(conf)


def create_key(conf: cfg.ConfigOpts) -> None:
    """Write a file with a new key, or print one to add to a file."""
    if conf.command.file is None:
        print(credential.new_key())
    else:
        credential.create(conf.command.file)


def rotate(conf: cfg.ConfigOpts) -> None:
    """Encrypt all credentials with the first key; services may run."""
    keys = vault(conf)
    if not conf.credential.key_file:
        raise exception.Invalid('[credential] key_file is not set')
    found = rotation.rotate(db_api.Database(conf), keys)
    print('alarm: %d' % found.alarms)
    print('lane: %d' % found.lanes)
    if found.sealed:
        named = sorted(found.sealed)
        raise exception.Invalid(
            'No key fits credentials of %d alarms, which stay as they are: '
            '%s%s' % (len(named), ', '.join(named[:NAMED]),
                      ', ...' if len(named) > NAMED else ''))


def add_commands(verbs: Any, verb: _Verb) -> None:
    """Add the verbs to the noun."""
    verb(verbs, 'create-key', create_key).add_argument(
        'file', nargs='?', metavar='FILE', help=(
            'a new file, for its owner only (default: print the key)'))
    verb(verbs, 'rotate', rotate)
