"""Streams and datagrams that exist in memory only, with latency, loss and partitions.

A stream keeps its bytes in order. While its ends are cut off from each other, bytes wait, as TCP
would send them again; when that lasts, the stream breaks on both ends. Datagrams are just lost.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, TypeVar, cast
from zlib import crc32

from typing_extensions import override

from .runtime import Listener

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY = ("", "0.0.0.0", "::")  # noqa: S104 - nothing is bound, only compared
HIGH_WATER = 64 * 1024
BREAKS_AFTER = 15.0
"""A stream whose bytes wait longer than this breaks, in seconds."""


class Wire:
    """What all hosts of a world share: who listens where, and which ways are cut."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rng: Random,
        note: Callable[..., None],
        *,
        latency: tuple[float, float],
        loss: float,
    ) -> None:
        self.loop = loop
        self.rng = rng
        self.note = note
        self.latency = latency
        """Least and most seconds one way; loopback takes a tenth of it."""
        self.loss = loss
        """The part of the datagrams that is lost between hosts."""
        self.networks: dict[str, SimulatedNetwork] = {}
        self.cut: set[tuple[str, str]] = set()
        """Directed ways, by address, on which nothing arrives."""
        self.pipes: list[_Pipe] = []
        """Those with bytes that wait for a way to be healed."""

    def delay(self, source: str, target: str) -> float:
        """Seconds one way, drawn anew."""
        delay = self.rng.uniform(*self.latency)
        return delay / 10 if source == target else delay

    def heal(self, ways: Iterable[tuple[str, str]]) -> None:
        """Let ``ways`` carry again what waits for them."""
        self.cut.difference_update(ways)
        waiting, self.pipes = self.pipes, []
        for pipe in waiting:
            pipe.resume()

    def find(self, address: str) -> SimulatedNetwork | None:
        """The network of whoever lives at ``address`` now."""
        return self.networks.get(address)


class _Pipe:
    """One direction of a stream."""

    def __init__(self, wire: Wire, source: SimulatedStream, target: SimulatedStream) -> None:
        self._wire = wire
        self._source = source
        self._target = target
        self._queue: deque[tuple[float, bytes | Exception | None]] = deque()
        self._last = 0.0
        self._cut_since: float | None = None

    def send(self, item: bytes | Exception | None) -> None:
        """Bytes, ``None`` for the end, or the exception that breaks the stream."""
        wire = self._wire
        now = wire.loop.time()
        ends = (self._source.network.address, self._target.network.address)
        self._last = max(self._last, now + wire.delay(*ends))
        self._queue.append((self._last, item))
        if self._cut_since is None:
            wire.loop.call_at(self._last, self._pump, context=self._target.network.context)

    def resume(self) -> None:
        self._cut_since = None
        self._wire.loop.call_soon(self._pump, context=self._target.network.context)

    def _pump(self) -> None:
        wire = self._wire
        now = wire.loop.time() + 1e-9
        source, target = self._source.network, self._target.network
        while self._queue and self._queue[0][0] <= now and self._cut_since is None:
            if (source.address, target.address) in wire.cut:
                self._cut_since = now
                wire.pipes.append(self)
                wire.loop.call_later(BREAKS_AFTER, self._break, now)
                return
            _, item = self._queue.popleft()
            size = len(item) if isinstance(item, bytes) else 0
            wire.note("stream", source.address, target.address, size, _digest(item))
            self._target.receive(item)

    def _break(self, since: float) -> None:
        if self._cut_since == since:
            self._queue.clear()
            for end in (self._source, self._target):
                end.lose(TimeoutError("the stream was cut off for too long"))


def _digest(item: bytes | Exception | None) -> int:
    return crc32(item) if isinstance(item, bytes) else 0


