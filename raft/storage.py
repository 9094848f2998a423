"""Log, term and vote, and snapshots on disk: the protocol, and SQLite behind it.

One connection, opened, used and closed by one thread: SQLite before 3.51.3 can corrupt a WAL that
two connections share, and exclusive locking keeps a second server out of the directory as well.

Invariants
    S1  One :meth:`Storage.save` is one transaction, on disk when it returns.
    S2  After the first error nothing is written any more: the kernel may have dropped what an
        fsync failed to write, and the next fsync would succeed all the same.
    S3  The log reaches back to the oldest kept snapshot, so that a damaged newer one costs nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar
from zlib import crc32

import msgspec

from .errors import CorruptStorage, DataDirectoryInUse, StorageError
from .membership import Configuration, decode_configuration, encode
from .messages import Entry, HardState, SnapshotHeader, is_intact
from .snapshots import Encoder, SnapshotFiles

T = TypeVar("T")

SNAPSHOTS_KEPT = 2
WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""A larger write-ahead log is checkpointed between two writes, not only when idle."""


class Recovered(msgspec.Struct, frozen=True):
    """What a member knows when it starts."""

    node_id: int
    hard: HardState
    snapshot: SnapshotHeader | None
    """The newest one whose digest holds."""
    entries: list[Entry]
    """Ascending without gap; the first is at or before the one after the snapshot."""

    @property
    def is_new(self) -> bool:
        """Whether this member never took part in anything."""
        return self.snapshot is None and not self.entries and self.hard.term == 0


class IncomingSnapshot(Protocol):
    """A snapshot that arrives from another member. Errors of the disk are ``OSError``."""

    def write(self, piece: bytes) -> None:
        """The next bytes."""

    def finish(self) -> None:
        """Verify what came, and make it durable.

        Raises:
            CorruptStorage: the bytes are not those of the header. Nothing was kept.
        """

    def abandon(self) -> None:
        """Forget what came."""


class Storage(Protocol):
    """What a member's memory must be. Calls block, and are made one at a time by one thread.

    The first :class:`StorageError` ends the member. Only :meth:`write_snapshot` and what
    :meth:`receive_snapshot` returned may be used beside the other calls.
    """

    @property
    def inline(self) -> bool:
        """Whether no call blocks, so that the loop may make them itself."""

    def open(self, *, new_node_id: int) -> Recovered:
        """Open, check everything, and tidy up. ``new_node_id`` is taken where there is none yet."""

    def bootstrap(self, configuration: Configuration) -> SnapshotHeader:
        """Begin a cluster: the empty state at index 1, term 1.

        Raises:
            StorageError: there is state already.
        """

    def save(self, hard: HardState | None, entries: Sequence[Entry]) -> None:
        """Make ``entries`` the log from their first index on, and ``hard`` the hard state."""

    def write_snapshot(
        self, index: int, term: int, configuration: Configuration, encoder: Encoder
    ) -> SnapshotHeader:
        """Write a snapshot of our own; it counts only after :meth:`keep_snapshot`."""

    def receive_snapshot(self, header: SnapshotHeader) -> IncomingSnapshot:
        """A place for another member's; it counts only after :meth:`install_snapshot`."""

    def keep_snapshot(self, header: SnapshotHeader, *, compact_to: int) -> None:
        """From now on start from ``header``; the log up to ``compact_to`` may go."""

    def install_snapshot(self, header: SnapshotHeader, hard: HardState) -> None:
        """Replace everything by ``header``."""

    def read_snapshot(self, header: SnapshotHeader) -> Iterator[bytes]:
        """The records of a snapshot. Their borders are not those of the writes."""

    def snapshot_piece(self, header: SnapshotHeader, offset: int, size: int) -> bytes:
        """Bytes of a snapshot as they are sent; fewer than ``size`` at its end."""

    def checkpoint(self) -> None:
        """Tidy up while nothing else is to do."""

    def free_bytes(self) -> int:
        """Bytes that can still be written."""

    def close(self) -> None:
        """Close; further calls are errors."""


