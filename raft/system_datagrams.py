"""Datagrams by the batch: one system call for up to 64 questions, one for their replies.

A loop that is woken for every packet spends most of its time being woken. This is the real
network's ``serve_datagrams`` on Linux, with the same shape as any other's: protocols see an
ordinary datagram transport. Elsewhere :class:`BatchedNetwork` is the network it was given.

Source: recvmmsg(2), sendmmsg(2); structures as the 64-bit Linux ABI has them.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import structlog
from typing_extensions import override

from .runtime import Listener, Network

log = structlog.get_logger("network")

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)
Address = tuple[Any, ...]

BATCH: Final = 64
"""Packets in one system call."""

BATCHES: Final = 4
"""Batches until other work of the loop has its turn."""

PACKET_SIZE: Final = 65535
SEND_SIZE: Final = 256 * 1024
"""Bytes of replies to one batch; what exceeds it goes in a second call."""

SOCKET_BUFFER: Final = 4 * 1024 * 1024
"""Bytes asked of the kernel for packets that wait; it grants what its limits allow."""

MAX_ADDRESSES: Final = 4096
"""Decoded addresses remembered."""

_CONTROL_SIZE: Final = 64
"""Room for one control message that says at which of our addresses a packet arrived."""

_ARRIVAL: Final = {  # (level, option that asks for it, type of the message) by family
    socket.AF_INET: (socket.IPPROTO_IP, 8, 8),  # IP_PKTINFO, which Python names only since 3.13
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, socket.IPV6_PKTINFO),
}
_INTERFACE: Final = slice(16, 20)
"""Where an IPv4 arrival names its interface; zeroed, so that routing picks the way back."""

_NAME_SIZE: Final = 28  # struct sockaddr_in6, the larger of the two
_HEADER_SIZE: Final = 64  # struct mmsghdr
_HEADER_WORDS: Final = _HEADER_SIZE // 8
_LENGTH_AT: Final = 14  # mmsghdr.msg_len, in 32-bit units
_CONTROL_AT: Final = 4  # msghdr.msg_control and behind it msg_controllen, in 64-bit units
_CONTROL_HEAD: Final = 16  # struct cmsghdr
_NAME_LENGTH_AT: Final = 2  # msghdr.msg_namelen, in 32-bit units


def _functions() -> tuple[Any, Any] | None:
    """``recvmmsg`` and ``sendmmsg``; ``None`` where they or their ABI are unknown."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    try:
        receive, send = library.recvmmsg, library.sendmmsg
    except AttributeError:
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int
    receive.argtypes = (number, pointer, ctypes.c_uint, number, pointer)
    send.argtypes = (number, pointer, ctypes.c_uint, number)
    receive.restype = send.restype = number
    return receive, send


_MMSG: Final = _functions()


class BatchedNetwork:
    """A real network whose datagram listeners work by the batch."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.serve_stream = network.serve_stream
        self.connect_stream = network.connect_stream
        self.connect_datagrams = network.connect_datagrams

    async def serve_datagrams(
        self, factory: Callable[[], ProtocolT], host: str, port: int
    ) -> tuple[Listener, asyncio.DatagramTransport, ProtocolT]:
        """Receive datagrams on ``host:port`` (``port`` 0 picks a free one)."""
        if _MMSG is None:
            return await self._network.serve_datagrams(factory, host, port)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, kind, proto, _, address = found[0]
        endpoint = socket.socket(family, kind | socket.SOCK_NONBLOCK, proto)
        try:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
            if family == socket.AF_INET6:  # as asyncio does for streams
                endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            anywhere = address[0] in ("0.0.0.0", "::")  # noqa: S104 - somebody asked for it
            if anywhere:
                level, option, _ = _ARRIVAL[family]
                endpoint.setsockopt(level, option, 1)
            endpoint.bind(address)
        except OSError:
            endpoint.close()
            raise
        protocol = factory()
        transport = BatchedTransport(
            loop,
            endpoint,
            cast("asyncio.DatagramProtocol", protocol),
            _MMSG,
            arrivals=anywhere,
        )
        return _BatchedListener(transport), transport, protocol


class Arrival(tuple[Any, ...]):
    """A peer's address that remembers to which of ours it wrote, so that this one answers."""

    control: bytes = b""
    """The control message that the kernel gave."""


