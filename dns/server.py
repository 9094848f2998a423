"""The DNS server: one UDP and one TCP listener on every address it serves."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, cast

import structlog
from typing_extensions import override

from lictor.raft.runtime import Listener, Runtime

from .lane import Lane
from .metrics import DNSMetrics
from .options import DNSOptions
from .recursors import Recursors
from .responder import Later, Responder
from .source import Registry
from .wire import MAX_MESSAGE
from .zone import Labels, Zone

log = structlog.get_logger("dns")

IDLE_TIMEOUT: Final = 8.0
"""Seconds after its last question until a connection is closed."""

MAX_CONNECTIONS: Final = 1024
MAX_WAITING: Final = 1024
"""Questions that wait for recursors at the same time."""

MAX_PIPELINED: Final = 64
"""Questions of one connection that wait for recursors; past that it is not read from."""


class DNSServer:
    """Answers for one zone from one registry."""

    def __init__(
        self,
        options: DNSOptions,
        *,
        runtime: Runtime,
        registry: Registry,
        node_name: str,
        datacenter: str,
        metrics: DNSMetrics,
        domain: str = "consul",
        alt_domain: str = "",
        recursors: Sequence[str] = (),
    ) -> None:
        """Make a server that does not listen yet.

        Raises:
            ValueError: a recursor's address is not one.
        """
        self._runtime = runtime
        self._metrics = metrics
        self._log = log.bind(node=node_name)
        zone = Zone(_labels(domain), _labels(alt_domain), datacenter)
        self._responder = Responder(
            zone,
            options,
            self._recursors(options, recursors),
            runtime=runtime,
            registry=registry,
            metrics=metrics,
        )
        self._listeners: list[Listener] = []
        self._transports: list[asyncio.BaseTransport] = []
        self._waiting: set[asyncio.Task[None]] = set()
        self._connections: OrderedDict[_Connection, float] = OrderedDict()
        self._wake = asyncio.Event()
        self._reaper: asyncio.Task[None] | None = None

    async def serve(self, host: str, port: int) -> tuple[str, int]:
        """Listen on ``host:port`` for both transports; return what was bound.

        ``port`` 0 picks one that is free for both.

        Raises:
            OSError: the address cannot be had.
        """
        listener = await self._runtime.network.serve_stream(
            lambda: _Connection(self, self._responder.tcp), host, port
        )
        self._listeners.append(listener)
        bound = listener.address
        datagrams, transport, _ = await self._runtime.network.serve_datagrams(
            lambda: _Datagrams(self, self._responder.udp), host, bound[1]
        )
        self._listeners.append(datagrams)
        self._transports.append(transport)
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().create_task(self.close_idle())
        self._log.info("dns listener started", address=bound[0], port=bound[1])
        return bound

    def configure(self, options: DNSOptions, recursors: Sequence[str]) -> None:
        """Answer with other settings from here on.

        Raises:
            ValueError: a recursor's address is not one; nothing was changed.
        """
        self._responder.configure(options, self._recursors(options, recursors))

    async def close(self) -> None:
        """Stop listening, drop connections and waiting questions."""
        for listener in self._listeners:
            await listener.close()
        for transport in self._transports:
            transport.close()
        for connection in tuple(self._connections):
            connection.abort()
        tasks = [*self._waiting, *([self._reaper] if self._reaper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._reaper = None
        self._listeners.clear()
        self._transports.clear()

    async def close_idle(self) -> None:
        """Close every connection when it has been idle too long, until cancelled."""
        clock = self._runtime.clock
        while True:
            self._wake.clear()
            last = next(iter(self._connections.values()), None)
            await clock.wait(self._wake, until=None if last is None else last + IDLE_TIMEOUT)
            due = clock.now() - IDLE_TIMEOUT
            for connection, used in tuple(self._connections.items()):
                if used > due:
                    break
                connection.close()
                self.disconnected(connection)

    # -- for the protocols ------------------------------------------------------------------------

    def respond(self, packet: bytes, *, tcp: bool) -> bytes | Later | None:
        """The reply to ``packet``, which the lane does not have, now or later."""
        return self._responder.respond(packet, tcp=tcp)

    def wait_for(
        self, packet: bytes, later: Later, send: Callable[[bytes], None]
    ) -> asyncio.Task[None] | None:
        """Have ``later`` sent when it is there; refuse at once when too many wait."""
        if len(self._waiting) >= MAX_WAITING:
            later.close()
            refusal = self._responder.refuse(packet)
            if refusal is not None:
                send(refusal)
            return None
        task = asyncio.get_running_loop().create_task(_send_later(later, send))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    def connected(self, connection: _Connection) -> bool:
        """Whether there is room for one connection more; it is counted then."""
        if len(self._connections) >= MAX_CONNECTIONS:
            return False
        self._connections[connection] = self._runtime.clock.now()
        self._metrics.connections = len(self._connections)
        if len(self._connections) == 1:
            self._wake.set()
        return True

    def used(self, connection: _Connection) -> None:
        """Note that ``connection`` asked something."""
        if connection in self._connections:
            self._connections[connection] = self._runtime.clock.now()
            self._connections.move_to_end(connection)

    def disconnected(self, connection: _Connection) -> None:
        """Forget ``connection``."""
        self._connections.pop(connection, None)
        self._metrics.connections = len(self._connections)

    def _recursors(self, options: DNSOptions, addresses: Sequence[str]) -> Recursors:
        return Recursors(
            addresses,
            self._runtime,
            timeout=options.recursor_timeout,
            strategy=options.recursor_strategy,
        )


async def _send_later(
    later: Coroutine[Any, Any, bytes | None], send: Callable[[bytes], None]
) -> None:
    reply = await later
    if reply is not None:
        send(reply)


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP side."""

    def __init__(self, server: DNSServer, lane: Lane) -> None:
        self._server = server
        self._find = lane.find
        self._transport: asyncio.DatagramTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        transport = self._transport
        if transport is None:
            return
        kept = self._find(data[2:])
        if kept is not None:
            transport.sendto(data[:2] + kept, addr)
            return
        reply = self._server.respond(data, tcp=False)
        if isinstance(reply, bytes):
            transport.sendto(reply, addr)
        elif reply is not None:
            self._server.wait_for(data, reply, lambda late: transport.sendto(late, addr))