def check_recovered(
    hard: HardState, snapshot: SnapshotHeader | None, entries: Sequence[Entry]
) -> None:
    """Check that log, snapshot and hard state belong together.

    Raises:
        CorruptStorage: something acknowledged may be missing or changed.
    """
    base = snapshot.index if snapshot is not None else 0
    last_term = snapshot.term if snapshot is not None else 0
    if entries and not entries[0].index <= base + 1 <= entries[-1].index + 1:
        raise CorruptStorage(
            f"the log has {entries[0].index} to {entries[-1].index}, the snapshot ends at {base}"
        )
    expected, term = (entries[0].index, 0) if entries else (0, 0)
    for entry in entries:
        if entry.index != expected:
            raise CorruptStorage(f"the log has {entry.index} where {expected} belongs")
        if not is_intact(entry):
            raise CorruptStorage(f"entry {entry.index} of the log is damaged")
        if entry.term < term or (entry.index == base and entry.term != last_term):
            raise CorruptStorage(f"entry {entry.index} of the log has term {entry.term}")
        expected, term = expected + 1, entry.term
    if hard.term < max(term, last_term):
        raise CorruptStorage(f"the term is {hard.term}, but the log has {max(term, last_term)}")


_SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE hard(id INTEGER PRIMARY KEY CHECK(id=1), term INTEGER, vote INTEGER,
                  commit_index INTEGER, crc INTEGER);
CREATE TABLE log(idx INTEGER PRIMARY KEY, term INTEGER, kind INTEGER, crc INTEGER, data BLOB);
CREATE TABLE snapshot(idx INTEGER, term INTEGER, config BLOB, file TEXT, size INTEGER,
                      sha256 BLOB, state TEXT);
