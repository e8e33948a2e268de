# SPDX-License-Identifier: Apache-2.0
"""What nova says, heard by somebody who takes it from nobody."""

import json
import threading

import fixtures
import kombu

EXCHANGE = 'nova'
KEYS = ('notifications.#', 'versioned_notifications.#')


class Notifications(fixtures.Fixture):
    """All notifications of nova from now on, in ``received``.

    They come through a queue of its own: neither listeners of the service nor
    what waited in nova's queues gets in the way. The unversioned ones of the
    scheduler contain the user's token, so do not print them.

    :param amqp_url: nova's bus, as kombu writes it
    """

    def __init__(self, amqp_url: str):
        super().__init__()
        self._amqp_url = amqp_url
        self.received: list[dict] = []

    def _setUp(self):
        connection = kombu.Connection(self._amqp_url)
        self.addCleanup(connection.close)
        channel = connection.channel()
        queue = channel.queue_declare(exclusive=True, auto_delete=True).queue
        for key in KEYS:
            channel.queue_bind(
                queue=queue, exchange=EXCHANGE, routing_key=key)
        channel.basic_consume(
            queue=queue, callback=self._receive, no_ack=True)
        self._stopping = threading.Event()
        thread = threading.Thread(
            target=self._drain, args=(connection,), daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self._stopping.set)

    def _drain(self, connection):
        while not self._stopping.is_set():
            try:
                connection.drain_events(timeout=0.2)
            except TimeoutError:
                continue

    def _receive(self, message):
        self.received.append(json.loads(
            json.loads(message.body)['oslo.message']))

    def heard(self, event_type: str) -> list[dict]:
        """The payloads of one type of event, without nova's object envelopes.

        The types of the unversioned format start with "compute.", the
        others do not.
        """
        return [unwrap(message['payload']) for message in list(self.received)
                if message['event_type'] == event_type]


def unwrap(document):
    """Take a versioned object of nova out of its envelopes, at any depth."""
    if isinstance(document, list):
        return [unwrap(element) for element in document]
    if isinstance(document, dict):
        content = document.get('nova_object.data', document)
        return {name: unwrap(value) for name, value in content.items()}
    return document
