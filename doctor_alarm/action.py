# SPDX-License-Identifier: Apache-2.0
"""Action URLs: what of them may be shown, and how they are stored.

One that carries credentials is stored sealed: the URL as it is shown, a random
id and the whole of it, encrypted. Who does not call the receiver needs no key.
"""
from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Sequence
import re
import urllib.parse

from doctor_alarm import exception
from doctor_alarm import redact

MASK = '***'
#: Between the parts of a sealed action; no URL has it.
SEPARATOR = '\x1f'

_SECRET_NAME = re.compile('sig|token|secret|pass|key|cred|auth', re.IGNORECASE)
# Receivers take tokens under any name; this is how they look.
_TOKEN = re.compile(r'[\w\-.~+/=%]{20,}')


def masked(url: str) -> str:
    """Return the URL without the credentials that it may carry.

    The userinfo goes, and of the query what is named or looks like a secret.

    :param url: sealed or not
    """
    url = url.partition(SEPARATOR)[0]
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


def is_sealed(stored: str) -> bool:
    """Whether the credentials of a stored action are encrypted."""
    return SEPARATOR in stored


def identity(stored: str) -> str:
    """Return what of a stored action stays when it is encrypted anew."""
    return stored.rpartition(SEPARATOR)[0] or stored


def has_credentials(url: str) -> bool:
    """Whether a URL has something that is not shown."""
    if '@' not in url and '?' not in url:
        return False
    try:
        # Other ways to write the same URL are no credentials.
        same = urllib.parse.urlunsplit(urllib.parse.urlsplit(url))
    except ValueError:
        return True
    return masked(url) not in (url, same)


def is_masked(url: str) -> bool:
    """Whether a URL was shown, and lacks some of its credentials.

    Who replaces a part of them, and leaves the mask of another, means the
    one that is hidden, and not three stars.
    """
    if MASK not in url or is_sealed(url):
        return False
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return False
    userinfo = parts.netloc.rpartition('@')[0]
    return url == MASK or MASK in userinfo.split(':') or any(
        MASK in (item, item.partition('=')[2])
        for item in parts.query.split('&'))


def restored(urls: Sequence[str], own: Iterable[str],
             others: Iterable[str]) -> list[str]:
    """Return URLs with the credentials of those they were shown for.

    Several may look the same: those of the same list are taken in their
    order.

    :param own: what the list had
    :param others: what other lists of the alarm had
    :raises Invalid: which one is meant can not be told
    """
    shown: dict[str, collections.deque[str]] = {}
    for url in own:
        shown.setdefault(masked(url), collections.deque()).append(url)
    elsewhere: dict[str, set[str]] = {}
    for url in others:
        elsewhere.setdefault(masked(url), set()).add(url)
    counts = collections.Counter(urls)
    found = []
    for url in urls:
        meant = shown.get(url)
        if meant and counts[url] == len(meant):
            counts[url] -= 1
            found.append(meant.popleft())
        elif is_masked(url):
            found.append(_only(url, {*(meant or ()),
                                     *elsewhere.get(url, ())}))
        else:
            found.append(url)
    return found


def _only(url: str, known: set[str]) -> str:
    if len(known) > 1:
        raise exception.Invalid(
            'Several actions of the alarm are shown as %.200s; send them '
            'with their credentials' % url)
    return known.pop() if known else url


def _masked_argument(item: str) -> str:
    name, equals, value = item.partition('=')
    if not equals:
        return MASK if _TOKEN.fullmatch(item) else item
    if (_SECRET_NAME.search(name) or redact.is_secret_key(name)
            or _TOKEN.fullmatch(value)):
        return '%s=%s' % (name, MASK)
    return item
