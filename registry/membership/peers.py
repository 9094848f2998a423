"""Whom we know in the pool, and in which order they are probed.

Invariants
    P1  ``_ring`` has each name of ``by_name`` exactly once, in random order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from . import addresses
from .addresses import Address
from .messages import MemberState, State
from .suspicion import Suspicion
from .timers import Timer

FEW: Final = 32
"""Up to so many members are all looked at when some are to be chosen."""

VERSIONS: Final = 6
"""Numbers that describe what a member speaks: min, max and current of two layers."""


@dataclass(slots=True)
class Peer:
    """What we believe of one member, ourselves among them. Replaced in place."""

    name: str
    address: Address
    meta: bytes
    vsn: bytes
    incarnation: int
    state: State
    changed: float
    """When ``state`` last became what it is."""
    suspicion: Suspicion | None = None
    timer: Timer | None = None
    """When it is declared dead."""

    @property
    def gone(self) -> bool:
        """Whether it is dead, or has left."""
        return self.state in (State.DEAD, State.LEFT)

    def speaks(self, version: int) -> bool:
        """Whether it understands protocol ``version``."""
        return len(self.vsn) >= 2 and self.vsn[1] >= version

    def forget_suspicion(self) -> None:
        """It is no longer suspected."""
        if self.timer is not None:
            self.timer.cancel()
        self.suspicion = self.timer = None

    def snapshot(self) -> MemberState:
        """What a push-pull says of it."""
        return MemberState(
            name=self.name,
            addr=addresses.to_bytes(self.address[0]),
            port=self.address[1],
            meta=self.meta,
            incarnation=self.incarnation,
            state=int(self.state),
            vsn=self.vsn,
        )


class Peers:
    """All members by name. Those long dead leave when the ring has been gone round."""

    def __init__(self, own_name: str, rng: Random) -> None:
        self.by_name: dict[str, Peer] = {}
        self._own_name = own_name
        self._rng = rng
        self._ring: list[str] = []
        self._position = 0

    def __len__(self) -> int:
        return len(self.by_name)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self.by_name.values())

    def add(self, peer: Peer) -> None:
        """Know ``peer``; its turn to be probed comes at random."""
        self.by_name[peer.name] = peer
        self._ring.insert(self._rng.randint(0, len(self._ring)), peer.name)

    def next_to_probe(self, *, forget_before: float) -> Peer | None:
        """The next in the ring that may be alive; ``None`` when there is none.

        Whoever was gone before the instant ``forget_before`` is forgotten at the ring's end.
        """
        for _ in range(len(self._ring) + 1):
            if self._position >= len(self._ring):
                self._begin_again(forget_before)
                if not self._ring:
                    return None
            peer = self.by_name[self._ring[self._position]]
            self._position += 1
            if peer.name != self._own_name and not peer.gone:
                return peer
        return None

    def _begin_again(self, forget_before: float) -> None:
        for name, peer in list(self.by_name.items()):
            if peer.gone and name != self._own_name and peer.changed < forget_before:
                del self.by_name[name]
        self._ring = list(self.by_name)  # P1
        self._rng.shuffle(self._ring)
        self._position = 0

    def choose(self, count: int, fits: Callable[[Peer], bool]) -> list[Peer]:
        """Up to ``count`` other members that fit, at random; fewer where they are hard to find."""
        ring = self._ring
        if len(ring) <= FEW:
            fitting = [peer for peer in self if peer.name != self._own_name and fits(peer)]
            return self._rng.sample(fitting, min(count, len(fitting)))
        chosen: list[Peer] = []
        for _ in range(3 * len(ring)):
            if len(chosen) == count:
                break
            peer = self.by_name[ring[int(self._rng.random() * len(ring))]]
            if peer.name != self._own_name and peer not in chosen and fits(peer):
                chosen.append(peer)
        return chosen
