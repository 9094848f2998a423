"""The one door for time, randomness, disk and network.

Everything below the entry points is handed a :class:`Runtime` and asks it, so that the shipped code
also runs inside a simulated world (``raft/simulation.py``) where all four come from one seed.

The network's shape is asyncio's own: protocol factories. What serves HTTP, DNS or Raft is an
``asyncio.Protocol`` and never sees a socket; the simulated network hands it transports that exist
in memory only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar

T = TypeVar("T")
ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)


class Clock(Protocol):
    """Time. Durations and instants are floats in seconds."""

    def now(self) -> float:
        """Monotonic time. Only differences mean something; use it for every deadline."""

    def wall(self) -> float:
        """Seconds since the Unix epoch, for what people and certificates read. May jump."""

    async def sleep(self, duration: float) -> None:
        """Let ``duration`` pass."""

    async def wait(self, event: asyncio.Event, *, until: float | None) -> bool:
        """Wait for ``event`` or the instant ``until``; return whether the event is set.

        ``None`` waits for ever.
        """


class Listener(Protocol):
    """Something that accepts connections or datagrams."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port actually bound; the port is known even where 0 was asked for."""

    async def close(self) -> None:
        """Stop accepting. Established connections are not touched."""


class Network(Protocol):
    """Streams and datagrams, as asyncio protocols and transports.

    Errors are those of asyncio: ``OSError`` and its children (``ConnectionRefusedError``, ...).
    """

    async def serve_stream(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        backlog: int = 1024,
    ) -> Listener:
        """Accept streams on ``host:port`` (``port`` 0 picks a free one)."""

    async def connect_stream(
        self, factory: Callable[[], ProtocolT], host: str, port: int, *, timeout: float
    ) -> tuple[asyncio.Transport, ProtocolT]:
        """Connect to ``host:port``.

        Raises:
            OSError: refused, unreachable, or ``timeout`` seconds passed (``TimeoutError``).
        """

    async def serve_datagrams(
        self, factory: Callable[[], ProtocolT], host: str, port: int
    ) -> tuple[Listener, asyncio.DatagramTransport, ProtocolT]:
        """Receive datagrams on ``host:port`` (``port`` 0 picks a free one)."""

    async def connect_datagrams(
        self, factory: Callable[[], ProtocolT], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, ProtocolT]:
        """A datagram endpoint whose peer is ``host:port``."""


class Disk(Protocol):
    """Files. Small ones are read and written whole; big or blocking work goes through :meth:`run`.

    Errors are ``OSError`` and its children.
    """

    def read(self, path: Path) -> bytes:
        """The content of ``path``."""

    def write_atomic(self, path: Path, content: bytes, *, mode: int = 0o600) -> None:
        """Replace ``path`` by ``content``: temporary file, fsync, rename, fsync of the directory.

        Missing parent directories are made, 0700.
        """

    def names(self, directory: Path) -> list[str]:
        """Names in ``directory``, ascending; empty when there is no such directory."""

    def remove(self, path: Path) -> None:
        """Remove the file ``path``; one that is not there is fine."""

    def free_bytes(self, path: Path) -> int:
        """Bytes that can still be written below ``path``."""

    async def run(self, action: Callable[[], T]) -> T:
        """Run ``action``, which blocks, on the storage thread; calls run in the order made."""

    async def run_aside(self, action: Callable[[], T]) -> T:
        """Run ``action``, which takes long, beside what :meth:`run` does; in the order made."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a process is handed to live on."""

    clock: Clock
    rng: Random
    disk: Disk
    network: Network


def uuid4(rng: Random) -> str:
    """A random UUID of version 4 in the usual text form, from ``rng``."""
    bits = rng.getrandbits(128)
    bits = bits & ~(0xF << 76) | 0x4 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


__all__ = [
    "Clock",
    "Disk",
    "Listener",
    "Network",
    "Runtime",
    "uuid4",
]
