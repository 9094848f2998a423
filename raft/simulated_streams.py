"""One stream of the simulated network: two ends, and a pipe each way.

Bytes stay in order. While the ends are cut off from each other bytes wait, as TCP would send them
again; when that lasts, the stream breaks on both ends.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Iterable
from random import Random
from typing import Any, Protocol, cast
from zlib import crc32

from typing_extensions import override

HIGH_WATER = 64 * 1024
BREAKS_AFTER = 15.0
"""A stream whose bytes wait longer than this breaks, in seconds."""


class StreamWire(Protocol):
    """What a stream needs of the wire that all hosts share."""

    loop: asyncio.AbstractEventLoop
    rng: Random
    cut: set[tuple[str, str]]
    pipes: list[Pipe]

    def delay(self, source: str, target: str) -> float:
        """Seconds one way, drawn anew."""

    def note(self, *what: Any) -> None:
        """Record that something happened."""


class StreamHost(Protocol):
    """What a stream needs of the network of the host that one end is on."""

    address: str
    context: contextvars.Context
    streams: dict[SimulatedStream, None]

    @property
    def wire(self) -> StreamWire:
        """What all hosts share."""


class Pipe:
    """One direction of a stream."""

    def __init__(self, wire: StreamWire, source: SimulatedStream, target: SimulatedStream) -> None:
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
        """The way may be open again."""
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
        network: StreamHost,
        protocol: asyncio.BaseProtocol,
        local: tuple[str, int],
        remote: tuple[str, int],
    ) -> None:
        super().__init__({"sockname": local, "peername": remote})
        self.network = network
        self._protocol = protocol
        self._peer: SimulatedStream
        self._pipe: Pipe
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

    def connect(self, peer: SimulatedStream, wire: StreamWire) -> None:
        """Make ``peer`` the other end."""
        self._peer = peer
        self._pipe = Pipe(wire, self, peer)

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
