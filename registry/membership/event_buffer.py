"""User events and queries seen lately, so that each is taken once however often it comes.

Invariants
    E1  The slot of a Lamport time holds what belongs to that time, or to one long past or later.
    E2  A slot holds at most ``MAX_AT_ONE_TIME`` entries.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from .errors import MalformedMessage

MAX_AT_ONE_TIME: Final = 64

EntryT = TypeVar("EntryT", bound=Hashable)


class RecentEntries(Generic[EntryT]):
    """A ring of the last ``size`` Lamport times."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._slots: dict[int, tuple[int, list[EntryT]]] = {}
        self.least = 0
        """What is older than this is not taken."""

    def take(self, ltime: int, entry: EntryT, *, newest: int) -> bool:
        """Whether ``entry`` is new, in a pool whose clock shows ``newest``.

        Raises:
            MalformedMessage: too much claims to have happened at one time.
        """
        if ltime < self.least or (newest > self._size and ltime < newest - self._size):
            return False
        index = ltime % self._size
        at, entries = self._slots.get(index, (ltime, []))
        if at != ltime:
            if at > ltime:
                return False
            entries = []
        if entry in entries:
            return False
        if len(entries) >= MAX_AT_ONE_TIME:
            raise MalformedMessage("too many at one time")  # E2
        self._slots[index] = (ltime, [*entries, entry])
        return True

    def all(self) -> list[tuple[int, list[EntryT]]]:
        """Everything kept, by Lamport time, ascending."""
        return sorted(self._slots.values(), key=lambda slot: slot[0])
