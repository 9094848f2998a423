"""The fast lane: a read whose very bytes were answered before is answered again at once.

It sits in front of aiohttp, on the same connection. What it does not know, or cannot prove to be
alone on the connection, goes to aiohttp unchanged.

Invariants
    I1  An entry is served only while its answer is live and the server may answer unasked.
    I2  Nothing is served while aiohttp has a request of this connection, or part of one: answers
        leave in the order in which requests came.
    I3  A key is a whole head of one GET without a body; so no other request has the same bytes.
    I4  At most one request of a connection is answered directly, and what comes meanwhile is held
        back, unread, until its answer has left.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from lictor.raft.runtime import Clock
from lictor.registry.answers import Answer

from .direct import DirectRequest, read_direct
from .respond import Dates, Wire, WireResponse

log = structlog.get_logger("http")

MAX_KEY: Final = 2048
"""Bytes of the longest head that is kept."""

MAX_ENTRIES: Final = 20_000
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of heads and answers together."""

_FRAMING: Final = re.compile(
    rb"\r\n(content-length|transfer-encoding|upgrade|expect)[ \t]*:", re.IGNORECASE
)
_CLOSING: Final = re.compile(rb"\r\nconnection[ \t]*:[^\r\n]*(close|upgrade)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*\r\n", re.IGNORECASE)
_OTHER_FRAMING: Final = re.compile(rb"\r\n(transfer-encoding|upgrade|expect)[ \t]*:", re.IGNORECASE)


class _Entry:
    __slots__ = ("answer", "size", "wire")

    def __init__(self, answer: Answer, wire: Wire, size: int) -> None:
        self.answer = answer
        self.wire = wire
        self.size = size


