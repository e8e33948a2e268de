# SPDX-License-Identifier: Apache-2.0
"""What in a notification or an event is secret. Pure.

Services put credentials into payloads: nova's unversioned scheduler
notifications carry the token of the user, arguments of failed calls carry
passwords and user data. They are removed where something enters the service.
"""
from __future__ import annotations

import functools
import re
from typing import Any

from oslo_utils import strutils

MASK = '***'

#: A longer text that looks as if it had secrets in it is left out as a whole.
MAX_MASKED = 16384

# Words of a key; 'adminPass' and 'X-Auth-Token' are split into words first.
_SECRET_WORDS = frozenset((
    'pass', 'passwd', 'password', 'passwords', 'passphrase', 'pswd', 'pwd',
    'secret', 'secrets', 'token', 'tokens', 'credential', 'credentials',
    'authorization', 'cookie', 'personality', 'userdata', 'authtoken',
    'apikey', 'adminpass', 'accesskey', 'privatekey', 'trustid'))
_SECRET_PARTS = re.compile(
    'password|passwd|secret|(?:^|_)(?:user_data|injected_files?|trust_ids?'
    '|(?:api|access|private|encryption|signing)_keys?)(?:_|$)')
_CAMEL = re.compile(r'(?<=[a-z0-9])(?=[A-Z])')
_SEPARATOR = re.compile(r'[^a-z0-9]+')

# Inside of texts.
_HINTS = ('://', '-----begin', 'gaaaa', 'eyj', 'pass', 'secret', 'token',
          'bearer', 'authorization', 'pswd')
_KEYWORDS = ('pass', 'secret', 'token', 'pswd')
_USER_INFO = re.compile(r'(\w://)[^/\s@]+@')
_QUERY = re.compile(
    r'([?&][^=&#\s]{0,64}?(?:sig|token|secret|passw|key|credential)'
    r'[^=&#\s]{0,64}=)[^&#\s"\']+', re.IGNORECASE)
_PEM = re.compile(
    r'-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)',
    re.DOTALL)
_TOKEN = re.compile(
    r'\bgAAAA[\w-]{30,}=*|\beyJ[\w-]{8,2048}\.[\w-]{8,2048}\.[\w-]*')
_HEADER = re.compile(
    r"""(authorization["']?\s*[:=]\s*["']?(?:\w{1,20}\s+)?|\bbearer\s+)"""
    r"""[^\s"',]{8,}""", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r'''((?:pass(?:word|wd|phrase)?|pswd|secret|token)["']?\s*[=:]\s*["']?)'''
    r'''[^\s"',;&}\]]+''', re.IGNORECASE)


def is_secret_key(key: str) -> bool:
    """Whether what stands under a key is a secret, by the name of the key."""
    if len(key) <= 64:
        return _is_secret_name(key)
    return _is_secret_name.__wrapped__(key)


@functools.lru_cache(maxsize=4096)
def _is_secret_name(key: str) -> bool:
    name = _SEPARATOR.sub('_', _CAMEL.sub('_', key).lower())
    if _SECRET_PARTS.search(name):
        return True
    return not _SECRET_WORDS.isdisjoint(name.split('_'))


def text(value: str) -> str:
    """Return a text without the secrets that can be recognised in it.

    Also without what a database or a UTF-8 encoder can not take: NUL and
    lone surrogates.
    """
    if not value.isascii():
        value = value.encode('utf-8', 'replace').decode('utf-8')
    if '\0' in value:
        value = value.replace('\0', '\ufffd')
    # Most values are ids, states and numbers: they end here.
    if len(value) <= 48 and not (
            ':' in value or '=' in value or ' ' in value):
        return value
    low = value.lower()
    for hint in _HINTS:
        if hint in low:
            return _mask(value, low)
    return value


def tree(value: Any) -> Any:
    """Return a copy of a JSON value without secrets, traits of events too."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {key: MASK if item and is_secret_key(str(key)) else tree(item)
                for key, item in value.items()}
    if isinstance(value, list):
        if (len(value) == 3 and isinstance(value[0], str)
                and is_secret_key(value[0])):
            return [value[0], value[1], MASK]
        return [tree(item) for item in value]
    return value


def _mask(value: str, low: str) -> str:
    if len(value) > MAX_MASKED:
        return '(left out: %d characters)' % len(value)
    # Looking for a word is cheaper than for a pattern, and most of what comes
    # here are URLs.
    if '-----begin' in low:
        value = _PEM.sub(MASK, value)
    if 'gaaaa' in low or 'eyj' in low:
        value = _TOKEN.sub(MASK, value)
    if 'bearer' in low or 'authorization' in low:
        value = _HEADER.sub(r'\1' + MASK, value)
    if '://' in value:
        if '@' in value:
            value = _USER_INFO.sub(r'\1' + MASK + '@', value)
        if '=' in value:
            value = _QUERY.sub(r'\1' + MASK, value)
    if any(word in low for word in _KEYWORDS):
        value = strutils.mask_password(value, secret=MASK)
        value = _ASSIGNMENT.sub(r'\1' + MASK, value)
    return value
