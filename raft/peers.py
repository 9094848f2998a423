"""What a member and its transport know of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from .messages import AnyMessage, SnapshotHeader


class Receiver(Protocol):
    """The member that a transport works for."""

    @property
    def node_id(self) -> int:
        """Its id."""

    def step(self, messages: Iterable[AnyMessage]) -> None:
        """Take in messages, in order."""

    def unreachable(self, member: int) -> None:
        """What was sent to ``member`` last may be lost."""

    def introduce(self, member: int, address: str) -> None:
        """``member`` says that it listens at ``address``."""

    def address_of(self, member: int) -> str | None:
        """``host:port`` of ``member``, if the configuration knows it."""

    async def snapshot_piece(
        self, member: int, header: SnapshotHeader, offset: int, size: int
    ) -> bytes:
        """Bytes of a snapshot that ``member`` fetches.

        Raises:
            RaftError: there is no such snapshot any more.
        """


class Transport(Protocol):
    """How messages reach the other members."""

    def attach(self, receiver: Receiver) -> None:
        """Work for ``receiver``, whose id is known now."""

    def send(self, messages: Sequence[AnyMessage]) -> None:
        """Queue ``messages``, in order per receiver. They may be lost; never raises."""

    async def fetch_snapshot(
        self, member: int, header: SnapshotHeader, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Pull the snapshot that ``member`` offered, piece by piece, and ``write`` each.

        Raises:
            OSError: it could not be had.
        """

    async def close(self) -> None:
        """Close every stream."""
