# SPDX-License-Identifier: Apache-2.0
"""ICMP echo over icmplib: one socket per version of IP, whatever the hosts.

Datagram sockets need no privilege where the kernel allows them
(net.ipv4.ping_group_range); raw sockets need CAP_NET_RAW.
"""
from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import errno
import random
import select
import socket
import struct

import icmplib

from doctor_alarm import exception

#: Bytes of answers that may wait in the kernel.
_RECEIVE_BUFFER = 4 * 2 ** 20
#: Seconds; an answer is there before it is read.
_READ_TIMEOUT = 5.0
#: Types of ICMP and ICMPv6 that are answers to an echo.
_ECHO_REPLY = {4: 0, 6: 129}
#: Linux's options of raw sockets: which types are let through.
_SOL_RAW, _ICMP_FILTER = 255, 1
_ICMP6_FILTER = 1
_PAYLOAD = b'doctor_alarm'


class Unsent(Exception):
    """An echo that did not leave.

    :ivar ours: whether it was this host that could not send at all, so that
        it tells nothing about the other
    """

    def __init__(self, reason: str, ours: bool) -> None:
        super().__init__(reason)
        self.ours = ours


class Icmp:
    """Sends echoes and gives the answers.

    :param versions: of IP: 4, 6
    :raises ConfigurationError: this process may not
    """

    def __init__(self, versions: Iterable[int]) -> None:
        self._sockets: dict[int, icmplib.sockets.ICMPSocket] = {}
        self._versions: dict[int, int] = {}
        self._poll = select.poll()
        # Of raw sockets: their kernel gives every answer to each of them.
        self._id = random.randrange(65536)  # noqa: S311
        self.add(versions)

    @property
    def kind(self) -> str:
        """What the sockets are: raw or datagram."""
        return '/'.join(sorted({
            'raw' if sock.is_privileged else 'datagram'
            for sock in self._sockets.values()}))

    def add(self, versions: Iterable[int]) -> None:
        """Open what is still needed of sockets.

        :raises ConfigurationError: this process may not
        """
        for version in versions:
            if version not in self._sockets:
                opened = _open(version)
                self._sockets[version] = opened
                self._versions[opened.sock.fileno()] = version
                self._poll.register(opened.sock, select.POLLIN)

    def send(self, address: str, sequence: int) -> None:
        """Send an echo.

        :raises Unsent: it did not leave
        """
        request = icmplib.ICMPRequest(
            destination=address, id=self._id, sequence=sequence,
            payload=_PAYLOAD)
        try:
            self._sockets[6 if ':' in address else 4].send(request)
        except icmplib.ICMPLibError as exc:
            cause = exc.__context__
            number = getattr(cause, 'errno', None)
            raise Unsent(
                getattr(cause, 'strerror', None) or str(exc),
                number in (errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN,
                           errno.EPERM, errno.EACCES)) from None

    def receive(self) -> Iterator[tuple[str, int]]:
        """Give (address, sequence) of all answers that have come."""
        while ready := self._poll.poll(0):
            for number, _event in ready:
                version = self._versions[number]
                with contextlib.suppress(icmplib.ICMPLibError):
                    sock = self._sockets[version]
                    reply = sock.receive(timeout=_READ_TIMEOUT)
                    if reply.type == _ECHO_REPLY[version] and (
                            not sock.is_privileged or reply.id == self._id):
                        yield reply.source, reply.sequence

    def close(self) -> None:
        """Close the sockets."""
        for sock in self._sockets.values():
            self._poll.unregister(sock.sock)
            sock.close()
        self._sockets.clear()


def _open(version: int) -> icmplib.sockets.ICMPSocket:
    kind = icmplib.ICMPv6Socket if version == 6 else icmplib.ICMPv4Socket
    try:
        # The kernel of these hands over the answers to this socket alone.
        sock = kind(privileged=False)
    except icmplib.ICMPSocketError:
        try:
            sock = kind(privileged=True)
        except icmplib.SocketPermissionError:
            raise exception.ConfigurationError(
                where='monitor ping', reason='this account may not send '
                'ICMP: let its group into the range net.ipv4.'
                'ping_group_range of sysctl, or give the process the '
                'capability CAP_NET_RAW (AmbientCapabilities of systemd)'
            ) from None
        except icmplib.ICMPSocketError as exc:
            raise exception.ConfigurationError(
                where='monitor ping', reason='no ICMP over IPv%d: %s' % (
                    version, exc)) from None
        _filter(sock.sock, version)
    _enlarge(sock.sock)
    return sock


def _filter(sock: socket.socket, version: int) -> None:
    """Let the kernel keep all but answers from a raw socket."""
    reply = _ECHO_REPLY[version]
    if version == 4:
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER,
                        struct.pack('=I', 0xffffffff & ~(1 << reply)))
        return
    words = [0xffffffff] * 8
    words[reply >> 5] &= ~(1 << (reply & 31))
    sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER,
                    struct.pack('=8I', *words))


def _enlarge(sock: socket.socket) -> None:
    # A burst of answers must not be taken for losses. The first is for the
    # privileged and knows no limit but ours.
    for option in (getattr(socket, 'SO_RCVBUFFORCE', 33),
                   socket.SO_RCVBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, _RECEIVE_BUFFER)
            return
