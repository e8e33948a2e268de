# SPDX-License-Identifier: Apache-2.0
"""Notifications to test with, in the form oslo.messaging hands over."""

import json
import pathlib

DATA = pathlib.Path(__file__).parents[2] / 'data' / 'nova'

# (unversioned, versioned) notifications of the same change, as captured.
PAIRS = [
    ('captured-error-01-u-compute.instance.update',
     'captured-error-02-v-instance.update'),
    ('captured-active-01-u-compute.instance.update',
     'captured-active-02-v-instance.update'),
    ('captured-delete-01-u-compute.instance.update',
     'captured-delete-02-v-instance.update'),
    ('captured-delete-03-u-compute.instance.delete.start',
     'captured-delete-04-v-instance.delete.start'),
    ('captured-delete-05-u-compute.instance.shutdown.start',
     'captured-delete-06-v-instance.shutdown.start'),
    ('captured-delete-07-u-compute.instance.shutdown.end',
     'captured-delete-08-v-instance.shutdown.end'),
    ('captured-delete-09-u-compute.instance.update',
     'captured-delete-10-v-instance.update'),
    ('captured-delete-11-u-compute.instance.delete.end',
     'captured-delete-12-v-instance.delete.end'),
]
FORCE_DOWN = 'captured-service.update'


def names():
    return sorted(path.stem for path in DATA.glob('*.json'))


def load(name):
    """Return (message, context); documented samples get what they lack."""
    doc = json.loads((DATA / ('%s.json' % name)).read_text())
    wire = doc.get('message', doc)
    message = {key: value for key, value in wire.items()
               if not key.startswith('_')}
    message.setdefault('message_id', 'id-of-%s' % name[:40])
    message.setdefault('timestamp', '2026-11-20 09:14:40.063703')
    ctxt = {key[len('_context_'):]: value for key, value in wire.items()
            if key.startswith('_context_')}
    return message, ctxt


def message(event_type='thing.happened', payload=None, **kwargs):
    """Return a small notification."""
    return {'message_id': '5b1c1f9e-0000-4000-8000-000000000001',
            'event_type': event_type, 'publisher_id': 'thing.host1',
            'priority': 'INFO', 'timestamp': '2026-11-20 09:14:40.063703',
            'payload': {} if payload is None else payload, **kwargs}


def envelope(data, name='InstanceUpdatePayload', version='2.1',
             namespace='nova'):
    return {'nova_object.name': name, 'nova_object.namespace': namespace,
            'nova_object.version': version, 'nova_object.data': data}
