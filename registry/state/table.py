"""One table: records under a primary key, secondary indexes, and what each change touches.

Nobody lists by hand what a change affects: :meth:`Table.put` and :meth:`Table.delete` return the
topics, read off the index entries whose content changed.

A topic is a tuple: ``(table,)`` for any change, ``(table, "key", k)`` for one primary key, and
``(table, index, k)`` for one entry of a secondary index. A reader of an ordered table may also
watch ``(table, "prefix", p)``, which every key topic whose key begins with ``p`` stands for.

Invariants
    I1  ``rows[key_of(r)] is r`` for every record, and each index entry of ``r`` holds ``r``.
    I2  ``keys`` of an ordered table has exactly the keys of ``rows``, ascending.
    I3  What a reader is told of an entry's last change never decreases: the record says it while
        there is one, ``_graves`` and ``_changed`` after that, and ``floor`` once those are pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar

from sortedcontainers import SortedDict, SortedList

R = TypeVar("R")
Topic: TypeAlias = tuple[Hashable, ...]

MAX_GRAVES: Final = 65_536
"""Deletions remembered one by one; beyond it the older half is folded into the floor."""


class Table(Generic[R]):
    """Records of one kind.

    ``key_of`` gives the primary key, ``created`` and ``modified`` the indexes of a record's first
    and last change, and ``indexes`` the entries of each secondary index that a record stands in.
    An ``ordered`` table has text keys and can be read by prefix.
    """

    def __init__(
        self,
        name: str,
        *,
        record: type[R],
        key_of: Callable[[R], Hashable],
        created: Callable[[R], int],
        modified: Callable[[R], int],
        stamped: Callable[[R, int, int], R],
        indexes: Mapping[str, Callable[[R], Iterable[Hashable]]] | None = None,
        ordered: bool = False,
    ) -> None:
        self.name = name
        self.record = record
        self.key_of = key_of
        self.created = created
        self.modified = modified
        self.stamped = stamped
        """``stamped(record, create_index, modify_index)``: the record with these indexes."""
        self.ordered = ordered
        self.index = 0
        """The index of the last change to any record."""
        self.floor = 0
        """At least the index of every change that is no longer remembered by itself."""
        self.rows: dict[Hashable, R] = {}
        self.keys: SortedList[str] = SortedList()
        self._indexes = dict(indexes or {})
        self._entries: dict[str, dict[Hashable, dict[Hashable, R]]] = {n: {} for n in self._indexes}
        self._graves: SortedDict[Any, int] = SortedDict()
        self._changed: dict[tuple[str, Hashable], int] = {}

    # -- reading; what a View builds on ---------------------------------------------------------

    def by(self, index: str, entry: Hashable) -> Iterable[R]:
        """The records in one entry of a secondary index, oldest first."""
        rows = self._entries[index].get(entry)
        return rows.values() if rows else ()

    def entries(self, index: str) -> Iterable[Hashable]:
        """The entries of a secondary index that hold a record now."""
        return self._entries[index].keys()

    def entry_index(self, index: str, entry: Hashable) -> int:
        """The index of the last change to an entry of a secondary index."""
        return self._changed.get((index, entry), self.floor)

    def key_index(self, key: Hashable) -> int:
        """The index of the last change to a primary key, its deletion included."""
        record = self.rows.get(key)
        if record is not None:
            return self.modified(record)
        return self._graves.get(key, self.floor)

    def prefix_keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with ``prefix``, ascending (ordered tables only)."""
        return self.keys.irange(prefix, _past(prefix), inclusive=(True, False))

    def graves_index(self, prefix: str) -> int:
        """The highest index of a deletion below ``prefix``; 0 when none is remembered."""
        graves = self._graves
        if not graves:
            return 0
        below = graves.irange(prefix, _past(prefix), inclusive=(True, False))
        return max((graves[key] for key in below), default=0)

    # -- writing; a Transaction's part ------------------------------------------------------------

    def put(self, record: R, *, index: int) -> list[Topic]:
        """Insert or replace ``record``; return the touched topics."""
        key = self.key_of(record)
        old = self.rows.get(key)
        self.rows[key] = record
        self.index = index
        if old is None:
            if self.ordered:
                self.keys.add(key)  # type: ignore[arg-type]  # keys of ordered tables are text
            self._graves.pop(key, None)
        touched: list[Topic] = [(self.name,), (self.name, "key", key)]
        for name, entries_of in self._indexes.items():
            entries = self._entries[name]
            kept = set(entries_of(record))
            for entry in kept:
                entries.setdefault(entry, {})[key] = record
            gone = set(entries_of(old)) - kept if old is not None else ()
            for entry in gone:
                self._leave(entries, entry, key)
            for entry in (*kept, *gone):
                self._changed[name, entry] = index
                touched.append((self.name, name, entry))
        return touched

    def delete(self, key: Hashable, *, index: int) -> list[Topic]:
        """Remove the record under ``key``, if any; return the touched topics."""
        old = self.rows.pop(key, None)
        if old is None:
            return []
        self.index = index
        if self.ordered:
            self.keys.remove(key)  # type: ignore[arg-type]
        self._graves[key] = index
        touched: list[Topic] = [(self.name,), (self.name, "key", key)]
        for name, entries_of in self._indexes.items():
            entries = self._entries[name]
            for entry in set(entries_of(old)):
                self._leave(entries, entry, key)
                self._changed[name, entry] = index
                touched.append((self.name, name, entry))
        if len(self._graves) > MAX_GRAVES:
            self._prune_graves()
        return touched

    def revert(self, key: Hashable, old: R | None, *, index: int, grave: int | None) -> None:
        """Undo one change of the newest transaction: ``key`` held ``old`` before it."""
        if old is None:
            self.delete(key, index=index)
            self._graves.pop(key, None)
            if grave is not None:
                self._graves[key] = grave
        else:
            self.put(old, index=index)

    def grave_of(self, key: Hashable) -> int | None:
        """The index at which ``key`` was deleted, while that is remembered."""
        return self._graves.get(key)

    @staticmethod
    def _leave(entries: dict[Hashable, dict[Hashable, R]], entry: Hashable, key: Hashable) -> None:
        rows = entries[entry]
        del rows[key]
        if not rows:
            del entries[entry]

    def _prune_graves(self) -> None:
        """Forget the older half of the deletions; the floor answers for them from here on (I3)."""
        by_age = sorted(self._graves.items(), key=lambda grave: grave[1])
        for key, at in by_age[: len(by_age) // 2]:
            del self._graves[key]
            self.floor = max(self.floor, at)
        for (name, entry), at in list(self._changed.items()):
            if at <= self.floor and entry not in self._entries[name]:
                del self._changed[name, entry]

    # -- snapshots --------------------------------------------------------------------------------

    def memory(self) -> tuple[int, int, dict[Any, int], dict[tuple[str, Hashable], int]]:
        """What the table remembers besides its records, copied: for a snapshot."""
        return self.index, self.floor, dict(self._graves), dict(self._changed)

    def load(
        self,
        rows: Iterable[R],
        memory: tuple[int, int, Mapping[Any, int], Mapping[tuple[str, Hashable], int]],
    ) -> None:
        """Fill an empty table from a snapshot's parts."""
        for record in rows:
            self.put(record, index=self.modified(record))
        self.index, self.floor, graves, changed = memory
        self._graves = SortedDict(graves)
        self._changed = dict(changed)


def _past(prefix: str) -> str | None:
    """The first text after everything that begins with ``prefix``; ``None`` when there is none."""
    stem = prefix.rstrip("\U0010ffff")
    return stem[:-1] + chr(ord(stem[-1]) + 1) if stem else None
