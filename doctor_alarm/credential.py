# SPDX-License-Identifier: Apache-2.0
"""Keeps the credentials in action URLs from whoever reads the database.

An action that carries some is stored as the URL without them, a random id and
the whole URL, encrypted, see :mod:`doctor_alarm.action`. Only what has to call
the receiver, or to compare, needs a key.
"""
from __future__ import annotations

from collections.abc import Iterable
import contextlib
import functools
import logging
import os
import secrets
import stat
import threading

from cryptography import fernet
from oslo_config import cfg

from doctor_alarm import action
from doctor_alarm import exception

LOG = logging.getLogger(__name__)

_NO_KEYS = ('the credentials of the action can not be decrypted: [credential] '
            'key_file is not set')
#: URLs that are kept in memory as they are called.
KEPT = 4096


class Vault:
    """Encrypts with the first key of a file, decrypts with any of them.

    The file is looked at on every use: who changes it tells nobody.
    """

    def __init__(self, path: str | None) -> None:
        """Read the keys.

        :param path: ``None``: there are none, and nothing is encrypted
        :raises ConfigurationError: the file is not one of keys
        """
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._ring: _Ring | None = None
        if path is not None:
            self._seen = _stamp(path)
            self._ring = _Ring(read(path))

    def seal(self, url: str) -> str:
        """Return an action as it is stored.

        :raises NoKey: it carries credentials, and there is no key
        """
        if action.is_sealed(url) or not action.has_credentials(url):
            return url
        shown = action.masked(url)
        ring = self._keys()
        if ring is None:
            raise exception.NoKey(action=shown)
        return action.SEPARATOR.join(
            (shown, secrets.token_hex(8), ring.encrypt(url)))

    def open(self, stored: str) -> str:
        """Return the URL of an action as it is stored.

        :raises Sealed: there is no key for it, or it is damaged
        """
        if not action.is_sealed(stored):
            return stored
        ring = self._keys()
        if ring is None:
            raise exception.Sealed(_NO_KEYS)
        return ring.decrypt(_token(stored))

    def opened(self, stored: Iterable[str]) -> dict[str, str]:
        """Return sealed actions by their URLs, if there is a key for them."""
        found = {}
        for one in filter(action.is_sealed, stored):
            with contextlib.suppress(exception.Sealed):
                found[self.open(one)] = one
        return found

    def renewed(self, stored: str) -> str:
        """Return a stored action as the first key has it.

        Its id stays. One that was stored with credentials gets one.

        :raises Sealed: there is no key for it, or it is damaged
        :raises NoKey: there is no key at all
        """
        ring = self._keys()
        if ring is None or not action.is_sealed(stored):
            return self.seal(stored)
        return action.SEPARATOR.join(
            (action.identity(stored), ring.renewed(_token(stored))))

    def _keys(self) -> _Ring | None:
        if self._path is not None:
            seen = _stamp(self._path)
            if seen != self._seen:
                self._read_again(self._path, seen)
        return self._ring

    def _read_again(self, path: str, seen: tuple[int, ...] | None) -> None:
        with self._lock:
            if seen == self._seen:
                return
            self._seen = seen
            try:
                self._ring = _Ring(read(path))
            except exception.ConfigurationError as exc:
                # It may be in the middle of a change.
                LOG.error('The keys stay as they were: %s', exc)
                return
        LOG.info('The keys of %s were read again', path)


class _Ring:
    """The keys of one reading, and what was decrypted with them."""

    def __init__(self, keys: list[fernet.Fernet]) -> None:
        self._first = keys[0]
        self._all = fernet.MultiFernet(keys)
        self.decrypt = functools.lru_cache(KEPT)(self._decrypt)

    def encrypt(self, url: str) -> str:
        return self._first.encrypt(url.encode()).decode()

    def renewed(self, token: str) -> str:
        try:
            self._first.decrypt(token)
        except (fernet.InvalidToken, ValueError):
            return self.encrypt(self._decrypt(token))
        return token

    def _decrypt(self, token: str) -> str:
        try:
            return self._all.decrypt(token).decode()
        except (fernet.InvalidToken, ValueError):
            raise exception.Sealed from None


def make(conf: cfg.ConfigOpts) -> Vault:
    """Return the vault that ``[credential]`` describes.

    :raises ConfigurationError: the file is not one of keys
    """
    return Vault(conf.credential.key_file or None)


def new_key() -> str:
    """Return a new key, a line of the file."""
    return fernet.Fernet.generate_key().decode()


def create(path: str) -> None:
    """Write a file with one new key, for its owner only.

    :raises FileExistsError: there is one: its keys may be in use
    """
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, 'w', encoding='ascii') as file:
        file.write(new_key() + '\n')
        file.flush()
        # It must outlive what is encrypted with it.
        os.fsync(number)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: str) -> list[fernet.Fernet]:
    """Return the keys of a file: one per line, ``#`` begins a comment.

    :raises ConfigurationError: it is not one of keys, or others may read it
    """
    try:
        with open(path, encoding='ascii') as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = file.read().splitlines()
    except OSError as exc:
        raise _error(path, exc.strerror or str(exc)) from None
    except UnicodeDecodeError:
        raise _error(path, 'is not a file of keys') from None
    if mode & stat.S_IRWXO:
        raise _error(path, 'everybody may read it: take that right away '
                     '(chmod o-rwx)')
    keys = []
    for number, line in enumerate(lines, 1):
        text = line.partition('#')[0].strip()
        if not text:
            continue
        try:
            keys.append(fernet.Fernet(text))
        except ValueError:
            # Not what it is: it may be a key with a mistake.
            raise _error(path, 'line %d is not a key' % number) from None
    if not keys:
        raise _error(path, 'has no key')
    return keys


def _error(path: str, reason: str) -> exception.ConfigurationError:
    return exception.ConfigurationError(
        where='[credential] key_file %s' % path, reason=reason)


def _stamp(path: str) -> tuple[int, ...] | None:
    """Return what tells one content of a file from another."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _token(stored: str) -> str:
    return stored.rpartition(action.SEPARATOR)[2]