class _Connection(asyncio.Protocol):
    """One TCP connection: framed questions in, framed replies out, in no certain order.

    Source: RFC 7766, sections 6.2.1.1 (pipelining) and 7 (out-of-order replies).
    """

    def __init__(self, server: DNSServer, lane: Lane) -> None:
        self._server = server
        self._find = lane.find
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting = 0
        self._full = False
        """Whether the peer reads too slowly."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._server.connected(self):
            self._transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._answer()

    @override
    def pause_writing(self) -> None:
        self._full = True

    @override
    def resume_writing(self) -> None:
        self._full = False
        self._answer()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.disconnected(self)

    def close(self) -> None:
        """Send what is written, then close."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self) -> None:
        """Answer the whole questions in the buffer, as long as the peer keeps up."""
        buffer = self._buffer
        at = 0
        while self._transport is not None and not self._stalled() and len(buffer) >= at + 2:
            end = at + 2 + int.from_bytes(buffer[at : at + 2])
            if len(buffer) < end:
                break
            packet = bytes(buffer[at + 2 : end])
            at = end
            self._server.used(self)
            kept = self._find(packet[2:])
            reply = packet[:2] + kept if kept else self._server.respond(packet, tcp=True)
            if isinstance(reply, bytes):
                self._send(reply)
            elif reply is not None:
                self._wait_for(packet, reply)
        del buffer[:at]
        self._throttle()

    def _stalled(self) -> bool:
        return self._full or self._waiting >= MAX_PIPELINED

    def _throttle(self) -> None:
        """Read no more while nothing can be answered."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._stalled():
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _wait_for(self, packet: bytes, later: Later) -> None:
        task = self._server.wait_for(packet, later, self._send)
        if task is not None:
            self._waiting += 1
            task.add_done_callback(self._waited)

    def _waited(self, _: asyncio.Task[None]) -> None:
        self._waiting -= 1
        self._answer()

    def _send(self, reply: bytes) -> None:
        if self._transport is not None and len(reply) <= MAX_MESSAGE:
            self._transport.write(len(reply).to_bytes(2) + reply)


def _labels(domain: str) -> Labels:
    return tuple(label for label in domain.lower().strip(".").split(".") if label)
