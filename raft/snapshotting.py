"""When snapshots are taken, and how they come from and go to other members.

The state is copied on the loop between two batches, which is cheap, and encoded beside the storage
thread, so that writes go on meanwhile. What is fetched is on the disk, whole and verified, before
the core hears of the offer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from .config import RaftConfig
from .core import Core
from .errors import CorruptStorage
from .machine import StateMachine
from .membership import Configuration
from .messages import SnapshotHeader, SnapshotOffer
from .peers import Transport
from .progress import ProgressState
from .snapshots import Encoder
from .storage import Storage
from .storage_thread import StorageThread

log = structlog.get_logger("raft")

PATIENCE = 10.0
"""Seconds without a request after which a follower is offered its snapshot again."""


class Snapshotting:
    """The snapshots of one member."""

    def __init__(
        self, config: RaftConfig, storage: Storage, thread: StorageThread, machine: StateMachine
    ) -> None:
        self._config = config
        self._storage = storage
        self._thread = thread
        self._machine = machine
        self.latest: SnapshotHeader | None = None
        """The newest one that counts."""
        self.is_taking = False
        self.is_fetching = False
        """Set by who calls :meth:`fetch`, so that a second offer is not taken up meanwhile."""
        self._asked: dict[int, float] = {}

    @property
    def index(self) -> int:
        """The index of the newest one; 0 without one."""
        return self.latest.index if self.latest is not None else 0

    def is_due(self, applied: int, log_bytes: int) -> bool:
        """Whether it is time for one at ``applied``."""
        entries = applied - self.index
        if self.is_taking or entries == 0:
            return False
        config = self._config
        return entries >= config.snapshot_threshold or log_bytes > config.snapshot_bytes

    def take(self, core: Core, index: int) -> Callable[[], Awaitable[bool]]:
        """Copy the state as it is now, at ``index``; what is returned does the rest.

        That tells whether the snapshot counts, and raises StorageError where the disk failed.
        """
        self.is_taking = True
        term = core.log.term(index)
        assert term is not None
        encoder = self._machine.snapshot()
        return partial(self._write, core, index, term, core.configuration, encoder)

    async def _write(
        self, core: Core, index: int, term: int, configuration: Configuration, encoder: Encoder
    ) -> bool:
        config = self._config
        try:
            header = await self._thread.aside(
                lambda: self._storage.write_snapshot(index, term, configuration, encoder)
            )
            if index <= self.index:
                return False  # a newer one was installed meanwhile
            compact_to = core.log.trailing(
                index, entries=config.trailing_logs, size_bytes=config.trailing_bytes
            )
            await self._thread.run(
                lambda: self._storage.keep_snapshot(header, compact_to=compact_to)
            )
        finally:
            self.is_taking = False
        self.latest = core.latest_snapshot = header
        core.log.compact(compact_to)
        log.info("took a snapshot", index=index, size_bytes=header.size)
        return True

    async def restore(self, header: SnapshotHeader) -> None:
        """Make the state machine's state that of ``header``, which counts from now on."""
        self.latest = header
        if header.size:
            chunks = await self._thread.run(lambda: list(self._storage.read_snapshot(header)))
            self._machine.restore(chunks)

    async def fetch(self, transport: Transport, offer: SnapshotOffer, committed: int) -> bool:
        """Have what is offered on the disk; whether the core may hear of the offer.

        Raises:
            StorageError: the disk failed.
        """
        header = offer.snapshot
        if header.index <= committed or not header.size:
            self.is_fetching = False
            return True  # nothing of it is needed
        try:
            await self._receive(transport, offer.sender, header)
        except (OSError, CorruptStorage) as error:
            log.warning("snapshot could not be fetched", index=header.index, error=str(error))
            return False
        finally:
            self.is_fetching = False
        return True

    async def _receive(self, transport: Transport, member: int, header: SnapshotHeader) -> None:
        incoming = await self._thread.aside(lambda: self._storage.receive_snapshot(header))
        whole = False
        try:
            await transport.fetch_snapshot(
                member, header, lambda piece: self._thread.aside(lambda: incoming.write(piece))
            )
            whole = True
        finally:
            await self._thread.aside(incoming.finish if whole else incoming.abandon)

    async def piece(
        self, member: int, header: SnapshotHeader, offset: int, size: int, *, now: float
    ) -> bytes:
        """Bytes of a snapshot that ``member`` fetches.

        Raises:
            StorageError: there is no such snapshot any more.
        """
        self._asked[member] = now
        return await self._thread.aside(lambda: self._storage.snapshot_piece(header, offset, size))

    def is_asked_by(self, member: int) -> bool:
        """Whether ``member`` has fetched a part of one lately."""
        return member in self._asked

    def look_after_followers(self, core: Core, now: float) -> None:
        """Probe a follower again that was offered a snapshot and does not fetch it."""
        leadership = core.leadership
        if leadership is None:
            self._asked.clear()
            return
        for member, progress in leadership.progress.items():
            if progress.state is not ProgressState.SNAPSHOT:
                self._asked.pop(member, None)
            elif now - self._asked.setdefault(member, now) > PATIENCE:
                del self._asked[member]
                leadership.snapshot_ended(member, installed=False)