class _Batch:
    """Memory for the headers, addresses and payloads of one system call."""

    def __init__(self, payload: int) -> None:
        self.payload = bytearray(payload)
        self.names = bytearray(BATCH * _NAME_SIZE)
        self._vectors = bytearray(BATCH * 16)
        self._headers = bytearray(BATCH * _HEADER_SIZE)
        self.words = memoryview(self._headers).cast("Q")
        self.halves = memoryview(self._headers).cast("I")
        self.vectors = memoryview(self._vectors).cast("Q")
        self.address = _address_of(self._headers)
        self.payload_address = _address_of(self.payload)
        self.names_address = _address_of(self.names)
        self.control = bytearray(BATCH * _CONTROL_SIZE)
        self.control_address = _address_of(self.control)
        vectors_address = _address_of(self._vectors)
        for slot in range(BATCH):
            at = slot * _HEADER_WORDS
            self.words[at] = self.names_address + slot * _NAME_SIZE
            self.words[at + 2] = vectors_address + slot * 16
            self.words[at + 3] = 1


def _message(control: bytes) -> bytes:
    """The first control message in ``control``, without what pads it."""
    return control[: int.from_bytes(control[:8], sys.byteorder)]


def _address_of(buffer: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


class BatchedTransport(asyncio.DatagramTransport):
    """A bound socket that is read and written by the batch.

    What a protocol sends to the peer it is just told of leaves with the batch; everything else at
    once. What the kernel has no room for is lost, as a datagram may be. With ``arrivals``, a reply
    comes from the address that was written to, as every client insists.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        endpoint: socket.socket,
        protocol: asyncio.DatagramProtocol,
        functions: tuple[Any, Any],
        *,
        arrivals: bool,
    ) -> None:
        super().__init__({"sockname": endpoint.getsockname(), "socket": endpoint})
        self.lost = 0
        self._loop = loop
        self._socket = endpoint
        self._fd = endpoint.fileno()
        self._receive, self._send = functions
        self._family = endpoint.family
        self._name_length = 16 if endpoint.family == socket.AF_INET else _NAME_SIZE
        self._protocol = protocol
        self._arrivals = arrivals
        self._closing = False
        self._in = _Batch(BATCH * PACKET_SIZE)
        self._out = _Batch(SEND_SIZE)
        for slot in range(BATCH):
            self._in.halves[slot * 16 + _NAME_LENGTH_AT] = self._name_length
            self._in.vectors[slot * 2] = self._in.payload_address + slot * PACKET_SIZE
            self._in.vectors[slot * 2 + 1] = PACKET_SIZE
            self._out.halves[slot * 16 + _NAME_LENGTH_AT] = self._name_length
            if arrivals:
                at = slot * _HEADER_WORDS + _CONTROL_AT
                self._in.words[at] = self._in.control_address + slot * _CONTROL_SIZE
        self._current: Address | None = None
        """The peer whose packet the protocol is looking at."""
        self._slot = 0
        self._queued = 0
        self._used = 0
        self._addresses: dict[bytes, Address] = {}
        protocol.connection_made(self)
        loop.add_reader(self._fd, self._readable)

    @override
    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send ``data``; a peer that the protocol was just told of is the cheap case."""
        size = len(data)
        if self._closing:
            return
        if addr is None or addr is not self._current or size > SEND_SIZE:
            self._send_now(data, addr)
            return
        if self._queued == BATCH or self._used + size > SEND_SIZE:
            self._flush()
        out = self._out
        start = self._used
        queued = self._queued
        out.payload[start : start + size] = data
        out.vectors[queued * 2] = out.payload_address + start
        out.vectors[queued * 2 + 1] = size
        at = queued * _HEADER_WORDS
        out.words[at] = self._in.names_address + self._slot * _NAME_SIZE
        if self._arrivals:
            arrived = self._slot * _HEADER_WORDS + _CONTROL_AT
            out.words[at + _CONTROL_AT] = self._in.words[arrived]
            out.words[at + _CONTROL_AT + 1] = self._in.words[arrived + 1]
        self._used = start + size
        self._queued = queued + 1

    @override
    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._closing

    @override
    def close(self) -> None:
        """Stop receiving; what was sent is sent."""
        if self._closing:
            return
        self._closing = True
        self._flush()
        self._loop.remove_reader(self._fd)
        self._socket.close()
        self._loop.call_soon(self._protocol.connection_lost, None)

    @override
    def abort(self) -> None:
        """The same as :meth:`close`."""
        self.close()

    def get_write_buffer_size(self) -> int:
        """Nothing is ever kept for later."""
        return 0

    def _send_now(self, data: Any, addr: Address | None) -> None:
        try:
            if addr is None:
                self._socket.send(data)
            elif isinstance(addr, Arrival) and addr.control:
                level, _, kind = _ARRIVAL[self._family]
                body = addr.control[_CONTROL_HEAD:]
                self._socket.sendmsg([data], [(level, kind, body)], 0, tuple(addr))
            else:
                self._socket.sendto(data, addr)
        except OSError:
            self.lost += 1

    def _readable(self) -> None:
        received = cast("Callable[[bytes, Address], None]", self._protocol.datagram_received)
        batch = self._in
        payload, names, halves = memoryview(batch.payload), batch.names, batch.halves
        addresses = self._addresses
        length = self._name_length
        for _ in range(BATCHES):
            if self._arrivals:
                self._expect_arrivals()
            count = self._receive(self._fd, batch.address, BATCH, socket.MSG_DONTWAIT, None)
            if count < 0:
                self._failed(ctypes.get_errno())
                return
            try:
                for slot in range(count):
                    name = slot * _NAME_SIZE
                    raw = bytes(names[name : name + length])
                    if self._arrivals:
                        raw += self._arrival(slot)
                    address = addresses.get(raw) or self._decode(raw)
                    start = slot * PACKET_SIZE
                    end = start + halves[slot * 16 + _LENGTH_AT]
                    self._current = address
                    self._slot = slot
                    received(payload[start:end].tobytes(), address)
                    if self._closing:
                        return
            finally:
                # a queued reply points to its peer's address in this batch
                self._current = None
                self._flush()
            if count < BATCH:
                return

    def _expect_arrivals(self) -> None:
        """Tell the kernel how much room there is; it writes back what it used."""
        words = self._in.words
        for at in range(_CONTROL_AT + 1, BATCH * _HEADER_WORDS, _HEADER_WORDS):
            words[at] = _CONTROL_SIZE

    def _arrival(self, slot: int) -> bytes:
        """The control message of the packet in ``slot``, fit to be sent with its reply."""
        start = slot * _CONTROL_SIZE
        size = self._in.words[slot * _HEADER_WORDS + _CONTROL_AT + 1]
        control = self._in.control
        if self._family == socket.AF_INET and size:
            control[start + _INTERFACE.start : start + _INTERFACE.stop] = bytes(4)
        return bytes(control[start : start + size])

    def _failed(self, code: int) -> None:
        if code in (errno.EAGAIN, errno.EINTR):
            return
        self._protocol.error_received(OSError(code, os.strerror(code)))

    def _decode(self, raw: bytes) -> Address:
        port = int.from_bytes(raw[2:4], "big")
        address: Address
        if self._family == socket.AF_INET:
            address = (socket.inet_ntop(socket.AF_INET, raw[4:8]), port)
        else:
            flow = int.from_bytes(raw[4:8], "big")
            scope = int.from_bytes(raw[24:28], sys.byteorder)
            address = (socket.inet_ntop(socket.AF_INET6, raw[8:24]), port, flow, scope)
        if self._arrivals:
            address = Arrival(address)
            address.control = _message(raw[self._name_length :])
        if len(self._addresses) >= MAX_ADDRESSES:
            self._addresses.clear()
        self._addresses[raw] = address
        return address

    def _flush(self) -> None:
        """Send what is queued. A reply that cannot be sent is skipped, not those behind it."""
        count, self._queued, self._used = self._queued, 0, 0
        sent = 0
        while sent < count:
            headers = self._out.address + sent * _HEADER_SIZE
            done = self._send(self._fd, headers, count - sent, socket.MSG_DONTWAIT)
            if done > 0:
                sent += done
            elif ctypes.get_errno() != errno.EINTR:
                self.lost += 1
                sent += 1


class _BatchedListener:
    def __init__(self, transport: BatchedTransport) -> None:
        self._transport = transport
        name = transport.get_extra_info("sockname")
        self._address: tuple[str, int] = (name[0], name[1])

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    async def close(self) -> None:
        self._transport.close()
