"""Sockets and time for one :class:`~.serf.Serf`. It decides nothing: effects in, bytes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

import structlog
from typing_extensions import override

from lictor.raft.runtime import Listener, Runtime

from .addresses import Address
from .effects import Dropped, ExchangeStates, PingByStream, SendPacket
from .errors import MalformedMessage, MembershipError, RefusedByPeer
from .events import Event
from .messages import Ack, ErrorReply, Ping, PushPull
from .metrics import MembershipMetrics
from .packets import PacketCodec
from .serf import Serf
from .streams import StreamMessage, StreamReader, UserMessage, seal_stream, stream_prefix

log = structlog.get_logger("membership")

MAX_STREAMS: Final = 128
"""Streams open at one time, each way. Source: memberlist, ``maxPushPullRequests``."""

PORT_ATTEMPTS: Final = 16
"""Ports tried until one is free for datagrams and streams alike."""


class Driver:
    """Runs one agent from :meth:`open` to :meth:`close`."""

    def __init__(
        self,
        runtime: Runtime,
        codec: PacketCodec,
        *,
        pool: str,
        stream_timeout: float,
        events: Callable[[Event], None],
        settled: Callable[[], None],
        metrics: MembershipMetrics,
    ) -> None:
        """``events`` is told each event, ``settled`` is called when the core is at rest again."""
        self._runtime = runtime
        self._codec = codec
        self._pool = pool
        self._timeout = stream_timeout
        self._events = events
        self._settled = settled
        self._metrics = metrics
        self._serf: Serf
        self._running = False
        self._transport: asyncio.DatagramTransport
        self._listeners: list[Listener] = []
        self._changed = asyncio.Event()
        self._sleeping_until: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving = 0
        self._flushing = False

    async def open(self, host: str, port: int) -> Address:
        """Bind both sockets; what arrives before :meth:`run` is dropped.

        Raises:
            OSError: they cannot be bound.
        """
        attempts = 1 if port else PORT_ATTEMPTS
        for attempt in range(attempts):
            datagrams, transport, _ = await self._runtime.network.serve_datagrams(
                lambda: _Datagrams(self.receive_packet), host, port
            )
            bound = datagrams.address
            try:
                streams = await self._runtime.network.serve_stream(self._accept, host, bound[1])
            except OSError:
                await datagrams.close()
                if attempt + 1 == attempts:
                    raise
                continue
            self._transport = transport
            self._listeners = [datagrams, streams]
            return bound
        raise AssertionError("there was an attempt")

    def run(self, serf: Serf) -> None:
        """Let ``serf`` live."""
        self._serf = serf
        self._running = True
        serf.start(now=self._runtime.clock.now())
        self.flush()
        self.spawn(self._keep_time())

    async def close(self) -> None:
        """Go silent at once."""
        self._running = False
        for listener in self._listeners:
            await listener.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` beside everything else, until :meth:`close`."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_time(self) -> None:
        clock = self._runtime.clock
        while True:
            self._changed.clear()
            self._sleeping_until = self._serf.next_deadline()
            await clock.wait(self._changed, until=self._sleeping_until)
            self._serf.advance(now=clock.now())
            self.flush()

    # -- effects -------------------------------------------------------------------------------

    def flush(self) -> None:
        """Do what the core asks for, and tell what happened. Call it after touching the core."""
        if self._flushing:
            return  # an event's receiver touched the core: the loop below goes on with it
        self._flushing = True
        try:
            while effects := self._serf.take_effects():
                for effect in effects:
                    self._perform(effect)
                self._tell()
            self._tell()
            self._settled()
        finally:
            self._flushing = False
        deadline = self._serf.next_deadline()
        sleeping = self._sleeping_until
        if deadline is not None and (sleeping is None or deadline < sleeping):
            self._changed.set()

    def _perform(self, effect: Any) -> None:
        match effect:
            case SendPacket():
                self._send(effect)
            case PingByStream():
                self._spawn_stream(self._ping(effect))
            case ExchangeStates():
                self._spawn_stream(self._exchange(effect))
            case Dropped():
                self.count_dropped(effect.reason)
            case _:
                raise AssertionError(effect)

    def _tell(self) -> None:
        for event in self._serf.take_events():
            self._events(event)

    def _send(self, effect: SendPacket) -> None:
        datagram = self._codec.seal(effect.content, checksum=effect.checksum)
        self._metrics.packets.labels(self._pool, "out").inc()
        self._metrics.bytes.labels(self._pool, "out").inc(len(datagram))
        try:
            self._transport.sendto(datagram, effect.to)
        except (OSError, ValueError) as error:
            log.debug("packet was not sent", peer=effect.to, error=str(error))

    def count_dropped(self, reason: str) -> None:
        """Something received was not used."""
        self._metrics.dropped.labels(self._pool, reason).inc()

    def _spawn_stream(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._tasks) >= MAX_STREAMS:
            work.close()
            self._metrics.streams.labels(self._pool, "too many").inc()
            return
        self.spawn(work)

    # -- datagrams -----------------------------------------------------------------------------

    def receive_packet(self, datagram: bytes, source: Address) -> None:
        """Take one datagram; one that cannot be used is dropped and counted."""
        if not self._running:
            return
        self._metrics.packets.labels(self._pool, "in").inc()
        self._metrics.bytes.labels(self._pool, "in").inc(len(datagram))
        try:
            messages = self._codec.open(datagram)
        except MalformedMessage as error:
            self.count_dropped(error.reason)
            return
        now = self._runtime.clock.now()
        for message in messages:
            self._serf.receive(message, source, now=now)
        self.flush()

    # -- streams -------------------------------------------------------------------------------

    async def exchange(self, to: Address, *, join: bool) -> None:
        """Do a push-pull with ``to``.

        Raises:
            OSError: it cannot be reached, or takes too long.
            MembershipError: it refuses, or cannot be understood.
        """
        view = self._serf.local_view(join=join, now=self._runtime.clock.now())
        answer = await self._converse(to, view, timeout=self._timeout)
        if isinstance(answer, ErrorReply):
            raise RefusedByPeer(f"remote error: {answer.error}")
        if not isinstance(answer, PushPull):
            raise MalformedMessage("wrong answer", "to a push-pull")
        self._serf.merge_view(answer, now=self._runtime.clock.now())
        self.flush()

    async def _exchange(self, effect: ExchangeStates) -> None:
        outcome = "done"
        try:
            await self.exchange(effect.to, join=effect.join)
        except (OSError, MembershipError) as error:
            outcome = "failed"
            log.debug("push-pull failed", peer=effect.name, error=str(error))
        self._metrics.streams.labels(self._pool, outcome).inc()

    async def _ping(self, effect: PingByStream) -> None:
        ping = Ping(seq_no=effect.seq_no, node=effect.name)
        timeout = effect.deadline - self._runtime.clock.now()
        try:
            answer = await self._converse(effect.to, ping, timeout=timeout)
        except (OSError, MembershipError) as error:
            log.debug("ping by stream failed", peer=effect.name, error=str(error))
            return
        if isinstance(answer, Ack) and answer.seq_no == effect.seq_no:
            self._serf.swim.answered_by_stream(effect.seq_no, now=self._runtime.clock.now())
            self.flush()

    async def _converse(
        self, to: Address, message: StreamMessage, *, timeout: float
    ) -> StreamMessage:
        clock = self._runtime.clock
        deadline = clock.now() + timeout
        transport, stream = await self._runtime.network.connect_stream(
            lambda: _Stream(StreamReader(self._codec, accepted=False)), *to, timeout=timeout
        )
        try:
            transport.write(stream_prefix(self._codec) + seal_stream(self._codec, message))
            await clock.wait(stream.finished, until=deadline)
            return stream.result()
        finally:
            if stream.finished.is_set():
                transport.close()
            else:
                transport.abort()

    def _accept(self) -> asyncio.BaseProtocol:
        stream = _Stream(StreamReader(self._codec, accepted=True))
        if self._running and self._serving < MAX_STREAMS:
            self._serving += 1
            self.spawn(self._serve(stream))
        else:
            stream.refused = True
        return stream

    async def _serve(self, stream: _Stream) -> None:
        clock = self._runtime.clock
        try:
            await clock.wait(stream.finished, until=clock.now() + self._timeout)
            self._answer(stream, stream.result())
            self._metrics.streams.labels(self._pool, "served").inc()
        except MalformedMessage as error:
            self.count_dropped(error.reason)
            stream.write(seal_stream(self._codec, ErrorReply(error.reason)))
        except MembershipError as error:
            log.warning("push-pull was refused", error=str(error))
        except OSError as error:
            log.debug("stream ended early", error=str(error))
        finally:
            self._serving -= 1
            stream.close()

    def _answer(self, stream: _Stream, message: StreamMessage) -> None:
        now = self._runtime.clock.now()
        match message:
            case Ping():
                if message.node in ("", self._serf.name):
                    stream.write(seal_stream(self._codec, Ack(message.seq_no)))
            case PushPull():
                view = self._serf.local_view(join=message.join, now=now)
                stream.write(seal_stream(self._codec, view))
                self._serf.merge_view(message, now=now)
            case UserMessage():
                self._serf.receive_user(message.content, now=now)
            case _:
                raise MalformedMessage("unknown type", "in a stream")
        self.flush()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive

    @override
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._receive(data, (addr[0], addr[1]))

    @override
    def error_received(self, exc: Exception) -> None:
        log.debug("packet did not arrive", error=str(exc))


class _Stream(asyncio.Protocol):
    """One end of a stream, waiting for the one message of the other."""

    def __init__(self, reader: StreamReader) -> None:
        self.finished = asyncio.Event()
        self.refused = False
        self._reader = reader
        self._transport: asyncio.Transport | None = None
        self._message: StreamMessage | None = None
        self._error: Exception | None = None

    def result(self) -> StreamMessage:
        """The message.

        Raises:
            OSError: the stream ended before, or nothing came in time.
            MalformedMessage: it is not one.
        """
        if self._error is not None:
            raise self._error
        if self._message is None:
            raise TimeoutError("i/o timeout")
        return self._message

    def write(self, content: bytes) -> None:
        """Send ``content``, if anybody is there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)

    def close(self) -> None:
        """Send what was written, then end."""
        if self._transport is not None:
            self._transport.close()

    def _finish(self, error: Exception | None) -> None:
        if not self.finished.is_set():
            self._error = error
            self.finished.set()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport = transport
        if self.refused:
            transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        if self.finished.is_set():
            return
        try:
            message = self._reader.feed(data)
        except MalformedMessage as error:
            self._finish(error)
            return
        if message is not None:
            self._message = message
            self._finish(None)

    @override
    def eof_received(self) -> bool:
        self._finish(ConnectionResetError("EOF"))
        return True  # we may still have to answer

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        lost = exc if isinstance(exc, OSError) else ConnectionResetError("EOF")
        self._finish(lost)
