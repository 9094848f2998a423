"""Both ends of a connection: calls go out and their outcomes come back, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

import structlog
from typing_extensions import override

from lictor.raft.runtime import Network
from lictor.registry.errors import Overloaded, Unavailable

from .wire import (
    PREFACE,
    Call,
    Failed,
    MalformedFrame,
    Outcome,
    decode_call,
    decode_outcome,
    failed,
    frame,
    split,
)

log = structlog.get_logger("rpc")

MAX_CALLS: Final = 4096
"""Calls under way on one connection; the next is refused."""

MAX_QUEUED: Final = 16 * 1024 * 1024
"""Bytes that may wait for a slow peer; beyond it calls are refused."""

CONNECT_TIMEOUT: Final = 2.0


class _Framed(asyncio.Protocol):
    """Frames off a stream, handed on one by one."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            for call_id, payload in split(self._buffer):
                self.received(call_id, payload)
        except MalformedFrame as error:
            log.warning("rpc connection ended", error=str(error))
            self.abort()

    def received(self, call_id: int, payload: bytes) -> None:
        """One whole frame came.

        Raises:
            MalformedFrame: it is not what this end can read.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()


class Caller(_Framed):
    """The end that calls."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, asyncio.Future[Outcome]] = {}
        self._next = 0
        self.lost = False

    async def call(self, call: Call) -> Outcome:
        """Make one call and wait for its outcome.

        Raises:
            Overloaded: too much is under way; surely not sent.
            Unavailable: the connection ended first; nobody knows whether it was carried out.
        """
        transport = self.transport
        if self.lost or transport is None or transport.is_closing():
            raise Unavailable("rpc error making call: EOF")
        if len(self._calls) >= MAX_CALLS or transport.get_write_buffer_size() > MAX_QUEUED:
            raise Overloaded("rpc error making call: too many calls are under way")
        self._next = (self._next + 1) & 0xFFFFFFFF
        call_id = self._next
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._calls[call_id] = done
        transport.write(frame(call_id, call))
        try:
            return await done
        finally:
            self._calls.pop(call_id, None)

    @override
    def received(self, call_id: int, payload: bytes) -> None:
        outcome = decode_outcome(payload)
        done = self._calls.get(call_id)
        if done is not None and not done.done():
            done.set_result(outcome)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        for done in self._calls.values():
            if not done.done():
                done.set_exception(Unavailable("rpc error making call: EOF"))


class Callee(_Framed):
    """The end that is called. Each call runs as a task of its own."""

    def __init__(self, handle: Callable[[Call], Awaitable[Outcome]]) -> None:
        super().__init__()
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()

    @override
    def received(self, call_id: int, payload: bytes) -> None:
        call = decode_call(payload)
        transport = self.transport
        if transport is None:
            return
        if len(self._tasks) >= MAX_CALLS or transport.get_write_buffer_size() > MAX_QUEUED:
            transport.write(frame(call_id, Failed("Overloaded", "too many calls are under way")))
            return
        task = asyncio.get_running_loop().create_task(self._answer(call_id, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, call_id: int, call: Call) -> None:
        try:
            outcome = await self._handle(call)
        except Exception as error:  # noqa: BLE001  # it is the caller's to see
            outcome = failed(error)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame(call_id, outcome))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        # what was begun is carried through: a write may be committed already
        self.transport = None


class Callers:
    """One connection to each server, opened when it is first needed and again when it broke."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._callers: dict[str, Caller] = {}
        self._opening: dict[str, asyncio.Task[Caller]] = {}

    async def call(self, address: str, call: Call) -> Outcome:
        """Call the server at ``address`` (``host:port``).

        Raises:
            OSError: it cannot be reached; surely not sent.
            RegistryError: see :meth:`Caller.call`.
        """
        caller = self._callers.get(address)
        if caller is None or caller.lost:
            opening = self._opening.get(address)
            if opening is None:
                opening = asyncio.get_running_loop().create_task(self._open(address))
                self._opening[address] = opening
                opening.add_done_callback(lambda _: self._opening.pop(address, None))
            caller = await asyncio.shield(opening)
        return await caller.call(call)

    async def _open(self, address: str) -> Caller:
        host, _, port = address.rpartition(":")
        transport, caller = await self._network.connect_stream(
            Caller, host.strip("[]"), int(port), timeout=CONNECT_TIMEOUT
        )
        transport.write(PREFACE)
        self._callers[address] = caller
        return caller

    async def close(self) -> None:
        """End every connection."""
        for opening in tuple(self._opening.values()):
            opening.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        for caller in self._callers.values():
            caller.abort()
        self._callers.clear()
