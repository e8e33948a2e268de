# SPDX-License-Identifier: Apache-2.0
"""Action URLs: what of them may be shown."""
from __future__ import annotations

import urllib.parse

MASK = '***'


def masked(url: str) -> str:
    """Return the URL without the credentials that it may carry.

    The whole userinfo and every value of the query go: receivers take
    tokens under any name.
    """
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return MASK
    if '@' not in parts.netloc and '?' not in url and '#' not in url:
        return url
    netloc = parts.netloc
    if '@' in netloc:
        netloc = '%s@%s' % (MASK, netloc.rpartition('@')[2])
    query = '&'.join(_masked_argument(item)
                     for item in parts.query.split('&') if item)
    return urllib.parse.urlunsplit(
        (parts.scheme, netloc, parts.path, query, ''))


def _masked_argument(item: str) -> str:
    name, equals, _value = item.partition('=')
    return '%s=%s' % (name, MASK) if equals else MASK
