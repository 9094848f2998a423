"""How well we are ourselves: whoever misses answers may be the slow one.

Source: Lifeguard (Dadgar, Phillips, Currey 2018), "Local Health Multiplier".
"""

from __future__ import annotations


class Awareness:
    """A score from 0, healthy, to one below ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.score = 0

    def change(self, delta: int) -> None:
        """Raise the score for signs of our own slowness, lower it for answers in time."""
        self.score = min(max(self.score + delta, 0), self._limit - 1)

    def stretch(self, timeout: float) -> float:
        """``timeout``, longer the worse we are."""
        return timeout * (self.score + 1)
