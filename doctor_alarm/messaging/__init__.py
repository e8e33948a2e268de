# SPDX-License-Identifier: Apache-2.0
"""The bus: transports, strict publishing, listening with late acknowledgement.

Three kinds of transports differ in who owns the queues:

* foreign (:func:`get_transport`): nova's, Ceilometer's. Declared with *their*
  settings, else the broker answers 406 and the listener gets nothing.
* own (:func:`get_own_transport`): our durable hop; quorum queues with a
  dead-letter exchange.
* hints (:func:`get_hint_transport`): wake-ups that may be lost at any time;
  the queue goes away with its last consumer.
"""
from doctor_alarm.messaging.batcher import Batcher
from doctor_alarm.messaging.effect import insist
from doctor_alarm.messaging.neighbour import Ear
from doctor_alarm.messaging.neighbour import name_of
from doctor_alarm.messaging.neighbour import Neighbours
from doctor_alarm.messaging.publish import chunks
from doctor_alarm.messaging.publish import HintPublisher
from doctor_alarm.messaging.publish import Publisher
from doctor_alarm.messaging.server import BatchServer
from doctor_alarm.messaging.server import PRIORITIES
from doctor_alarm.messaging.transport import CONFIRM_TIMEOUT
from doctor_alarm.messaging.transport import DEAD_LETTER
from doctor_alarm.messaging.transport import DELIVERY_LIMIT
from doctor_alarm.messaging.transport import EXCHANGE
from doctor_alarm.messaging.transport import Expiry
from doctor_alarm.messaging.transport import get_hint_transport
from doctor_alarm.messaging.transport import get_own_transport
from doctor_alarm.messaging.transport import get_transport
from doctor_alarm.messaging.transport import HINT_BOUNDS
from doctor_alarm.messaging.transport import HINT_EXCHANGE
from doctor_alarm.messaging.transport import MESSAGE_SIZE
from doctor_alarm.messaging.transport import ONE_BY_ONE
from doctor_alarm.messaging.transport import OWN_PREFETCH
from doctor_alarm.messaging.transport import PREFETCH
from doctor_alarm.messaging.transport import reason_of
from doctor_alarm.messaging.transport import RETRIES

__all__ = (
    'BatchServer', 'Batcher', 'CONFIRM_TIMEOUT', 'DEAD_LETTER',
    'DELIVERY_LIMIT', 'EXCHANGE', 'Ear', 'Expiry', 'HINT_BOUNDS',
    'HINT_EXCHANGE', 'HintPublisher', 'MESSAGE_SIZE', 'Neighbours',
    'ONE_BY_ONE', 'OWN_PREFETCH', 'PREFETCH', 'PRIORITIES', 'Publisher',
    'RETRIES', 'chunks', 'get_hint_transport', 'get_own_transport',
    'get_transport', 'insist', 'name_of', 'reason_of')
