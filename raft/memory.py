"""Storage in memory: for ``-dev``, for tests, and as the model of a disk that can lose writes.

A transaction is *pending* until :meth:`MemoryStorage.sync`. A crash keeps a prefix of what is
pending, as SQLite does with its write-ahead log: transactions are whole or absent, and in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .errors import CorruptStorage, StorageError
from .membership import Configuration
from .messages import Entry, HardState, SnapshotHeader
from .snapshots import Encoder
from .storage import SNAPSHOTS_KEPT, Recovered, check_recovered

PLENTY_BYTES = 2**40


class _State:
    """What one disk holds."""

    def __init__(self) -> None:
        self.node_id = 0
        self.hard = HardState()
        self.log: dict[int, Entry] = {}
        self.last = 0
        self.snapshots: dict[int, tuple[SnapshotHeader, tuple[bytes, ...]]] = {}

    def copy(self) -> _State:
        copied = _State()
        copied.node_id, copied.hard, copied.last = self.node_id, self.hard, self.last
        copied.log = dict(self.log)
        copied.snapshots = dict(self.snapshots)
        return copied

    def newest(self) -> SnapshotHeader | None:
        return self.snapshots[max(self.snapshots)][0] if self.snapshots else None

    def truncate(self, first: int) -> None:
        for index in range(first, self.last + 1):
            self.log.pop(index, None)
        self.last = min(self.last, first - 1)

    def compact(self, index: int) -> None:
        for gone in [each for each in self.log if each <= index]:
            del self.log[gone]


class _Incoming:
    """A snapshot that arrives."""

    def __init__(
        self, unkept: dict[tuple[int, int], tuple[bytes, ...]], header: SnapshotHeader
    ) -> None:
        self._unkept = unkept
        self._header = header
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def finish(self) -> None:
        header = self._header
        if max(1, sum(map(len, self._pieces))) != header.size:
            raise CorruptStorage(f"the snapshot at {header.index} has another size")
        self._unkept[header.term, header.index] = tuple(self._pieces)

    def abandon(self) -> None:
        self._pieces.clear()


Transaction = Callable[[_State], None]


class MemoryStorage:
    """Storage in memory. It survives :meth:`close`, and :meth:`crash` with what was synced.

    ``autosync``: every transaction is synced at once. ``inline``: the loop may call it itself.
    """

    def __init__(self, *, autosync: bool = True, inline: bool = True) -> None:
        self.inline = inline
        self.failure: Exception | None = None
        """Raised by every write while it is set: a disk that fails."""
        self._autosync = autosync
        self._durable = _State()
        self._live = self._durable if autosync else _State()
        self._pending: list[Transaction] = []
        self._unkept: dict[tuple[int, int], tuple[bytes, ...]] = {}
        self._is_open = False

    @property
    def pending(self) -> int:
        """Transactions that are not synced."""
        return len(self._pending)

    def sync(self) -> None:
        """Everything so far is on disk."""
        for transaction in self._pending:
            transaction(self._durable)
        self._pending.clear()

    def crash(self, *, keep: int = 0) -> None:
        """Lose what is pending but for the first ``keep`` transactions, and close."""
        kept = self._pending[:keep]
        self._pending.clear()
        for transaction in kept:
            transaction(self._durable)
        if not self._autosync:
            self._live = self._durable.copy()
        self._unkept.clear()
        self._is_open = False

    def open(self, *, new_node_id: int) -> Recovered:
        """Open and check everything."""
        self._is_open = True
        if self._live.node_id == 0:

            def create(state: _State) -> None:
                state.node_id = new_node_id

            self._transact(create)
        state = self._live
        entries = [state.log[index] for index in sorted(state.log)]
        snapshot = state.newest()
        check_recovered(state.hard, snapshot, entries)
        return Recovered(state.node_id, state.hard, snapshot, entries)

    def bootstrap(self, configuration: Configuration) -> SnapshotHeader:
        """Begin a cluster: the empty state at index 1, term 1."""
        if self._live.log or self._live.snapshots or self._live.hard.term:
            raise StorageError("a cluster cannot be bootstrapped where there is state already")
        header = SnapshotHeader(1, 1, configuration)

        def write(state: _State) -> None:
            state.snapshots[1] = (header, ())
            state.hard = HardState(term=1, vote=0, commit=1)
            state.last = 1

        self._transact(write)
        return header

    def save(self, hard: HardState | None, entries: Sequence[Entry]) -> None:
        """Make ``entries`` the log from their first index on, and ``hard`` the hard state."""
        kept = tuple(entries)

        def write(state: _State) -> None:
            if kept:
                state.truncate(kept[0].index)
                for entry in kept:
                    state.log[entry.index] = entry
                state.last = kept[-1].index
            if hard is not None:
                state.hard = hard

        self._transact(write)

    def write_snapshot(
        self, index: int, term: int, configuration: Configuration, encoder: Encoder
    ) -> SnapshotHeader:
        """Write a snapshot of our own; it counts only after :meth:`keep_snapshot`."""
        chunks: list[bytes] = []
        encoder(chunks.append)
        self._unkept[term, index] = tuple(chunks)
        return SnapshotHeader(index, term, configuration, max(1, sum(map(len, chunks))))

    def receive_snapshot(self, header: SnapshotHeader) -> _Incoming:
        """A place for another member's; it counts only after :meth:`install_snapshot`."""
        return _Incoming(self._unkept, header)

    def keep_snapshot(self, header: SnapshotHeader, *, compact_to: int) -> None:
        """From now on start from ``header``; the log up to ``compact_to`` may go."""
        chunks = self._unkept.pop((header.term, header.index))

        def write(state: _State) -> None:
            state.snapshots[header.index] = (header, chunks)
            for old in sorted(state.snapshots)[:-SNAPSHOTS_KEPT]:
                del state.snapshots[old]
            state.compact(min(min(state.snapshots), compact_to))

        self._transact(write)

    def install_snapshot(self, header: SnapshotHeader, hard: HardState) -> None:
        """Replace everything by ``header``."""
        chunks = self._unkept.pop((header.term, header.index)) if header.size else ()

        def write(state: _State) -> None:
            state.log.clear()
            state.last = header.index
            state.snapshots = {header.index: (header, chunks)}
            state.hard = hard

        self._transact(write)

    def read_snapshot(self, header: SnapshotHeader) -> Iterator[bytes]:
        """The records of a snapshot."""
        return iter(self._live.snapshots[header.index][1])

    def snapshot_piece(self, header: SnapshotHeader, offset: int, size: int) -> bytes:
        """Bytes of a snapshot as they are sent; fewer than ``size`` at its end."""
        if header.index not in self._live.snapshots:
            raise StorageError(f"there is no snapshot at {header.index} any more")
        content = b"".join(self._live.snapshots[header.index][1])
        return content[offset : offset + size]

    def checkpoint(self) -> None:
        """Nothing is to be tidied up."""

    def free_bytes(self) -> int:
        """Enough."""
        return PLENTY_BYTES

    def close(self) -> None:
        """Close; what is stored stays."""
        self._is_open = False

    def _transact(self, transaction: Transaction) -> None:
        if self.failure is not None:
            raise StorageError(str(self.failure)) from self.failure
        if not self._is_open:
            raise StorageError("the storage is closed")
        transaction(self._live)
        if not self._autosync:
            self._pending.append(transaction)