class Lane:
    """The kept answers, shared by every connection."""

    def __init__(
        self,
        may_answer: Callable[[], bool],
        clock: Clock,
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._may_answer = may_answer
        self._clock = clock
        self._dates = Dates()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._bytes = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.hits = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Bytes of heads and answers kept."""
        return self._bytes

    def find(self, head: bytes) -> bytes | None:
        """The whole response to ``head``, if it is known and still true."""
        entry = self._entries.get(head)
        if entry is None:
            return None
        if not entry.answer.live:
            self._forget(head)
            return None
        if not self._may_answer():
            return None
        self.hits += 1
        return entry.wire.at(self._dates.line(self._clock.wall()))

    def record(self, head: bytes, answer: Answer, wire: Wire) -> None:
        """Keep ``wire`` as the response to ``head`` for as long as ``answer`` lives."""
        if not answer.live:
            return
        size = len(head) + len(wire.head) + len(wire.tail) + len(wire.body)
        if size > self._max_bytes // 8:
            return
        self._forget(head)
        self._entries[head] = _Entry(answer, wire, size)
        self._bytes += size
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._forget(next(iter(self._entries)))

    def clear(self) -> None:
        """Forget everything: who may read what has changed."""
        self._entries.clear()
        self._bytes = 0

    def _forget(self, head: bytes) -> None:
        entry = self._entries.pop(head, None)
        if entry is not None:
            self._bytes -= entry.size


def lone_read(data: bytes) -> bool:
    """Whether ``data`` is exactly the head of one GET that has no body and keeps the connection."""
    return (
        len(data) <= MAX_KEY
        and data.startswith(b"GET ")
        and data.endswith(b"\r\n\r\n")
        and data.find(b"\r\n\r\n") == len(data) - 4
        and data[: data.find(b"\r\n")].endswith(b" HTTP/1.1")
        and data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
        and not _FRAMING.search(data)
        and not _CLOSING.search(data)
    )


def owed(data: bytes) -> int | None:
    """How many bytes of body the request that begins ``data`` still lacks.

    ``None`` when that cannot be told from these bytes alone, or another request follows.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[: end + 4]
    if head.count(b"\n") != head.count(b"\r\n") or head.count(b"\r") != head.count(b"\r\n"):
        return None
    if _OTHER_FRAMING.search(head):
        return None
    lengths = _LENGTH.findall(head)
    if len(lengths) != len(re.findall(rb"content-length", head, re.IGNORECASE)) or len(lengths) > 1:
        return None
    missing = (int(lengths[0]) if lengths else 0) - (len(data) - end - 4)
    return missing if missing >= 0 else None


class Doorkeeper(Protocol):
    """Who is told of connections coming and going."""

    clock: Clock

    def admit(self, connection: Connection, address: str) -> bool:
        """Take note of a connection; whether it may stay."""

    def dismiss(self, connection: Connection, address: str) -> None:
        """A connection that was admitted ended."""


class Connection(RequestHandler):
    """One client's connection: aiohttp's, with the lane in front."""

    __slots__ = (
        "_address", "_direct", "_door", "_held", "_lane", "_open", "_owed",
        "body_since", "head", "head_since",
    )  # fmt: skip

    def __init__(
        self, manager: web.Server, lane: Lane | None, door: Doorkeeper, **kwargs: Any
    ) -> None:
        super().__init__(manager, **kwargs)
        self._lane = lane
        self._door = door
        self._address = ""
        self._open = lane is not None
        """Whether every byte so far belonged to whole requests that we could follow."""
        self._owed = 0
        self._direct: asyncio.Task[None] | None = None
        """The request that is answered without aiohttp now."""
        self._held = b""
        self.head: bytes | None = None
        """The bytes of the request in progress, when it is one that the lane may keep."""
        self.head_since: float | None = None
        """Since when part of a head has been here without the rest."""
        self.body_since: float | None = None
        """Since when a body is being waited for."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        if not self._door.admit(self, self._address):
            # refused before aiohttp knows of it, so it will not be told of the end either
            self._address = ""
            self._manager = None
            # a cast, since uvloop's transports are no asyncio.Transport to isinstance
            cast(asyncio.Transport, transport).abort()
            return
        super().connection_made(transport)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        if self._manager is not None:
            self._door.dismiss(self, self._address)
        if self._direct is not None:
            self._direct.cancel()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._manager is None:
            return
        if self._direct is not None:
            self._hold_back(data)
            return
        lane = self._lane
        if lane is not None and data:
            if self._owed > 0:
                self.head = None
                self._owed -= len(data)
                self._open = self._open and self._owed >= 0
            elif self._open and self._idle:
                if not self.writing_paused and self._answer_here(lane, data):
                    return
                self.head = data if lone_read(data) else None
                self._owed = 0 if self.head is not None else self._follow(data)
            else:
                self.head = None
                self._open = False  # I2: pipelined, or a head in pieces
        seen = self._request_count
        super().data_received(data)
        if self._request_count != seen:
            self.head_since = None
        elif data and self._idle and self.head_since is None:
            self.head_since = self._door.clock.now()

    def _answer_here(self, lane: Lane, data: bytes) -> bool:
        """Answer without aiohttp what needs none; return whether that was so."""
        if len(data) <= MAX_KEY:
            response = lane.find(data)
            if response is not None and self.transport is not None:
                self.transport.write(response)
                self.head_since = None
                # the connection is in use; aiohttp's own timer must not end it
                self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
                return True
        request = read_direct(data)
        if request is None:
            return False
        self._begin(request, data)
        return True

    # -- answering directly -----------------------------------------------------------------------

    def _begin(self, request: DirectRequest, data: bytes) -> None:
        request.remote = self._address
        request.protocol = self
        request.transport = self.transport
        self.head = data if request.is_lone_read and len(data) <= MAX_KEY else None
        self.head_since = None
        self._direct = self._loop.create_task(self._answer(request))

    async def _answer(self, request: DirectRequest) -> None:
        handler = self._request_handler
        transport = self.transport
        if handler is None or transport is None:
            return
        try:
            # the dispatcher takes of aiohttp's request only what ours has too
            response = await handler(cast(web.BaseRequest, request))
            assert isinstance(response, WireResponse)
        except Exception:
            log.exception("request failed", method=request.method, path=request.raw_path)
            self.abort()
            return
        finally:
            self._direct = None
        if transport.is_closing():
            return
        transport.write(response.data)
        if response.ends_connection:
            transport.close()
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        held, self._held = self._held, b""
        if held:
            transport.resume_reading()
            self.data_received(held)

    def _hold_back(self, data: bytes) -> None:
        """Keep what comes before its turn, and read no more until then (I4)."""
        if not self._held and self.transport is not None:
            self.transport.pause_reading()
        self._held += data

    @property
    def _idle(self) -> bool:
        """Whether aiohttp waits for a request and has not begun to read one."""
        waiter = self._waiter
        if waiter is None:
            return self._request_count == 0
        return not waiter.done() and not self._messages

    def _follow(self, data: bytes) -> int:
        missing = owed(data)
        self._open = missing is not None
        return missing or 0

    def stalled(self, now: float, *, head_timeout: float, body_timeout: float) -> bool:
        """Whether the client has taken too long over a head or a body."""
        head, body = self.head_since, self.body_since
        return (head is not None and now - head > head_timeout) or (
            body is not None and now - body > body_timeout
        )

    def abort(self) -> None:
        """End the connection without a word."""
        if self.transport is not None:
            self.transport.abort()

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is answered as Go answers it, and ends the connection."""
        if status != HTTPStatus.BAD_REQUEST:
            log.error("request failed", exc_info=exc)
        self.close()
        return malformed(status)


def malformed(status: int) -> WireResponse:
    """The answer to a request that is not HTTP."""
    text = b"400 Bad Request" if status == 400 else b"500 Internal Server Error"
    head = b"HTTP/1.1 " + text + b"\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return WireResponse(head + b"Connection: close\r\n\r\n" + text, keep_alive=False)


class LaneServer(web.Server):
    """aiohttp's connection factory, making connections with a lane."""

    def __init__(self, handler: Any, lane: Lane | None, door: Doorkeeper, **kwargs: Any) -> None:
        super().__init__(handler, handler_cancellation=True, **kwargs)
        self._lane = lane
        self._door = door

    @override
    def __call__(self) -> RequestHandler:
        return Connection(self, self._lane, self._door, loop=self._loop, **self._kwargs)


class Door:
    """Counts connections by client and ends those that stall."""

    def __init__(self, clock: Clock, *, max_per_client: int) -> None:
        self.clock = clock
        self._max_per_client = max_per_client
        self._by_client: Counter[str] = Counter()
        self._connections: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, connection: Connection, address: str) -> bool:
        """Take note of a connection; whether it may stay. Beyond the limit it is simply closed.

        Source: observed on Consul 1.8.
        """
        if address and 0 < self._max_per_client <= self._by_client[address]:
            return False
        self._by_client[address] += 1
        self._connections.add(connection)
        return True

    def dismiss(self, connection: Connection, address: str) -> None:
        """A connection that was admitted ended."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._by_client[address] -= 1
            if not self._by_client[address]:
                del self._by_client[address]

    async def end_stalled(self, *, head_timeout: float, body_timeout: float) -> None:
        """End connections whose client sends too slowly, until cancelled."""
        while True:
            await self.clock.sleep(head_timeout / 2)
            now = self.clock.now()
            for connection in tuple(self._connections):
                if connection.stalled(now, head_timeout=head_timeout, body_timeout=body_timeout):
                    connection.abort()
