"""Streams between members: framed, bounded, typed, and never evaluated.

    u32 length | u8 version | u8 kind | payload

A member opens one stream to each other member for its messages, which therefore stay in order, and
one for each snapshot it fetches: heartbeats never queue behind a snapshot. A stream begins with a
handshake. The first byte is always :data:`FIRST_BYTE`, so that one port can serve others as well.

Invariants
    T1  A newer stream of a peer replaces the older one, which is closed before the first message
        of the newer is stepped.
    T2  What cannot leave now is dropped, oldest kind of news first: appends are sent again anyway,
        votes and the newest heartbeat are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from random import Random
from struct import Struct
from typing import Any, Final, TypeAlias
from zlib import crc32

import msgspec
import structlog
from typing_extensions import override

from .errors import MalformedMessage, RaftError
from .messages import AnyMessage, Append, Heartbeat, SnapshotHeader, decode, encode
from .peers import Receiver
from .runtime import Clock, Listener, Network, Runtime

log = structlog.get_logger("raft")

FIRST_BYTE = 0
VERSION = 1
FRAME_LIMIT = 8 * 1024 * 1024
"""Bytes of one frame; a longer one closes the stream."""
GREETING_LIMIT = 64 * 1024
"""Bytes of a frame before the handshake is done."""
QUEUE_LIMIT = 4 * 1024 * 1024
"""Bytes that wait for one peer; beyond it appends are dropped."""
WAITING_LIMIT = 64
"""Messages kept for a peer that is not connected."""
GREETING_TIMEOUT = 5.0
"""Who has connected and says nothing for so long is sent away, in seconds."""
UNGREETED_LIMIT = 256
"""More streams than this may not wait for their greeting."""
PIECE_BYTES = 256 * 1024
"""Bytes of a snapshot in one frame."""
CONNECT_TIMEOUT = 2.0
RETRY_DELAYS = (0.05, 2.0)
"""First and longest pause between two attempts to connect, in seconds."""
FETCH_TIMEOUT = 10.0
"""A snapshot of which nothing arrives for so long is given up, in seconds."""

_HEAD = Struct(">IBB")


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Who opens the stream, and whom it means to reach."""

    cluster: str
    sender: int
    to: int
    address: str
    """``host:port`` where the sender listens."""


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The stream is accepted."""


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The stream is not accepted, and why."""

    reason: str


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Send the bytes of this snapshot from ``offset`` on."""

    snapshot: SnapshotHeader
    offset: int


class Piece(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Bytes of a snapshot; none at its end."""

    offset: int
    crc: int
    content: bytes


Control: TypeAlias = Hello | Welcome | Refused | Fetch | Piece
CONTROL: Final = 1
MESSAGE: Final = 2

_control_decoder: msgspec.msgpack.Decoder[Control] = msgspec.msgpack.Decoder(Control)
_control_encoder = msgspec.msgpack.Encoder()


def control_frame(control: Control) -> bytes:
    """The frame of ``control``."""
    return _frame(CONTROL, _control_encoder.encode(control))


def _frame(kind: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) + 2, VERSION, kind) + payload


class _Stream(asyncio.Protocol):
    """Cuts a stream into frames."""

    def __init__(
        self,
        on_frames: Callable[[_Stream, list[tuple[int, bytes]]], None],
        on_lost: Callable[[_Stream], None],
    ) -> None:
        self._on_frames = on_frames
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._closed = False
        self.transport: asyncio.Transport | None = None
        self.greeted = False
        self.settled = asyncio.Event()
        """Set once it is greeted, or lost."""
        self.peer = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # streams only
        if self._closed:  # a stream may be turned away before it is told of its transport
            transport.close()

    @override
    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        frames: list[tuple[int, bytes]] = []
        at = 0
        while len(buffer) - at >= _HEAD.size:
            length, version, kind = _HEAD.unpack_from(buffer, at)
            limit = FRAME_LIMIT if self.greeted else GREETING_LIMIT
            if not 2 <= length <= limit or version != VERSION:
                self.refuse(f"a frame of {length} bytes and version {version}")
                return
            end = at + 4 + length
            if len(buffer) < end:
                break
            frames.append((kind, bytes(buffer[at + _HEAD.size : end])))
            at = end
        del buffer[:at]
        if frames:
            self._on_frames(self, frames)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._on_lost(self)

    def send(self, frame: bytes) -> None:
        if self.transport is not None:
            self.transport.write(frame)

    @property
    def queued_bytes(self) -> int:
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def refuse(self, reason: str) -> None:
        """Say why, and close."""
        log.warning("closed a stream", peer=self.peer, reason=reason)
        self.send(control_frame(Refused(reason)))
        self.close()

    def close(self) -> None:
        self._closed = True
        self._buffer.clear()
        if self.transport is not None:
            self.transport.close()


