"""The whole state of the registry: its tables, the transaction that changes them, its snapshots.

Everything here is a pure function of the log: no clock, no randomness, no I/O.

Invariants
    I1  A command changes the state through one :class:`Transaction`, wholly or not at all.
    I2  ``index`` is the index of the last entry applied; no record has a higher one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Final, TypeVar

import msgpack
import msgspec

from lictor.registry.records import (
    HealthCheck,
    KVEntry,
    Node,
    ServiceInstance,
    ServiceIntentions,
    Session,
)

from .history import History
from .table import Table, Topic

R = TypeVar("R")

SNAPSHOT_FORMAT: Final = 1
BATCH_RECORDS: Final = 512
"""Records in one message of a snapshot."""

BATCH_BYTES: Final = 1024 * 1024
"""Bytes of values in one message of a snapshot, about."""

MAX_MESSAGE: Final = 1 << 30
"""Bytes that one chunk's message may have: more than its records can be at their largest."""


def _plain(record: Any, create_index: int, modify_index: int) -> Any:
    return msgspec.structs.replace(record, create_index=create_index, modify_index=modify_index)


def _instance(record: ServiceInstance, create_index: int, modify_index: int) -> ServiceInstance:
    return ServiceInstance(
        node=record.node, service=_plain(record.service, create_index, modify_index)
    )


class State:
    """What the cluster has agreed on, up to ``index``."""

    def __init__(self) -> None:
        self.index = 0
        self.nodes: Table[Node] = Table(
            "nodes",
            record=Node,
            key_of=lambda node: node.name.lower(),
            created=lambda node: node.create_index,
            modified=lambda node: node.modify_index,
            stamped=_plain,
            indexes={"id": lambda node: (node.id,) if node.id else ()},
        )
        self.services: Table[ServiceInstance] = Table(
            "services",
            record=ServiceInstance,
            key_of=lambda row: (row.node.lower(), row.service.id),
            created=lambda row: row.service.create_index,
            modified=lambda row: row.service.modify_index,
            stamped=_instance,
            indexes={
                "name": lambda row: (row.service.name.lower(),),
                "node": lambda row: (row.node.lower(),),
                "connect": _connect_entries,
            },
        )
        self.checks: Table[HealthCheck] = Table(
            "checks",
            record=HealthCheck,
            key_of=lambda check: (check.node.lower(), check.check_id),
            created=lambda check: check.create_index,
            modified=lambda check: check.modify_index,
            stamped=_plain,
            indexes={
                "node": lambda check: (check.node.lower(),),
                "instance": lambda check: ((check.node.lower(), check.service_id),),
                "service": lambda check: (
                    (check.service_name.lower(),) if check.service_name else ()
                ),
                "state": lambda check: (check.status,),
            },
        )
        self.kv: Table[KVEntry] = Table(
            "kv",
            record=KVEntry,
            key_of=lambda entry: entry.key,
            created=lambda entry: entry.create_index,
            modified=lambda entry: entry.modify_index,
            stamped=_plain,
            indexes={"session": lambda entry: (entry.session,) if entry.session else ()},
            ordered=True,
        )
        self.sessions: Table[Session] = Table(
            "sessions",
            record=Session,
            key_of=lambda session: session.id,
            created=lambda session: session.create_index,
            modified=lambda session: session.modify_index,
            stamped=_plain,
            indexes={
                "node": lambda session: (session.node.lower(),),
                "check": _session_checks,
            },
        )
        self.intentions: Table[ServiceIntentions] = Table(
            "intentions",
            record=ServiceIntentions,
            key_of=lambda entry: entry.name,
            created=lambda entry: entry.create_index,
            modified=lambda entry: entry.modify_index,
            stamped=_plain,
        )
        self.lock_delays: dict[str, int] = {}
        """Until when a key cannot be locked, by the log's own time (nanoseconds)."""
        self.history = History()

    @property
    def tables(self) -> tuple[Table[Any], ...]:
        """Every table, in the order in which snapshots hold them."""
        return (self.nodes, self.services, self.checks, self.kv, self.sessions, self.intentions)

    def transaction(self, *, index: int, time: int) -> Transaction:
        """Begin the change of the log entry at ``index``; ``time`` is the entry's."""
        return Transaction(self, index=index, time=time)

    # -- snapshots --------------------------------------------------------------------------------

    def snapshot(self) -> Callable[[Callable[[bytes], None]], None]:
        """Copy the state now, cheaply; the returned encoder may run in another thread later."""
        index = self.index
        delays = dict(self.lock_delays)
        copies = [(table.name, list(table.rows.values()), table.memory()) for table in self.tables]

        def write_to(write: Callable[[bytes], None]) -> None:
            encode = msgspec.msgpack.Encoder().encode
            write(encode(["head", SNAPSHOT_FORMAT, index, delays]))
            for name, rows, (last, floor, graves, changed) in copies:
                memory = [last, floor, list(graves.items()), list(changed.items())]
                write(encode(["table", name, memory]))
                for batch in _batches(rows):
                    write(encode(["rows", name, batch]))
            write(encode(["end"]))

        return write_to

    @classmethod
    def restored(cls, chunks: Iterable[bytes]) -> State:
        """The state that an encoder of :meth:`snapshot` wrote, cut into any ``chunks``.

        Raises:
            ValueError: the chunks are not a whole snapshot of a format this version reads.
        """
        state = cls()
        tables = {table.name: table for table in state.tables}
        memories: dict[str, Any] = {}
        rows: dict[str, list[Any]] = {name: [] for name in tables}
        complete = False
        for kind, parts in _chunk_parts(chunks):
            if kind == "head":
                if parts[0] != SNAPSHOT_FORMAT:
                    message = f"snapshot format {parts[0]} is not one this version reads"
                    raise ValueError(message)
                state.index, state.lock_delays = parts[1], parts[2]
            elif kind == "table":
                memories[parts[0]] = parts[1]
            elif kind == "rows":
                table = tables[parts[0]]
                rows[parts[0]].extend(msgspec.convert(parts[1], list[table.record]))  # type: ignore[name-defined]
            else:
                complete = True
        if not complete:
            message = "the snapshot ends early"
            raise ValueError(message)
        for name, (last, floor, graves, changed) in memories.items():
            tables[name].load(
                rows[name],
                (
                    last,
                    floor,
                    {_key(key): at for key, at in graves},
                    {(entry[0], _key(entry[1])): at for entry, at in changed},
                ),
            )
        return state


