"""Lamport clocks: an order of what happens in the pool, without a common time.

Source: Lamport 1978, "Time, Clocks, and the Ordering of Events in a Distributed System".
"""

from __future__ import annotations

from typing import Final

from .errors import MalformedMessage

LAST: Final = 1 << 62
"""Nobody gets here by counting; who claims it would stop the clock of everybody."""


class LamportClock:
    """Counts events, and never falls behind what it has heard of."""

    def __init__(self) -> None:
        self.time = 1

    def increment(self) -> int:
        """One more event: its time."""
        self.time += 1
        return self.time

    def witness(self, time: int) -> None:
        """Somebody was at ``time``.

        Raises:
            MalformedMessage: nobody can be.
        """
        if time >= LAST:
            raise MalformedMessage("wrong Lamport time")
        self.time = max(self.time, time + 1)
