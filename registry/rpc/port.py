"""The server port: Raft's streams and calls on one listener, told apart by their first bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from typing_extensions import override

from .wire import PREFACE

SILENCE: Final = 5.0
"""Seconds in which whoever connects must say what it wants."""

MAX_SILENT: Final = 256
"""Connections that may be silent at the same time; one more is closed."""


class Gate:
    """Makes the protocols of the port's listener. Until it is opened, connections wait."""

    def __init__(self) -> None:
        self._raft: Callable[[], asyncio.Protocol] | None = None
        self._calls: Callable[[], asyncio.Protocol] | None = None
        self.silent: set[_Undecided] = set()

    def open(
        self, *, raft: Callable[[], asyncio.Protocol], calls: Callable[[], asyncio.Protocol]
    ) -> None:
        """Let connections in: to ``raft`` or to ``calls``, which make their protocols."""
        self._raft = raft
        self._calls = calls

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Undecided(self)

    def choose(self, first: bytes) -> asyncio.Protocol | None:
        """Who takes a connection that began with ``first``; ``None`` while that is open.

        Raises:
            ValueError: nobody.
        """
        if not first or self._raft is None or self._calls is None:
            return None
        if first[0] == 0:
            return self._raft()
        if first.startswith(PREFACE):
            return self._calls()
        if PREFACE.startswith(first):
            return None
        raise ValueError("neither Raft nor a call")


class _Undecided(asyncio.Protocol):
    """A connection of which too little is known; it becomes another's with its first bytes."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport = transport
        if len(self._gate.silent) >= MAX_SILENT:
            transport.abort()
            return
        self._gate.silent.add(self)
        self._timer = asyncio.get_running_loop().call_later(SILENCE, transport.abort)

    @override
    def data_received(self, data: bytes) -> None:
        transport = self._transport
        assert transport is not None
        self._first += data
        try:
            chosen = self._gate.choose(self._first)
        except ValueError:
            transport.abort()
            return
        if chosen is None:
            return
        self._leave()
        transport.set_protocol(chosen)
        chosen.connection_made(transport)
        rest = self._first[len(PREFACE) :] if self._first[:1] == PREFACE[:1] else self._first
        if rest:
            chosen.data_received(rest)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    def _leave(self) -> None:
        self._gate.silent.discard(self)
        if self._timer is not None:
            self._timer.cancel()
