"""Session leases: which sessions have outlived their TTL.

Sans-IO: time comes in as ``now``, the sessions that are due go out. ``leader.py`` runs it;
``tests/registry/test_leases.py`` holds it against a model that is only a dict.

Invariants
    I1  ``_deadlines`` has exactly the sessions that are alive and have a TTL.
    I2  ``_queue`` has every deadline set and not yet passed; an item that disagrees with
        ``_deadlines`` was renewed or cancelled since, and is skipped.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

LEASE_FACTOR: Final = 2.0
"""A lease lasts twice its TTL, so that no election can expire a live session.

Source: observed on Consul: a session of TTL 10 s ended after 20.3 s.
"""


class Leases:
    """The leases of one leader's term. A new leader starts empty and renews every session."""

    def __init__(self) -> None:
        self._deadlines: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._deadlines)

    def renew(self, session: str, *, ttl: float, now: float) -> None:
        """Start or restart the lease of ``session``. ``ttl`` is in seconds."""
        deadline = now + ttl * LEASE_FACTOR
        self._deadlines[session] = deadline
        heappush(self._queue, (deadline, session))

    def cancel(self, session: str) -> None:
        """End the lease of ``session`` without its being due; one that has none is fine."""
        self._deadlines.pop(session, None)

    def clear(self) -> None:
        """Forget every lease: leadership is lost, or the state was replaced."""
        self._deadlines.clear()
        self._queue.clear()

    def holds(self, session: str) -> bool:
        """Whether ``session`` has a lease."""
        return session in self._deadlines

    def next_deadline(self) -> float | None:
        """When :meth:`expire` next has work; ``None`` while there is no lease."""
        while self._queue:
            deadline, session = self._queue[0]
            if self._deadlines.get(session) == deadline:
                return deadline
            heappop(self._queue)  # I2: superseded
        return None

    def expire(self, *, now: float) -> list[str]:
        """Drop every lease due at or before ``now``; return its sessions, oldest deadline first."""
        expired: list[str] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            _, session = heappop(self._queue)
            del self._deadlines[session]
            expired.append(session)
        return expired
