# SPDX-License-Identifier: Apache-2.0
"""The ``message_signature`` of Ceilometer's events.

It proves that who published an event knew ``[publisher] telemetry_secret``;
source: ``compute_signature`` of Ceilometer's publishers.
"""
from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import hashlib
import hmac
from typing import Any


def is_valid(doc: Any, secret: str) -> bool:
    """Whether an event is signed with the secret; without one all are."""
    if not secret:
        return True
    found = isinstance(doc, Mapping) and doc.get('message_signature')
    return isinstance(found, str) and hmac.compare_digest(
        found.encode('utf-8', 'replace'), of(doc, secret).encode())


def of(doc: Mapping[str, Any], secret: str) -> str:
    """Return the signature of a message, empty without a secret.

    HMAC-SHA256 over the sorted keys and values; a nested key is joined with a
    colon, texts in a list are byte strings, as Ceilometer computes it.
    """
    if not secret:
        return ''
    digest = hmac.new(secret.encode('utf-8'), b'', hashlib.sha256)
    for name, value in _pairs(doc):
        if name != 'message_signature':
            digest.update(name.encode('utf-8'))
            digest.update(str(value).encode('utf-8'))
    return digest.hexdigest()


def _pairs(doc: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in sorted(doc.items()):
        if isinstance(value, Mapping):
            for inner, item in _pairs(value):
                yield '%s:%s' % (name, inner), item
        elif isinstance(value, list | tuple):
            yield name, _as_bytes(value)
        else:
            yield name, value


def _as_bytes(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_as_bytes(key): _as_bytes(item)
                for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_as_bytes(item) for item in value]
    return value.encode('utf-8') if isinstance(value, str) else value
