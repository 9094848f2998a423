"""Superseded records, newest last, bounded by number, size and age.

What ``?at=`` reads, health timelines and ``kv history`` are made from. It is a reading of the log
kept in memory: a restart begins it anew, and it is not part of a snapshot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

DEFAULT_RECORDS: Final = 10_000
DEFAULT_BYTES: Final = 16 * 1024 * 1024
DEFAULT_AGE: Final = 24 * 3600 * 1_000_000_000
"""Nanoseconds."""

RECORD_COST: Final = 512
"""Bytes reckoned for a record besides its value."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A record that was current until ``index``."""

    table: str
    key: Hashable
    record: Any
    index: int
    time: int
    """When it was superseded: nanoseconds since the Unix epoch."""


class History:
    """The newest superseded records of all tables."""

    def __init__(
        self,
        *,
        max_records: int = DEFAULT_RECORDS,
        max_bytes: int = DEFAULT_BYTES,
        max_age: int = DEFAULT_AGE,
    ) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._queue: deque[Superseded] = deque()
        self._by_key: dict[tuple[str, Hashable], deque[Superseded]] = {}
        self._bytes = 0

    def add(self, table: str, key: Hashable, record: Any, *, index: int, time: int) -> None:
        """Remember ``record``, superseded at ``index``; forget what is beyond the bounds."""
        if not self._max_records:
            return
        item = Superseded(table, key, record, index, time)
        self._queue.append(item)
        self._by_key.setdefault((table, key), deque()).append(item)
        self._bytes += _cost(record)
        while self._queue and (
            len(self._queue) > self._max_records
            or self._bytes > self._max_bytes
            or self._queue[0].time < time - self._max_age
        ):
            self._forget_oldest()

    def of(self, table: str, key: Hashable) -> list[Superseded]:
        """What is remembered of one key, oldest first."""
        return list(self._by_key.get((table, key), ()))

    def __len__(self) -> int:
        return len(self._queue)

    def _forget_oldest(self) -> None:
        item = self._queue.popleft()
        self._bytes -= _cost(item.record)
        own = self._by_key[item.table, item.key]
        own.popleft()
        if not own:
            del self._by_key[item.table, item.key]


def _cost(record: Any) -> int:
    value = getattr(record, "value", None)
    return RECORD_COST + (len(value) if value else 0)
