"""The fast lane: replies kept as bytes, given again while what they rest on has not changed.

A reply is kept under everything of its question's packet behind the id. One that lists several
instances is kept in several orders, each encoded when first needed, and an order is drawn for every
client; after a while all are made anew, so that no order lasts.

Invariants
    I1  A kept reply is given only while all it rests on is live, in the second it tells, if any,
        and while the registry lets old answers be given.
    I2  ``_bytes`` is the sum of ``Kept.cost`` of all kept, and at most ``max_bytes`` after a call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random
from typing import Final, TypeVar

from lictor.registry.answers import Answer

T = TypeVar("T")

MAX_KEPT: Final = 8192
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_KEY: Final = 512
"""Bytes of a question worth keeping a reply for."""

ORDERS_BYTES: Final = 64 * 1024
"""What all orders of one reply may take together."""

MAX_ORDERS: Final = 64
FEW: Final = 3
"""Up to so many instances, every order is kept."""

ORDER_USES: Final = 64
"""How often each order is given, on average, before all are made anew."""

FOR_EVER: Final = 2**62
"""Uses of a reply that has one order only."""

_OVERHEAD: Final = 400
"""Bytes reckoned for one kept reply besides its packets."""


class Spread:
    """Orders for the same instances, in which each comes first equally often."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._all: list[tuple[int, ...]] = []
        self._base: list[int] = []
        self._turn = 0

    def order(self, items: Sequence[T]) -> Sequence[T]:
        """``items`` in the next order."""
        size = len(items)
        if size < 2:
            return items
        if size <= FEW:
            if not self._all or len(self._all[0]) != size:
                self._all = list(permutations(range(size)))
                self._rng.shuffle(self._all)
                self._turn = 0
            chosen: Sequence[int] = self._all[self._turn % len(self._all)]
        else:
            at = self._turn % size
            if at == 0 or len(self._base) != size:
                self._base = list(range(size))
                self._rng.shuffle(self._base)
                at = self._turn = 0
            chosen = self._base[at:] + self._base[:at]
        self._turn += 1
        return [items[place] for place in chosen]


def orders_wanted(instances: int, size: int) -> int:
    """How many orders of ``instances`` are kept of a reply of ``size`` bytes."""
    if instances < 2:
        return 1
    if instances <= FEW:
        return 2 if instances == 2 else 6
    rounds = -(-16 // instances)
    return max(1, min(instances * rounds, MAX_ORDERS, ORDERS_BYTES // size))


class Kept:
    """One reply in its orders, without ids."""

    __slots__ = ("answers", "cost", "left", "second", "spread", "wanted", "wires")

    def __init__(
        self,
        answers: tuple[Answer, ...],
        second: int,
        wanted: int,
        left: int,
        spread: Spread,
        cost: int,
    ) -> None:
        self.answers = answers
        self.second = second
        """The second that it tells, since the Unix epoch; 0 for a reply that tells no time."""
        self.wanted = wanted
        """How many orders it should have."""
        self.spread = spread
        self.wires: list[bytes] = []
        self.left = left
        self.cost = cost


class Lane:
    """The kept replies of one transport."""

    def __init__(
        self,
        rng: Random,
        wall: Callable[[], float],
        may_answer: Callable[[], bool],
        *,
        max_kept: int = MAX_KEPT,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.hits = 0
        self._random = rng.random
        self._rng = rng
        self._wall = wall
        self._may_answer = may_answer
        self._max_kept = max_kept
        self._max_bytes = max_bytes
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """What the kept replies are reckoned to hold."""
        return self._bytes

    def find(self, key: bytes) -> bytes | None:
        """A reply without its id to the question ``key``, if one is kept and may be given."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        wires = kept.wires
        count = len(wires)
        if count < kept.wanted:
            return None
        kept.left -= 1
        for answer in kept.answers:  # I1, spelt out: this is the whole cost of a hit
            if not answer.live:
                break
        else:
            second = kept.second
            if (
                kept.left >= 0
                and self._may_answer()
                and (not second or second == int(self._wall()))
            ):
                self._kept.move_to_end(key)
                self.hits += 1
                return wires[int(self._random() * count)] if count > 1 else wires[0]
        self._drop(key)
        return None

    def spread(self, key: bytes) -> Spread:
        """The orders for the next reply to ``key``: those under way, or new ones."""
        kept = self._kept.get(key)
        if kept is None:
            return Spread(self._rng)
        if not self._is_true(kept):
            self._drop(key)
            return Spread(self._rng)
        return kept.spread

    def keep(
        self,
        key: bytes,
        wire: bytes,
        answers: Sequence[Answer],
        *,
        second: int,
        instances: int,
        spread: Spread,
    ) -> None:
        """Keep ``wire``, a reply without its id, made in the order that ``spread`` gave.

        What it rests on may have changed since it was made; then it is not kept.
        """
        if len(key) > MAX_KEY or not all(answer.live for answer in answers):
            return
        kept = self._kept.get(key)
        if kept is not None and (kept.second != second or not self._is_true(kept)):
            self._drop(key)
            kept = None
        if kept is None:
            cost = _OVERHEAD + len(key)
            wanted = orders_wanted(instances, len(wire))
            left = wanted * ORDER_USES if instances > 1 else FOR_EVER
            kept = Kept(tuple(answers), second, wanted, left, spread, cost)
            self._kept[key] = kept
            self._bytes += cost
        if len(kept.wires) >= kept.wanted:
            return
        kept.wires.append(wire)
        kept.cost += len(wire)
        self._bytes += len(wire)
        while self._bytes > self._max_bytes or len(self._kept) > self._max_kept:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget every reply."""
        self._kept.clear()
        self._bytes = 0

    def _is_true(self, kept: Kept) -> bool:
        for answer in kept.answers:
            if not answer.live:
                return False
        if kept.second and kept.second != int(self._wall()):
            return False
        return self._may_answer()

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.cost
