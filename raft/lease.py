"""How long a leader may believe that nobody else leads.

A round of heartbeats that a quorum has answered is worth a part of the shortest election timeout,
counted from the moment it was *sent*: for so long each of those voters elects nobody else.

Source: Raft dissertation, section 6.4.1.
"""

from __future__ import annotations

from collections import deque

from .reads import ReadRounds


class Lease:
    """The lease of one leader, which is worth ``duration`` seconds of its own clock."""

    def __init__(self, duration: float) -> None:
        self._duration = duration
        self._until = 0.0
        self._round = 0
        self._sent: deque[tuple[int, float]] = deque()

    def holds(self, now: float) -> bool:
        """Whether it has not run out."""
        return now < self._until

    def follow(self, rounds: ReadRounds, now: float) -> None:
        """Note rounds that leave at ``now``, and what the answered ones are worth."""
        if rounds.round > self._round:
            self._round = rounds.round
            self._sent.append((rounds.round, now))
        sent: float | None = None
        while self._sent and self._sent[0][0] <= rounds.confirmed:
            sent = self._sent.popleft()[1]
        if sent is not None:
            self._until = max(self._until, sent + self._duration)

    def drop(self) -> None:
        """It ends now; only rounds that are sent from now on count."""
        self._until = 0.0
        self._sent.clear()

    def end(self) -> None:
        """The leader's term is over: the next one counts its rounds anew."""
        self.drop()
        self._round = 0
