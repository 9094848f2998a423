"""Which reads a leader may answer: it must hear from a quorum *after* they were asked.

Heartbeats are numbered in rounds by the leader itself. A read waits for a round that starts after
it; rounds are shared, at most one is started for reads at a time, and no number that a client made
up ever takes part (duplicated client numbers let etcd serve stale reads).

Source: Raft dissertation, section 6.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .quorum import committed


class ReadState(msgspec.Struct, frozen=True, gc=False):
    """The reads called ``context`` may be answered once ``index`` is applied."""

    context: int
    index: int


class PendingRead(msgspec.Struct, frozen=True, gc=False):
    """A read that waits for ``round``. ``origin`` is the member that asked."""

    context: int
    index: int
    origin: int
    round: int


class ReadRounds:
    """The rounds of one leader in one term."""

    def __init__(self) -> None:
        self.round = 0
        """The newest round that was started."""
        self.confirmed = 0
        """The newest round that a quorum answered."""
        self._acknowledged: dict[int, int] = {}
        self._pending: list[PendingRead] = []
        self._read_round = 0

    def start(self) -> int:
        """Begin the next round; its number goes into every heartbeat."""
        self.round += 1
        return self.round

    def add(self, context: int, index: int, origin: int) -> bool:
        """Let a read wait for the next round; return whether that must start at once."""
        self._pending.append(PendingRead(context, index, origin, self.round + 1))
        return self._start_needed()

    def acknowledge(
        self, member: int, number: int, *, me: int, voters: Sequence[int], outgoing: Sequence[int]
    ) -> list[PendingRead]:
        """``member`` answered round ``number``; the reads that are confirmed by it."""
        if number > self._acknowledged.get(member, 0):
            self._acknowledged[member] = min(number, self.round)
        self._acknowledged[me] = self.round
        confirmed = min(committed(voters, outgoing, self._acknowledged), self.round)
        self.confirmed = max(self.confirmed, confirmed)
        ready = [read for read in self._pending if read.round <= self.confirmed]
        if ready:
            self._pending = self._pending[len(ready) :]
        return ready

    def start_next(self) -> bool:
        """Whether reads wait for a round that was not started, and none for an earlier one."""
        return bool(self._pending) and self._start_needed()

    def _start_needed(self) -> bool:
        if self._read_round > self.confirmed or self._pending[-1].round <= self.round:
            return False
        self._read_round = self.round + 1
        return True
