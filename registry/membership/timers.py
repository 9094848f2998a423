"""What a core means to do later: a heap of instants, run when the driver says what time it is."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

Action = Callable[[float], None]
"""Called with the time it is now, which may be later than what was asked for."""


class Timer:
    """One thing to do; it can be called off."""

    __slots__ = ("action", "when")

    def __init__(self, when: float, action: Action | None) -> None:
        self.when = when
        self.action = action

    def cancel(self) -> None:
        """Never do it."""
        self.action = None


class Timers:
    """Timers in the order of their instants; those of one instant in the order they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0

    def at(self, when: float, action: Action) -> Timer:
        """Do ``action`` at ``when``."""
        timer = Timer(when, action)
        self._count += 1
        heappush(self._heap, (when, self._count, timer))
        if len(self._heap) > 64 and self._count % 1024 == 0:
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapify(self._heap)
        return timer

    def next_deadline(self) -> float | None:
        """When :meth:`run` next has work."""
        while self._heap and self._heap[0][2].action is None:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run(self, *, now: float) -> None:
        """Do all that is due; what it sets for ``now`` itself is done, too."""
        while (when := self.next_deadline()) is not None and when <= now:
            timer = heappop(self._heap)[2]
            action, timer.action = timer.action, None
            assert action is not None
            action(now)
