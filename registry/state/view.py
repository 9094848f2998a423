"""Reading the state, and remembering what was read.

A :class:`View` lives for one evaluation of one question. Afterwards ``topics`` is what would change
the answer, and ``index`` the highest index among what was read.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, TypeVar

from .table import Table, Topic

if TYPE_CHECKING:
    from .store import State

R = TypeVar("R")


class View:
    """One evaluation's window on ``state``. Read through it, never around it."""

    __slots__ = ("index", "state", "topics")

    def __init__(self, state: State) -> None:
        self.state = state
        self.index = 0
        self.topics: set[Topic] = set()

    def get(self, table: Table[R], key: Hashable) -> R | None:
        """The record under a primary key."""
        self.topics.add((table.name, "key", key))
        self.at_least(table.key_index(key))
        return table.rows.get(key)

    def by(self, table: Table[R], index: str, entry: Hashable) -> list[R]:
        """The records in one entry of a secondary index, in no promised order."""
        self.topics.add((table.name, index, entry))
        self.at_least(table.entry_index(index, entry))
        return list(table.by(index, entry))

    def all(self, table: Table[R]) -> list[R]:
        """Every record of a table, in no promised order."""
        self.watch(table)
        return list(table.rows.values())

    def watch(self, table: Table[R]) -> None:
        """Depend on every change to ``table``."""
        self.topics.add((table.name,))
        self.at_least(table.index)

    def prefix(self, table: Table[R], prefix: str) -> list[R]:
        """The records whose key begins with ``prefix``, by ascending key."""
        self.topics.add((table.name, "prefix", prefix))
        self.at_least(max(table.floor, table.graves_index(prefix)))
        rows = [table.rows[key] for key in table.prefix_keys(prefix)]
        self.at_least(max(map(table.modified, rows), default=0))
        return rows

    def at_least(self, index: int) -> None:
        """Raise the index of the answer to ``index``."""
        self.index = max(self.index, index)
