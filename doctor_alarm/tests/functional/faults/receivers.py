# SPDX-License-Identifier: Apache-2.0
"""Faults of receivers."""

import contextlib
import socket
import struct
import time

from doctor_alarm.tests.functional.faults import table


@table.fault('receiver', answers_lost=True)
def receiver_refuses(scene):
    """Open connections are cut, new ones are refused."""
    table.away(scene, scene.receiver)


@table.fault('receiver', answers_lost=True)
def receiver_hangs(scene):
    """Longer than anybody waits for it."""
    scene.receiver.hang()
    scene.last(table.AWAY)
    scene.receiver.release()


@table.fault('receiver')
def receiver_fails(scene):
    """500"""
    scene.receiver.status = 500
    scene.last(table.BAD)
    scene.receiver.status = 200


def _patient(scene):
    """Complain about attempts that came before Retry-After."""
    last, early = {}, 0
    for name, when in scene.receiver.refusals:
        early += when - last.get(name, 0) < scene.receiver.retry_after - 0.1
        last[name] = when
    found = ['%d attempts before Retry-After' % early] if early else []
    return found or ([] if last else ['nothing was refused'])


@table.fault('receiver', also=_patient)
def receiver_is_busy(scene):
    """429 with Retry-After"""
    scene.receiver.retry_after = 2
    scene.receiver.status = 429
    scene.last(table.BAD)
    scene.receiver.status = 200


def _reset(handler, _status):
    """Close with RST where an answer is expected."""
    handler.connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    handler.connection.close()
    handler.close_connection = True


def _drip(text):
    """Answer one byte per second, as long as somebody listens."""
    def answer(handler, status):
        head, slow = text.split(b'|')
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.wfile.write(head)
            for byte in slow:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(1)
    return answer


def _misbehave(scene, manner):
    scene.receiver.manner = manner
    scene.last(table.BAD)
    scene.receiver.manner = None


@table.fault('receiver', answers_lost=True)
def receiver_resets(scene):
    """It has read the body then."""
    _misbehave(scene, _reset)


@table.fault('receiver', answers_lost=True)
def receiver_drips(scene):
    _misbehave(scene, _drip(b'|HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))


@table.fault('receiver')
def receiver_drips_after_the_head(scene):
    """It said 200: that is enough."""
    _misbehave(scene, _drip(
        b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n|' + 20 * b'.'))
