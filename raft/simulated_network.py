"""Streams and datagrams that exist in memory only, with latency, loss and partitions.

What the ends of a stream do is in ``simulated_streams.py``. Datagrams that cannot arrive are lost.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, TypeVar, cast
from zlib import crc32

from typing_extensions import override

from .runtime import Listener
from .simulated_streams import Pipe, SimulatedStream

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Wire:
    """What all hosts of a world share: who listens where, and which ways are cut."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rng: Random,
        record: Callable[..., None],
        *,
        latency: tuple[float, float],
        loss: float,
    ) -> None:
        self.loop = loop
        self.rng = rng
        self._record = record
        self.latency = latency
        """Least and most seconds one way; loopback takes a tenth of it."""
        self.loss = loss
        """The part of the datagrams that is lost between hosts."""
        self.networks: dict[str, SimulatedNetwork] = {}
        self.cut: set[tuple[str, str]] = set()
        """Directed ways, by address, on which nothing arrives."""
        self.pipes: list[Pipe] = []
        """Those with bytes that wait for a way to be healed."""

    def note(self, *what: Any) -> None:
        """Record that something happened."""
        self._record(*what)

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
