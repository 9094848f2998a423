"""What is still to be told, the least often told first.

Invariants
    B1  ``_order`` is sorted by (times sent, longest first, newest first), so that new and large
        messages have the first choice of the space in a packet.
    B2  at most one message of each name: a newer one about the same member replaces it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from math import ceil, log10
from typing import Final

SMALLEST: Final = 24
"""Bytes; in less space than this no message fits, and none is looked for."""

Done = Callable[[], None]


def retransmit_limit(mult: int, members: int) -> int:
    """How often a message is sent in a pool of ``members``."""
    return mult * ceil(log10(members + 1))


class Broadcast:
    """One message and how often it was sent."""

    __slots__ = ("done", "message", "name", "number", "sent")

    def __init__(self, name: str | None, message: bytes, number: int, done: Done | None) -> None:
        self.name = name
        self.message = message
        self.number = number
        self.done = done
        self.sent = 0

    def __lt__(self, other: Broadcast) -> bool:
        if self.sent != other.sent:
            return self.sent < other.sent
        if len(self.message) != len(other.message):
            return len(self.message) > len(other.message)
        return self.number > other.number

    def finish(self) -> None:
        """Tell whoever waits that it was sent often enough, or replaced."""
        if self.done is not None:
            self.done()


class Broadcasts:
    """A queue of messages for the pool, holding at most ``depth``."""

    def __init__(self, *, mult: int, members: Callable[[], int], depth: int) -> None:
        self._mult = mult
        self._members = members
        self._depth = depth
        self._order: list[Broadcast] = []
        self._named: dict[str, Broadcast] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._order)

    def add(self, message: bytes, *, name: str | None = None, done: Done | None = None) -> None:
        """Queue ``message``. ``done`` is called when it was sent often enough, or replaced."""
        self._count += 1
        broadcast = Broadcast(name, message, self._count, done)
        if name is not None:
            old = self._named.get(name)
            if old is not None:
                self._order.remove(old)  # B2
                old.finish()
            self._named[name] = broadcast
        insort(self._order, broadcast)
        if len(self._order) > self._depth:
            self._drop(self._order[-1])

    def take(self, *, overhead: int, limit: int) -> list[bytes]:
        """Messages for one packet, each taking ``overhead`` beside itself, ``limit`` in all."""
        if not self._order:
            return []
        transmits = retransmit_limit(self._mult, self._members())
        taken: list[Broadcast] = []
        for broadcast in self._order:
            if limit < SMALLEST:
                break
            size = overhead + len(broadcast.message)
            if size <= limit:
                limit -= size
                taken.append(broadcast)
        if taken:
            chosen = set(map(id, taken))
            self._order = [each for each in self._order if id(each) not in chosen]
        for broadcast in taken:
            broadcast.sent += 1
            if broadcast.sent >= transmits:
                self._forget(broadcast)
                broadcast.finish()
            else:
                insort(self._order, broadcast)  # B1
        return [broadcast.message for broadcast in taken]

    def _drop(self, broadcast: Broadcast) -> None:
        self._order.remove(broadcast)
        self._forget(broadcast)
        broadcast.finish()

    def _forget(self, broadcast: Broadcast) -> None:
        if broadcast.name is not None and self._named.get(broadcast.name) is broadcast:
            del self._named[broadcast.name]
