"""What a leader knows of one follower, and how much it may send it.

A follower is *probed* (one message, then silence until it answers) until its log is known to match;
then entries are *replicated* ahead of the answers, within a window; or it waits for a *snapshot*.

Invariant
    P1  match < next, and nothing at or below match is ever sent again.

Source: etcd's Raft, whose traces in ``tests/raft/testdata`` this must reproduce.
"""

from __future__ import annotations

from collections import deque
from enum import Enum


class ProgressState(Enum):
    """How entries flow to a follower."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Inflights:
    """The messages under way to one follower, by the index each ends at."""

    __slots__ = ("_bytes", "_limit", "_limit_bytes", "_window")

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._window: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        return len(self._window)

    @property
    def full(self) -> bool:
        """Whether nothing more may leave. The message that fills the window still does."""
        return len(self._window) >= self._limit or self._bytes >= self._limit_bytes

    def add(self, index: int, size: int) -> None:
        """A message that ends at ``index`` left, with ``size`` bytes of entries."""
        self._window.append((index, size))
        self._bytes += size

    def free_to(self, index: int) -> None:
        """Every message that ends at or before ``index`` has arrived."""
        window = self._window
        while window and window[0][0] <= index:
            self._bytes -= window.popleft()[1]

    def clear(self) -> None:
        """Forget everything that is under way."""
        self._window.clear()
        self._bytes = 0


class Progress:
    """One follower, as its leader sees it."""

    __slots__ = (
        "active",
        "inflights",
        "match",
        "next",
        "paused",
        "pending_snapshot",
        "sent_commit",
        "state",
    )

    def __init__(self, *, match: int, next_index: int, inflights: Inflights, active: bool) -> None:
        self.match = match
        self.next = next_index
        self.state = ProgressState.PROBE
        self.inflights = inflights
        self.active = active
        """Heard from since the last check of the quorum."""
        self.paused = False
        """Send no entries until it answers."""
        self.pending_snapshot = 0
        self.sent_commit = 0
        """The highest commit index on its way to it."""

    @property
    def is_paused(self) -> bool:
        """Whether nothing may be sent but heartbeats."""
        return self.paused or self.state is ProgressState.SNAPSHOT

    def become_probe(self) -> None:
        """Find out where its log matches, one message at a time."""
        after_snapshot = self.pending_snapshot if self.state is ProgressState.SNAPSHOT else 0
        self._reset(ProgressState.PROBE)
        self.next = max(self.match, after_snapshot) + 1
        self.sent_commit = min(self.sent_commit, self.next - 1)

    def become_replicate(self) -> None:
        """Its log matches up to ``match``: send ahead."""
        self._reset(ProgressState.REPLICATE)
        self.next = self.match + 1

    def become_snapshot(self, index: int) -> None:
        """It was offered the snapshot at ``index``."""
        self._reset(ProgressState.SNAPSHOT)
        self.pending_snapshot = index
        self.next = index + 1
        self.sent_commit = index

    def _reset(self, state: ProgressState) -> None:
        self.paused = False
        self.pending_snapshot = 0
        self.state = state
        self.inflights.clear()

    def sent_entries(self, count: int, size: int) -> None:
        """``count`` entries of ``size`` bytes left; 0 for an append that only tells the commit."""
        if self.state is ProgressState.REPLICATE:
            if count:
                self.next += count
                self.inflights.add(self.next - 1, size)
            # an append into a full window is a probe: it may leave once per heartbeat's answer
            self.paused = self.inflights.full
        elif count:
            self.paused = True

    def can_bump_commit(self, commit: int) -> bool:
        """Whether an empty append with ``commit`` would tell it something new."""
        return commit > self.sent_commit and self.sent_commit < self.next - 1

    def maybe_update(self, index: int) -> bool:
        """It holds everything up to ``index``; return whether that is news."""
        if index <= self.match:
            return False
        self.match = index
        self.next = max(self.next, index + 1)  # P1
        self.paused = False
        return True

    def maybe_decrease(self, rejected: int, hint: int) -> bool:
        """It rejected the append after ``rejected``; return whether that is news.

        ``hint`` is the last index where the logs may still match.
        """
        if self.state is ProgressState.REPLICATE:
            if rejected <= self.match:  # P1: an answer that was overtaken
                return False
            self.next = self.match + 1
        else:
            if self.next - 1 != rejected:
                return False
            self.next = max(min(rejected, hint + 1), self.match + 1)
            self.paused = False
        self.sent_commit = min(self.sent_commit, self.next - 1)
        return True