class SimulatedStream(asyncio.Transport):
    """One end of a stream."""

    def __init__(
        self,
        network: SimulatedNetwork,
        protocol: asyncio.BaseProtocol,
        local: tuple[str, int],
        remote: tuple[str, int],
    ) -> None:
        super().__init__({"sockname": local, "peername": remote})
        self.network = network
        self._protocol = protocol
        self._peer: SimulatedStream
        self._pipe: _Pipe
        self._closing = False
        self._lost = False
        self._eof_sent = False
        self._paused = False
        self._received: deque[bytes | Exception | None] = deque()
        self._unread = 0
        self._high = HIGH_WATER
        self._low = HIGH_WATER // 4
        self._writer_paused = False
        network.streams[self] = None

    def connect(self, peer: SimulatedStream, wire: Wire) -> None:
        """Make ``peer`` the other end."""
        self._peer = peer
        self._pipe = _Pipe(wire, self, peer)

    def begin(self) -> None:
        """Tell the protocol."""
        if not self._lost:
            self._protocol.connection_made(self)

    # -- asyncio.Transport ---------------------------------------------------------------------

    @override
    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told what arrives."""
        return self._protocol

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let ``protocol`` be told from now on."""
        self._protocol = protocol

    @override
    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing

    @override
    def is_reading(self) -> bool:
        """Whether what arrives is told."""
        return not self._paused and not self._closing

    @override
    def pause_reading(self) -> None:
        """Keep what arrives."""
        self._paused = True

    @override
    def resume_reading(self) -> None:
        """Tell what was kept, and what arrives."""
        if self._paused:
            self._paused = False
            self.network.wire.loop.call_soon(self._deliver, context=self.network.context)

    @override
    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send ``data``."""
        if self._closing or self._eof_sent or not data:
            return
        content = bytes(data)
        self._unread += len(content)
        self._pipe.send(content)
        if self._unread > self._high and not self._writer_paused:
            self._writer_paused = True
            self._flow(asyncio.BaseProtocol.pause_writing.__name__)

    @override
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send all of it."""
        self.write(b"".join(list_of_data))

    @override
    def write_eof(self) -> None:
        """Send no more, and say so."""
        if not self._eof_sent and not self._closing:
            self._eof_sent = True
            self._pipe.send(None)

    @override
    def can_write_eof(self) -> bool:
        """It can."""
        return True

    @override
    def close(self) -> None:
        """Send what was written, then end."""
        if not self._closing:
            self.write_eof()
            self._end(None)

    @override
    def abort(self) -> None:
        """End at once; the other end sees a reset."""
        if not self._lost:
            self._pipe.send(ConnectionResetError("the other end was aborted"))
            self._end(None)

    @override
    def get_write_buffer_size(self) -> int:
        """Bytes that the other end has not read."""
        return self._unread

    @override
    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high."""
        return self._low, self._high

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Above ``high`` the writer is paused, at ``low`` it is resumed."""
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    # -- the wire ------------------------------------------------------------------------------

    def receive(self, item: bytes | Exception | None) -> None:
        """Something arrived."""
        if self._lost:
            if item and not isinstance(item, Exception):
                self._pipe.send(ConnectionResetError("nobody reads there any more"))
            return
        if isinstance(item, Exception):
            self.lose(item)
            return
        self._received.append(item)
        self._deliver()

    def lose(self, error: Exception | None) -> None:
        """The stream is broken."""
        if not self._lost:
            self._received.clear()
            self._end(error)

    def die(self) -> None:
        """The host crashed: nobody is told here, and the other end sees a reset."""
        if not self._lost:
            self._pipe.send(ConnectionResetError("the host crashed"))
            self._closing = self._lost = True

    def _deliver(self) -> None:
        while self._received and not self._paused and not self._lost:
            item = self._received.popleft()
            if item is None:
                if not self._closing and not self._protocol_eof():
                    self.close()
            elif not isinstance(item, Exception):
                self._peer.was_read(len(item))
                if not self._closing:
                    self._tell(item)

    def _protocol_eof(self) -> bool:
        return bool(cast(asyncio.Protocol, self._protocol).eof_received())

    def _tell(self, content: bytes) -> None:
        protocol = self._protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            while content:
                buffer = memoryview(protocol.get_buffer(len(content)))
                size = min(len(buffer), len(content))
                buffer[:size] = content[:size]
                content = content[size:]
                protocol.buffer_updated(size)
        else:
            cast(asyncio.Protocol, protocol).data_received(content)

    def was_read(self, size: int) -> None:
        """The other end has read ``size`` bytes."""
        self._unread -= size
        if self._writer_paused and self._unread <= self._low:
            self._writer_paused = False
            self._flow(asyncio.BaseProtocol.resume_writing.__name__)

    def _flow(self, name: str) -> None:
        if not self._lost:
            self.network.wire.loop.call_soon(
                getattr(self._protocol, name), context=self.network.context
            )

    def _end(self, error: Exception | None) -> None:
        self._closing = True
        if not self._lost:
            self._lost = True
            self.network.streams.pop(self, None)
            self.network.wire.loop.call_soon(
                self._protocol.connection_lost, error, context=self.network.context
            )