"""
_FORMAT = b"1"


class SqliteStorage:
    """Storage in ``directory``: ``raft.db`` and ``snapshots/``, for the owner only."""

    inline = False

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files = SnapshotFiles(directory / "snapshots")
        self._connection: sqlite3.Connection | None = None
        self._failed = False
        self._last_index = 0
        self._unchecked_bytes = 0

    def open(self, *, new_node_id: int) -> Recovered:
        """Open, check everything, and tidy up.

        Raises:
            DataDirectoryInUse: another process has it open.
            CorruptStorage: what is there cannot be trusted.
            StorageError: the disk refuses.
        """
        try:
            self._files.prepare()
            path = self._directory / "raft.db"
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.0)
            return self._open(self._connection, new_node_id)
        except sqlite3.OperationalError as error:
            self.close()
            if "locked" in str(error):
                raise DataDirectoryInUse(f"{self._directory} is in use") from error
            raise StorageError(f"{self._directory}: {error}") from error
        except sqlite3.DatabaseError as error:
            self.close()
            raise CorruptStorage(f"{self._directory}: {error}") from error
        except OSError as error:
            self.close()
            raise StorageError(str(error)) from error
        except StorageError:
            self.close()
            raise

    def _open(self, db: sqlite3.Connection, new_node_id: int) -> Recovered:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA page_size=4096")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute("PRAGMA mmap_size=0")
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name='meta'").fetchone():
            db.execute("BEGIN EXCLUSIVE")
            for statement in _SCHEMA.strip().split(";\n"):
                db.execute(statement)
            db.executemany(
                "INSERT INTO meta VALUES(?,?)",
                [("format", _FORMAT), ("node_id", new_node_id.to_bytes(8, "big"))],
            )
            self._write_hard(db, HardState())
            db.execute("COMMIT")
        meta: dict[str, bytes] = dict(db.execute("SELECT key, value FROM meta").fetchall())
        if meta.get("format") != _FORMAT:
            raise StorageError(f"{self._directory} has a format this version cannot read")
        hard = self._read_hard(db)
        snapshot = self._newest_snapshot(db)
        entries = [
            Entry(index, term, kind, data, crc)
            for index, term, kind, crc, data in db.execute(
                "SELECT idx, term, kind, crc, data FROM log ORDER BY idx"
            )
        ]
        check_recovered(hard, snapshot, entries)
        base = snapshot.index if snapshot is not None else 0
        self._last_index = entries[-1].index if entries else base
        return Recovered(int.from_bytes(meta["node_id"], "big"), hard, snapshot, entries)

    def bootstrap(self, configuration: Configuration) -> SnapshotHeader:
        """Begin a cluster: the empty state at index 1, term 1."""
        header = SnapshotHeader(1, 1, configuration)

        def write(db: sqlite3.Connection) -> None:
            used = db.execute("SELECT 1 FROM log UNION ALL SELECT 1 FROM snapshot").fetchone()
            if used or self._read_hard(db).term:
                raise StorageError("a cluster cannot be bootstrapped where there is state already")
            self._insert_snapshot(db, header, file="")
            self._write_hard(db, HardState(term=1, vote=0, commit=1))

        self._transact(write)
        self._last_index = 1
        return header

    def save(self, hard: HardState | None, entries: Sequence[Entry]) -> None:
        """Make ``entries`` the log from their first index on, and ``hard`` the hard state."""

        def write(db: sqlite3.Connection) -> None:
            if entries:
                if entries[0].index <= self._last_index:
                    db.execute("DELETE FROM log WHERE idx >= ?", (entries[0].index,))
                db.executemany(
                    "INSERT INTO log VALUES(?,?,?,?,?)",
                    [
                        (entry.index, entry.term, entry.kind, entry.crc, entry.data)
                        for entry in entries
                    ],
                )
            if hard is not None:
                self._write_hard(db, hard)

        self._transact(write)
        if entries:
            self._last_index = entries[-1].index
            self._unchecked_bytes += 4096 + sum([len(entry.data) + 64 for entry in entries])
        else:
            self._unchecked_bytes += 4096
        if self._unchecked_bytes > WAL_LIMIT_BYTES:
            self.checkpoint()

    def write_snapshot(
        self, index: int, term: int, configuration: Configuration, encoder: Encoder
    ) -> SnapshotHeader:
        """Write a snapshot of our own; it counts only after :meth:`keep_snapshot`."""
        try:
            return self._files.write(index, term, configuration, encoder)
        except OSError as error:
            raise StorageError(f"snapshot at {index}: {error}") from error

    def receive_snapshot(self, header: SnapshotHeader) -> IncomingSnapshot:
        """A place for another member's; it counts only after :meth:`install_snapshot`."""
        try:
            return self._files.receive(header)
        except OSError as error:
            raise StorageError(f"snapshot at {header.index}: {error}") from error

    def keep_snapshot(self, header: SnapshotHeader, *, compact_to: int) -> None:
        """From now on start from ``header``; the log up to ``compact_to`` may go."""

        def write(db: sqlite3.Connection) -> list[SnapshotHeader]:
            self._insert_snapshot(db, header, file=self._files.path(header).name)
            kept = [row for row, _ in self._rows(db)][:SNAPSHOTS_KEPT]
            oldest = kept[-1].index
            db.execute("DELETE FROM snapshot WHERE idx < ?", (oldest,))
            db.execute("DELETE FROM log WHERE idx <= ?", (min(oldest, compact_to),))  # S3
            return kept

        self._tidy(self._transact(write))

    def install_snapshot(self, header: SnapshotHeader, hard: HardState) -> None:
        """Replace everything by ``header``."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM log")
            db.execute("DELETE FROM snapshot")
            file = self._files.path(header).name if header.size else ""
            self._insert_snapshot(db, header, file=file)
            self._write_hard(db, hard)

        self._transact(write)
        self._last_index = header.index
        self._tidy([header])

    def read_snapshot(self, header: SnapshotHeader) -> Iterator[bytes]:
        """The records of a snapshot. Their borders are not those of the writes."""
        return self._files.read(header) if header.size else iter(())

    def snapshot_piece(self, header: SnapshotHeader, offset: int, size: int) -> bytes:
        """Bytes of a snapshot as they are sent; fewer than ``size`` at its end."""
        return self._files.piece(header, offset, size)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file, as far as that needs no waiting."""
        if self._unchecked_bytes:
            self._guarded(lambda db: db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
            self._unchecked_bytes = 0

    def free_bytes(self) -> int:
        """Bytes that can still be written."""
        try:
            status = os.statvfs(self._directory)
        except OSError as error:
            raise StorageError(str(error)) from error
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        """Close the connection. Must be called by the thread that opened it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _transact(self, action: Callable[[sqlite3.Connection], T]) -> T:
        def transaction(db: sqlite3.Connection) -> T:
            db.execute("BEGIN IMMEDIATE")
            result = action(db)
            db.execute("COMMIT")  # S1
            return result

        return self._guarded(transaction)

    def _guarded(self, action: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None or self._failed:
            raise StorageError("the storage is closed, or has failed before")
        try:
            return action(self._connection)
        except (sqlite3.Error, OSError) as error:
            self._failed = True  # S2
            raise StorageError(f"{self._directory}: {error}") from error
        finally:
            if self._connection.in_transaction:
                self._failed = True
                self._connection.rollback()

    def _tidy(self, kept: Sequence[SnapshotHeader]) -> None:
        try:
            self._files.remove_all_but(kept)
        except OSError as error:
            self._failed = True
            raise StorageError(str(error)) from error

    def _newest_snapshot(self, db: sqlite3.Connection) -> SnapshotHeader | None:
        db.execute("DELETE FROM snapshot WHERE state <> 'ready'")
        rows = self._rows(db)
        self._files.remove_all_but([header for header, _ in rows])
        damage: CorruptStorage | None = None
        for header, file in rows:
            try:
                if file:
                    self._files.verify(header)
            except CorruptStorage as error:
                damage = error
            else:
                return header
        if damage is not None:
            raise damage
        return None

    @staticmethod
    def _rows(db: sqlite3.Connection) -> list[tuple[SnapshotHeader, str]]:
        """Every snapshot that counts, newest first."""
        rows = db.execute(
            "SELECT idx, term, config, file, size, sha256 FROM snapshot WHERE state='ready' "
            "ORDER BY idx DESC"
        )
        try:
            return [
                (SnapshotHeader(index, term, decode_configuration(config), size, digest), file)
                for index, term, config, file, size, digest in rows
            ]
        except msgspec.DecodeError as error:
            raise CorruptStorage("a snapshot's configuration is damaged") from error

    @staticmethod
    def _insert_snapshot(db: sqlite3.Connection, header: SnapshotHeader, *, file: str) -> None:
        db.execute("DELETE FROM snapshot WHERE idx = ?", (header.index,))
        db.execute(
            "INSERT INTO snapshot VALUES(?,?,?,?,?,?,'ready')",
            (
                header.index,
                header.term,
                encode(header.configuration),
                file,
                header.size,
                header.sha256,
            ),
        )

    @staticmethod
    def _write_hard(db: sqlite3.Connection, hard: HardState) -> None:
        db.execute(
            "INSERT OR REPLACE INTO hard VALUES(1,?,?,?,?)",
            (hard.term, hard.vote, hard.commit, _hard_crc(hard)),
        )

    @staticmethod
    def _read_hard(db: sqlite3.Connection) -> HardState:
        row = db.execute("SELECT term, vote, commit_index, crc FROM hard").fetchone()
        if row is None:
            raise CorruptStorage("term and vote are missing")
        hard = HardState(*row[:3])
        if row[3] != _hard_crc(hard):
            raise CorruptStorage("term and vote are damaged")
        return hard


def _hard_crc(hard: HardState) -> int:
    return crc32(f"{hard.term} {hard.vote} {hard.commit}".encode())
