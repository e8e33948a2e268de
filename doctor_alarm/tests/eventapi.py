# SPDX-License-Identifier: Apache-2.0
"""An event API that does what a test wants: a real server on loopback."""

import json
import socket
import struct

from doctor_alarm.tests import receiver

#: What every event of a monitor has.
DETAILS = {'source', 'status', 'severity', 'cause', 'monitor_id',
           'monitor_event_id', 'hostname'}


class EventApi(receiver.Receiver):
    """Keeps what it accepts.

    :ivar refuses: called with an event; true for those that it answers 400
    :ivar requests: (path, headers, events) of everything that came, whatever
        was answered
    """

    def __init__(self, status=202):
        super().__init__(status)
        self.refuses = lambda event: False
        self.requests = []

    @property
    def endpoint(self):
        return 'http://127.0.0.1:%d' % self.port

    @property
    def events(self):
        """The events that were accepted, in order."""
        return [event for body in list(self.bodies)
                for event in body['events']]

    @property
    def told(self):
        """(hostname, type) of the events that were accepted."""
        return [(event['details']['hostname'], event['type'])
                for event in self.events]

    def document(self, raw):
        doc = json.loads(raw)
        many = doc.get('events', [doc])
        return {'events': [item['event'] for item in many],
                'notification_id': ''}

    def handle(self, handler, raw):
        """Note a request; decide what is answered."""
        events = self.document(raw)['events']
        self.requests.append((handler.path, dict(handler.headers), events))
        if any(self.refuses(event) for event in events):
            return 400
        return self.status


def reset(handler, _status):
    """Cut the connection in place of an answer, the hard way."""
    handler.connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    handler.close_connection = True
    handler.connection.close()


def cut(handler, _status):
    """Stop in the middle of an answer."""
    handler.wfile.write(b'HTTP/1.1 2')
    handler.close_connection = True
