# SPDX-License-Identifier: Apache-2.0
"""A notification as a service sent it -> one plain, harmless form. Pure.

Versioned envelopes are unwrapped, secrets are masked, and what is too deep or
too large is refused. The context is the requester's: only the id of the
request and of the user are taken from it.
"""
from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any

from doctor_alarm import exception
from doctor_alarm import redact

#: Levels of containers in a payload; nova's deepest have about ten.
MAX_DEPTH = 48
#: Characters of a payload, keys and punctuation included. An event of it must
#: fit into one message of the bus.
MAX_SIZE = 900_000

#: What definitions may use of the context. Not the project: it is that of the
#: requester, which an administrator's request has no business to be told as
#: the owner of somebody else's server.
CONTEXT_KEYS = ('request_id', 'global_request_id', 'user_id', 'user',
                'trustor_user_id')

#: Objects of versioned payloads and the major version that the definitions
#: are written for (nova 34). Others are taken as they are, and counted.
KNOWN_OBJECTS = {
    'AggregateCachePayload': '1', 'AggregatePayload': '1',
    'AuditPeriodPayload': '1', 'BlockDevicePayload': '1',
    'CellMappingPayload': '2', 'ComputeTaskPayload': '1',
    'DestinationPayload': '1', 'ExceptionPayload': '1', 'FlavorPayload': '1',
    'ImageMetaPayload': '1', 'ImageMetaPropsPayload': '1',
    'InstanceActionPayload': '1', 'InstanceActionRebuildPayload': '1',
    'InstanceActionRescuePayload': '1', 'InstanceActionResizePrepPayload': '1',
    'InstanceActionSharePayload': '1', 'InstanceActionSnapshotPayload': '1',
    'InstanceActionVolumePayload': '1',
    'InstanceActionVolumeSwapPayload': '1', 'InstanceCreatePayload': '1',
    'InstanceExistsPayload': '2', 'InstanceNUMACellPayload': '1',
    'InstanceNUMATopologyPayload': '1', 'InstancePCIRequestPayload': '1',
    'InstancePCIRequestsPayload': '1', 'InstanceStateUpdatePayload': '1',
    'InstanceUpdatePayload': '2', 'IpPayload': '1', 'KeypairPayload': '1',
    'LibvirtErrorPayload': '1', 'MetricPayload': '1', 'MetricsPayload': '1',
    'RequestSpecPayload': '1', 'SchedulerRetriesPayload': '1',
    'ServerGroupPayload': '1', 'ServiceStatusPayload': '1',
    'SharePayload': '1', 'VirtCPUTopologyPayload': '1',
    'VolumeUsagePayload': '1',
}

_NAMESPACES = ('nova_object', 'masakari_object', 'ironic_object')
_ENVELOPES = tuple(
    (name + '.data', name + '.name', name + '.version')
    for name in _NAMESPACES)
_SCALARS = frozenset((int, float, bool, type(None)))


@dataclasses.dataclass(frozen=True, slots=True)
class Notification:
    """A notification in canonical form.

    ``body``: what the definitions look into: payload, publisher_id,
    event_type, priority, metadata, ctxt.
    ``versioned``: the payload came in an envelope with a version.
    ``unknown_objects``: names of the objects of a version nobody knows here.
    """

    message_id: Any
    event_type: str
    publisher_id: str
    priority: str
    timestamp: Any
    body: dict[str, Any]
    versioned: bool
    unknown_objects: tuple[str, ...]

    @property
    def payload(self) -> dict[str, Any]:
        """The payload, flat and redacted."""
        return self.body['payload']


def normalise(message: Mapping[str, Any],
              ctxt: Mapping[str, Any] | None = None) -> Notification:
    """Return the canonical form of a notification.

    :param message: message_id, event_type, publisher_id, priority, timestamp
        and payload, as oslo.messaging hands them over
    :raises InvalidEvent: says what is malformed
    """
    if not isinstance(message, Mapping):
        raise exception.InvalidEvent(reason='a notification is an object')
    event_type = message.get('event_type')
    if not isinstance(event_type, str) or not 0 < len(event_type) <= 255:
        raise exception.InvalidEvent(
            reason='event_type must be a text of 1 to 255 characters')
    if 'payload' not in message:
        raise exception.InvalidEvent(reason='payload is missing')
    payload = message['payload']
    if not isinstance(payload, Mapping):
        raise exception.InvalidEvent(
            reason='payload must be an object, not %s' % _name_of(payload))
    cleaner = _Cleaner()
    flat = cleaner.clean(payload, 1)
    if not isinstance(flat, dict):
        raise exception.InvalidEvent(reason='the envelope holds no object')
    if 'OS-TRUST' in event_type:
        _mask_trust(flat)
    publisher_id = _short_text(message.get('publisher_id'))
    priority = _short_text(message.get('priority')).lower()
    body = {
        'publisher_id': publisher_id, 'event_type': event_type,
        'message_id': message.get('message_id'), 'priority': priority,
        'timestamp': message.get('timestamp'),
        'metadata': {'message_id': message.get('message_id'),
                     'timestamp': message.get('timestamp')},
        'payload': flat, 'ctxt': _context(ctxt or {}),
    }
    return Notification(
        message_id=message.get('message_id'), event_type=event_type,
        publisher_id=publisher_id, priority=priority,
        timestamp=message.get('timestamp'), body=body,
        versioned=any(keys[0] in payload for keys in _ENVELOPES),
        unknown_objects=tuple(cleaner.unknown_objects))