class SimulatedDatagrams(asyncio.DatagramTransport):
    """A datagram endpoint."""

    def __init__(
        self,
        network: SimulatedNetwork,
        protocol: asyncio.BaseProtocol,
        local: tuple[str, int],
        remote: tuple[str, int] | None,
    ) -> None:
        super().__init__({"sockname": local, "peername": remote})
        self.local = local
        self._network = network
        self._protocol = protocol
        self._remote = remote
        self._closing = False

    @override
    def sendto(self, data: bytes | bytearray | memoryview[Any], addr: Any = None) -> None:
        """Send one datagram to ``addr``, or to the peer."""
        target = self._remote if addr is None else addr
        if self._closing or target is None or isinstance(target, str):
            return
        network, wire = self._network, self._network.wire
        address = network.resolve(str(target[0]))
        source = (network.address, self.local[1])
        if str(target[0]) in LOOPBACK:
            source = (LOOPBACK[0], self.local[1])
        lost = address != network.address and wire.rng.random() < wire.loss
        if lost or (network.address, address) in wire.cut:
            wire.note("lost", network.address, address, len(data))
            return
        receiver = wire.find(address)
        wire.loop.call_later(
            wire.delay(network.address, address),
            _arrive,
            wire,
            network.address,
            address,
            int(target[1]),
            bytes(data),
            source,
            context=receiver.context if receiver is not None else None,
        )

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        """A datagram arrived."""
        if not self._closing and self._remote in (None, source):
            cast(asyncio.DatagramProtocol, self._protocol).datagram_received(data, source)

    @override
    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._closing

    @override
    def close(self) -> None:
        """Receive no more."""
        if not self._closing:
            self._closing = True
            self._network.datagrams.pop(self.local[1], None)
            self._network.wire.loop.call_soon(
                self._protocol.connection_lost, None, context=self._network.context
            )

    @override
    def abort(self) -> None:
        """Receive no more."""
        self.close()


def _arrive(
    wire: Wire, source: str, address: str, port: int, data: bytes, sender: tuple[str, int]
) -> None:
    network = wire.find(address)
    endpoint = network.datagrams.get(port) if network is not None else None
    if endpoint is None or (source, address) in wire.cut:
        wire.note("lost", source, address, len(data))
        return
    wire.note("datagram", source, address, len(data), crc32(data))
    endpoint.receive(data, sender)


class _Listening:
    """A port on which streams are accepted, or a datagram endpoint."""

    def __init__(self, address: tuple[str, int], close: Callable[[], None]) -> None:
        self._address = address
        self._close = close

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    async def close(self) -> None:
        self._close()