class _Link:
    """The outgoing messages to one peer."""

    def __init__(self, peer: int) -> None:
        self.peer = peer
        self.stream: _Stream | None = None
        self.wanted = asyncio.Event()
        self.nudge = asyncio.Event()
        """Set when the peer has just connected to us: it is there, try again at once."""
        self.waiting: list[AnyMessage] = []

    def keep(self, message: AnyMessage) -> None:
        """Keep ``message`` until there is a stream (T2)."""
        if isinstance(message, Append):
            return
        if isinstance(message, Heartbeat):
            self.waiting = [each for each in self.waiting if not isinstance(each, Heartbeat)]
        self.waiting.append(message)
        del self.waiting[:-WAITING_LIMIT]


class PeerTransport:
    """The streams of one member, which others reach at ``address``.

    ``cluster`` keeps strangers apart.
    """

    def __init__(self, runtime: Runtime, *, cluster: str, address: str) -> None:
        self._network: Network = runtime.network
        self._clock: Clock = runtime.clock
        self._rng: Random = runtime.rng
        self._cluster = cluster
        self._address = address
        self._receiver: Receiver | None = None
        self._links: dict[int, _Link] = {}
        self._incoming: dict[int, _Stream] = {}
        self._streams: set[_Stream] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ungreeted = 0
        self._closed = False

    # -- life ----------------------------------------------------------------------------------

    def attach(self, receiver: Receiver) -> None:
        """Work for ``receiver`` from now on."""
        self._receiver = receiver

    def accept(self) -> asyncio.Protocol:
        """A protocol for one accepted stream; it must be told the first byte, too."""
        stream = _Stream(self._on_accepted, self._on_accepted_lost)
        self._streams.add(stream)
        self._spawn(self._expect_greeting(stream))
        return stream

    async def _expect_greeting(self, stream: _Stream) -> None:
        self._ungreeted += 1
        try:
            if self._ungreeted <= UNGREETED_LIMIT:
                until = self._clock.now() + GREETING_TIMEOUT
                await self._clock.wait(stream.settled, until=until)
        finally:
            self._ungreeted -= 1
        if not stream.greeted:
            stream.close()

    async def serve(self, host: str, port: int) -> Listener:
        """Accept streams on ``host:port``, where nothing else shares the port."""
        return await self._network.serve_stream(self.accept, host, port)

    async def close(self) -> None:
        """Close every stream."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in list(self._streams):
            stream.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- sending -------------------------------------------------------------------------------

    def send(self, messages: Sequence[AnyMessage]) -> None:
        """Queue ``messages``, in order per receiver. They may be lost; never raises."""
        if self._closed:
            return
        lost: dict[int, None] = {}
        for message in messages:
            link = self._links.get(message.to)
            if link is None:
                link = self._links[message.to] = _Link(message.to)
                self._spawn(self._keep_connected(link))
            stream = link.stream
            if stream is None:
                link.keep(message)
                link.wanted.set()
                lost[message.to] = None
            elif isinstance(message, Append) and stream.queued_bytes > QUEUE_LIMIT:
                lost[message.to] = None
            else:
                stream.send(_frame(MESSAGE, encode(message)))
        if self._receiver is not None:
            for member in lost:
                self._receiver.unreachable(member)

    async def _keep_connected(self, link: _Link) -> None:
        """Connect when there is something to send, and again when the stream breaks."""
        delay = RETRY_DELAYS[0]
        while True:
            await link.wanted.wait()
            if self._receiver is None or self._receiver.address_of(link.peer) is None:
                link.wanted.clear()  # until there is something new to send, and an address
                link.waiting.clear()
                continue
            lost = asyncio.Event()
            stream = await self._open(link.peer, lost)
            if stream is None:
                link.nudge.clear()
                pause = delay * self._rng.uniform(0.5, 1.0)
                await self._clock.wait(link.nudge, until=self._clock.now() + pause)
                delay = min(delay * 2, RETRY_DELAYS[1])
                continue
            delay = RETRY_DELAYS[0]
            link.stream = stream
            for message in link.waiting:
                stream.send(_frame(MESSAGE, encode(message)))
            link.waiting.clear()
            link.wanted.clear()
            await lost.wait()
            link.stream = None
            if self._receiver is not None:
                self._receiver.unreachable(link.peer)

    async def _open(
        self,
        peer: int,
        lost: asyncio.Event,
        on_frames: Callable[[_Stream, list[tuple[int, bytes]]], None] | None = None,
    ) -> _Stream | None:
        """A stream to ``peer`` that was made welcome, or None."""
        receiver = self._receiver
        address = receiver.address_of(peer) if receiver is not None else None
        if receiver is None or address is None:
            return None
        host, _, port = address.rpartition(":")
        answered = asyncio.Event()

        def frames(stream: _Stream, received: list[tuple[int, bytes]]) -> None:
            if not answered.is_set():
                answered.set()
                self._on_answer(stream, received.pop(0))
            if received and stream.greeted and on_frames is not None:
                on_frames(stream, received)

        def gone(stream: _Stream) -> None:
            stream.greeted = False
            self._streams.discard(stream)
            lost.set()
            answered.set()

        try:
            _, stream = await self._network.connect_stream(
                lambda: _Stream(frames, gone), host, int(port), timeout=CONNECT_TIMEOUT
            )
        except OSError:
            return None
        self._streams.add(stream)
        stream.peer = peer
        stream.send(control_frame(Hello(self._cluster, receiver.node_id, peer, self._address)))
        await self._clock.wait(answered, until=self._clock.now() + CONNECT_TIMEOUT)
        if stream.greeted:
            return stream
        stream.close()
        return None

    @staticmethod
    def _on_answer(stream: _Stream, frame: tuple[int, bytes]) -> None:
        try:
            answer = _decode_control(frame)
        except MalformedMessage as error:
            answer = Refused(str(error))
        stream.greeted = isinstance(answer, Welcome)
        if isinstance(answer, Refused):
            log.warning("was refused", peer=stream.peer, reason=answer.reason)

    # -- receiving -----------------------------------------------------------------------------

    def _on_accepted(self, stream: _Stream, frames: list[tuple[int, bytes]]) -> None:
        try:
            if not stream.greeted:
                self._greet(stream, frames.pop(0))
            messages: list[AnyMessage] = []
            for kind, payload in frames:
                if not stream.greeted:
                    return
                if kind == MESSAGE:
                    messages.append(self._message(stream, payload))
                else:
                    self._on_control(stream, _decode_control((kind, payload)))
            if messages and self._receiver is not None:
                self._receiver.step(messages)
        except MalformedMessage as error:
            stream.refuse(str(error))

    def _greet(self, stream: _Stream, frame: tuple[int, bytes]) -> None:
        hello = _decode_control(frame)
        receiver = self._receiver
        if not isinstance(hello, Hello):
            raise MalformedMessage("a stream begins with a greeting")
        stream.peer = hello.sender
        if receiver is None or self._closed:
            stream.refuse("not ready")
        elif hello.cluster != self._cluster:
            stream.refuse("another cluster")
        elif hello.to != receiver.node_id:
            stream.refuse("another member lives here")
        else:
            stream.greeted = True
            stream.settled.set()
            stream.send(control_frame(Welcome()))
            receiver.introduce(hello.sender, hello.address)
            if hello.sender in self._links:
                self._links[hello.sender].nudge.set()

    def _message(self, stream: _Stream, payload: bytes) -> AnyMessage:
        message = decode(payload)
        if message.sender != stream.peer:
            raise MalformedMessage("a message of somebody else")
        older = self._incoming.get(stream.peer)
        if older is not stream:
            if older is not None:
                older.greeted = False  # T1: what it still has is not stepped
                older.close()
            self._incoming[stream.peer] = stream
        return message

    def _on_accepted_lost(self, stream: _Stream) -> None:
        stream.settled.set()
        self._streams.discard(stream)
        if self._incoming.get(stream.peer) is stream:
            del self._incoming[stream.peer]

    # -- snapshots -----------------------------------------------------------------------------

    def _on_control(self, stream: _Stream, control: Control) -> None:
        if isinstance(control, Fetch):
            self._spawn(self._serve_piece(stream, control))
        else:
            raise MalformedMessage(f"{type(control).__name__} does not belong here")

    async def _serve_piece(self, stream: _Stream, fetch: Fetch) -> None:
        assert self._receiver is not None
        try:
            content = await self._receiver.snapshot_piece(
                stream.peer, fetch.snapshot, fetch.offset, PIECE_BYTES
            )
        except RaftError as error:
            stream.refuse(str(error))
            return
        stream.send(control_frame(Piece(fetch.offset, crc32(content), content)))

    async def fetch_snapshot(
        self, member: int, header: SnapshotHeader, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Pull the snapshot that ``member`` offered, piece by piece, and ``write`` each.

        Raises:
            OSError: it could not be had.
        """
        lost = asyncio.Event()
        arrived = asyncio.Event()
        inbox: list[tuple[int, bytes]] = []

        def on_frames(stream: _Stream, frames: list[tuple[int, bytes]]) -> None:
            del stream
            inbox.extend(frames)
            arrived.set()

        stream = await self._open(member, lost, on_frames)
        if stream is None:
            raise ConnectionError(f"member {member:x} is not reached")
        offset = 0
        try:
            while True:
                arrived.clear()
                stream.send(control_frame(Fetch(header, offset)))
                until = self._clock.now() + FETCH_TIMEOUT
                if not await self._clock.wait(arrived, until=until):
                    raise TimeoutError("the snapshot does not arrive")
                piece = _decode_control(inbox.pop(0))
                if not isinstance(piece, Piece) or piece.offset != offset:
                    raise ConnectionError("the snapshot is refused")
                if crc32(piece.content) != piece.crc or len(piece.content) > PIECE_BYTES:
                    raise ConnectionError("the snapshot arrives damaged")
                if not piece.content:
                    return
                await write(piece.content)
                offset += len(piece.content)
                if offset > header.size:
                    raise ConnectionError("the snapshot is longer than it was said to be")
        except MalformedMessage as error:
            raise ConnectionError(str(error)) from error
        finally:
            stream.close()


def _decode_control(frame: tuple[int, bytes]) -> Control:
    kind, payload = frame
    if kind != CONTROL:
        raise MalformedMessage(f"a frame of kind {kind} does not belong here")
    try:
        return _control_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedMessage(str(error)) from error
