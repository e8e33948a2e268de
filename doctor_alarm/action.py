# SPDX-License-Identifier: Apache-2.0
"""Action URLs: what of them may be shown."""
from __future__ import annotations

from collections.abc import Iterable
import re
import urllib.parse

from doctor_alarm import redact

MASK = '***'

_SECRET_NAME = re.compile('sig|token|secret|pass|key|cred|auth', re.IGNORECASE)
# Receivers take tokens under any name; this is how they look.
_TOKEN = re.compile(r'[\w\-.~+/=%]{20,}')


def masked(url: str) -> str:
    """Return the URL without the credentials that it may carry.

    The userinfo goes, and of the query what is named or looks like a secret.
    """
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return MASK
    if '@' not in parts.netloc and not parts.query:
        return url
    netloc = parts.netloc
    if '@' in netloc:
        netloc = '%s@%s' % (MASK, netloc.rpartition('@')[2])
    query = '&'.join(map(_masked_argument, parts.query.split('&')))
    return urllib.parse.urlunsplit(
        (parts.scheme, netloc, parts.path, query, parts.fragment))


def is_masked(url: str) -> bool:
    """Whether a URL was shown, and lacks its credentials."""
    return MASK in url and masked(url) == url


def restored(urls: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return URLs with the credentials of those they were shown for."""
    shown = {masked(url): url for url in known}
    return [shown.get(url, url) for url in urls]


def _masked_argument(item: str) -> str:
    name, equals, value = item.partition('=')
    if not equals:
        return MASK if _TOKEN.fullmatch(item) else item
    if (_SECRET_NAME.search(name) or redact.is_secret_key(name)
            or _TOKEN.fullmatch(value)):
        return '%s=%s' % (name, MASK)
    return item