class SimulatedNetwork:
    """The network as one host sees it, from one start to its end."""

    def __init__(
        self,
        wire: Wire,
        address: str,
        context: contextvars.Context,
        resolve: Callable[[str], str],
    ) -> None:
        self.wire = wire
        self.address = address
        self.context = context
        self._resolve = resolve
        self._alive = True
        self._next_port = 20_000
        self.streams: dict[SimulatedStream, None] = {}
        self.listeners: dict[int, tuple[str, Callable[[], asyncio.BaseProtocol]]] = {}
        self.datagrams: dict[int, SimulatedDatagrams] = {}
        wire.networks[address] = self

    def resolve(self, host: str) -> str:
        """The address of ``host``; loopback is the host itself."""
        return self.address if host in LOOPBACK else self._resolve(host)

    def die(self) -> None:
        """The host crashed: everything here ends, and nobody here is told."""
        self._alive = False
        for stream in list(self.streams):
            stream.die()
        self.streams.clear()
        self.listeners.clear()
        self.datagrams.clear()
        if self.wire.networks.get(self.address) is self:
            del self.wire.networks[self.address]

    async def serve_stream(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        backlog: int = 1024,
    ) -> Listener:
        """Accept streams on ``host:port``."""
        del backlog
        self._check_alive()
        port = self._free_port(port, self.listeners)
        self.listeners[port] = (host, factory)
        return _Listening((host, port), lambda: self._stop(port, factory))

    def _stop(self, port: int, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        if self.listeners.get(port, (None, None))[1] is factory:
            del self.listeners[port]

    async def connect_stream(
        self, factory: Callable[[], ProtocolT], host: str, port: int, *, timeout: float
    ) -> tuple[asyncio.Transport, ProtocolT]:
        """Connect to ``host:port``."""
        self._check_alive()
        wire = self.wire
        address = self.resolve(host)
        round_trip = wire.delay(self.address, address) + wire.delay(address, self.address)
        ways = {(self.address, address), (address, self.address)}
        target = wire.find(address)
        if ways & wire.cut or target is None or round_trip > timeout:
            await asyncio.sleep(timeout)
            raise TimeoutError(f"{host}:{port} does not answer")
        await asyncio.sleep(round_trip)
        self._check_alive()
        target = wire.find(address)
        bound, accept = (None, None) if target is None else target.listeners.get(port, (None, None))
        if target is None or accept is None or not self._reaches(host, bound):
            raise ConnectionRefusedError(111, f"{host}:{port} refused the connection")
        loopback = host in LOOPBACK
        here = LOOPBACK[0] if loopback else self.address
        there = (LOOPBACK[0] if loopback else address, port)
        mine = (here, self._free_port(0, {}))
        protocol = factory()
        near = SimulatedStream(self, protocol, mine, there)
        far = SimulatedStream(target, target.context.copy().run(accept), there, mine)
        near.connect(far, wire)
        far.connect(near, wire)
        wire.note("connect", self.address, address, port)
        wire.loop.call_soon(far.begin, context=target.context)
        near.begin()
        return near, protocol

    async def serve_datagrams(
        self, factory: Callable[[], ProtocolT], host: str, port: int
    ) -> tuple[Listener, asyncio.DatagramTransport, ProtocolT]:
        """Receive datagrams on ``host:port``."""
        transport, protocol = self._endpoint(factory, host, port, None)
        return _Listening(transport.local, transport.close), transport, protocol

    async def connect_datagrams(
        self, factory: Callable[[], ProtocolT], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, ProtocolT]:
        """A datagram endpoint whose peer is ``host:port``."""
        remote = (LOOPBACK[0] if host in LOOPBACK else self.resolve(host), port)
        return self._endpoint(factory, self.address, 0, remote)

    def _endpoint(
        self,
        factory: Callable[[], ProtocolT],
        host: str,
        port: int,
        remote: tuple[str, int] | None,
    ) -> tuple[SimulatedDatagrams, ProtocolT]:
        self._check_alive()
        port = self._free_port(port, self.datagrams)
        protocol = factory()
        transport = SimulatedDatagrams(self, protocol, (host, port), remote)
        self.datagrams[port] = transport
        protocol.connection_made(transport)
        return transport, protocol

    @staticmethod
    def _reaches(host: str, bound: str | None) -> bool:
        """Whether who listens on ``bound`` is reached by way of ``host``."""
        return bound not in LOOPBACK or host in LOOPBACK

    def _free_port(self, port: int, taken: dict[int, Any]) -> int:
        if port == 0:
            self._next_port += 1
            return self._next_port
        if port in taken:
            raise OSError(98, f"port {port} is taken")
        return port

    def _check_alive(self) -> None:
        if not self._alive:
            raise OSError(100, "the host is down")