def _batches(rows: list[Any]) -> Iterator[list[Any]]:
    """``rows`` in lists that are neither long nor large."""
    batch: list[Any] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(getattr(row, "value", None) or b"")
        if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _chunk_parts(chunks: Iterable[bytes]) -> Iterator[tuple[str, list[Any]]]:
    # storage and network cut the stream where it suits them, so messages end in mid-chunk
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_MESSAGE, strict_map_key=False)
    for chunk in chunks:
        unpacker.feed(chunk)
        for kind, *parts in unpacker:
            yield kind, parts


def _key(decoded: Any) -> Hashable:
    """A key as tables know it: what MessagePack calls a list was a tuple."""
    return tuple(decoded) if isinstance(decoded, list) else decoded


def _connect_entries(row: ServiceInstance) -> Iterable[str]:
    """The service names whose mesh traffic this instance can take, lower-cased."""
    service = row.service
    if service.kind == "connect-proxy":
        return (service.proxy.destination_service_name.lower(),)
    return (service.name.lower(),) if service.connect.native else ()


def _session_checks(session: Session) -> Iterable[tuple[str, str]]:
    """The checks that a session depends on, as primary keys of the checks table."""
    node = session.node.lower()
    names = [*(session.node_checks or ()), *(c.id for c in session.service_checks or ())]
    return [(node, name) for name in names]


class Transaction:
    """The change that one log entry makes."""

    def __init__(self, state: State, *, index: int, time: int) -> None:
        self.state = state
        self.index = index
        self.time = time
        """Nanoseconds since the Unix epoch, from the log entry."""
        self.touched: set[Topic] = set()
        self._undo: list[tuple[Table[Any], Hashable, Any, int | None]] = []
        self._table_indexes: dict[str, int] = {}

    def put(self, table: Table[R], record: R) -> R:
        """Store ``record`` under its key, with indexes set; return what is stored.

        Nothing moves when the table already holds the same content.
        """
        key = table.key_of(record)
        old = table.rows.get(key)
        if old is None:
            new = table.stamped(record, self.index, self.index)
        else:
            created = table.created(old)
            if table.stamped(record, created, table.modified(old)) == old:
                return old
            new = table.stamped(record, created, self.index)
        self._remember(table, key, old)
        self.touched.update(table.put(new, index=self.index))
        return new

    def delete(self, table: Table[R], key: Hashable) -> R | None:
        """Remove the record under ``key`` and return it; ``None`` when there was none."""
        old = table.rows.get(key)
        if old is not None:
            self._remember(table, key, old)
            self.touched.update(table.delete(key, index=self.index))
        return old

    def delay_lock(self, key: str, *, until: int) -> None:
        """Keep ``key`` from being locked until the log's time ``until`` (nanoseconds)."""
        delays = self.state.lock_delays
        for past in [name for name, end in delays.items() if end <= self.time]:
            del delays[past]
        delays[key] = until

    def _remember(self, table: Table[R], key: Hashable, old: R | None) -> None:
        self._table_indexes.setdefault(table.name, table.index)
        self._undo.append((table, key, old, table.grave_of(key)))

    def commit(self) -> set[Topic]:
        """Keep the change; return the topics it touched."""
        for table, key, old, _ in self._undo:
            if old is not None:
                self.state.history.add(table.name, key, old, index=self.index, time=self.time)
        return self.touched

    def rollback(self) -> None:
        """Leave the state as it was before the transaction."""
        for table, key, old, grave in reversed(self._undo):
            table.revert(key, old, index=self._table_indexes[table.name], grave=grave)
        self.touched.clear()