def redacted(message: Any) -> Any:
    """Return what may be kept of a message that could not be normalised."""
    try:
        return _Cleaner(flatten=False).clean(message, 1)
    except exception.InvalidEvent as exc:
        if not isinstance(message, Mapping):
            return '(left out: %s)' % exc
        kept = {}
        for key in ('message_id', 'event_type', 'publisher_id', 'priority',
                    'timestamp'):
            if isinstance(message.get(key), str):
                kept[key] = redact.text(message[key][:255])
        kept['payload'] = '(left out: %s)' % exc
        return kept


class _Cleaner:
    """One walk through a payload: unwraps, masks, and keeps the bounds."""

    def __init__(self, flatten: bool = True) -> None:
        self.unknown_objects: list[str] = []
        self._flatten = flatten
        self._size = 0

    def clean(self, value: Any, depth: int) -> Any:
        """Return a harmless copy of a value."""
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind is str:
            if len(value) > 64:
                self._grow(len(value))
            return redact.text(value)
        if depth > MAX_DEPTH:
            raise exception.InvalidEvent(
                reason='payload is nested deeper than %d levels' % MAX_DEPTH)
        if isinstance(value, Mapping):
            return self._clean_mapping(value, depth)
        if isinstance(value, list | tuple):
            self._grow(8 * len(value))
            return [self.clean(item, depth + 1) for item in value]
        if isinstance(value, datetime.datetime):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            raise exception.InvalidEvent(reason='payload has binary data')
        return redact.text(str(value))

    def _clean_mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        if self._flatten:
            for keys in _ENVELOPES:
                if keys[0] in value:
                    return self._unwrap(value, keys, depth)
                if keys[1] in value and keys[2] in value:
                    raise exception.InvalidEvent(
                        reason='an object without %s' % keys[0])
        self._grow(16 * len(value))
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = key if isinstance(key, str) else str(key)
            if len(name) > 64:
                self._grow(len(name))
            if redact.is_secret_key(name):
                # Whether there is one is no secret.
                found[name] = redact.MASK if item else item
            else:
                found[name] = self.clean(item, depth + 1)
        return found

    def _unwrap(self, value: Mapping[Any, Any], keys: tuple[str, str, str],
                depth: int) -> Any:
        data, name = value[keys[0]], value.get(keys[1])
        version = value.get(keys[2])
        if not isinstance(data, Mapping):
            raise exception.InvalidEvent(
                reason='%s must be an object, not %s' % (
                    keys[0], _name_of(data)))
        if not isinstance(name, str) or not isinstance(version, str):
            raise exception.InvalidEvent(
                reason='%s and %s must be texts' % keys[1:])
        if (name.endswith('Payload') and keys is _ENVELOPES[0]
                and KNOWN_OBJECTS.get(name) != version.partition('.')[0]):
            self.unknown_objects.append(name)
        return self.clean(data, depth + 1)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_SIZE:
            raise exception.InvalidEvent(
                reason='payload is larger than %d characters' % MAX_SIZE)


def _context(ctxt: Mapping[str, Any]) -> dict[str, Any]:
    return {key: ctxt[key] for key in CONTEXT_KEYS
            if isinstance(ctxt.get(key), str)}


def _mask_trust(payload: dict[str, Any]) -> None:
    # Keystone names the trust itself; its id is what a service presents.
    if payload.get('resource_info'):
        payload['resource_info'] = redact.MASK
    target = payload.get('target')
    if isinstance(target, dict) and target.get('id'):
        target['id'] = redact.MASK


def _short_text(value: Any) -> str:
    return redact.text(value[:255]) if isinstance(value, str) else ''


def _name_of(value: Any) -> str:
    return 'null' if value is None else type(value).__name__
