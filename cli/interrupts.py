"""What a command does when it is told to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Interrupts:
    """SIGINT and SIGTERM as KeyboardInterrupt, which may be put off for a moment."""

    def __init__(self) -> None:
        self._held = False
        self._pending = False

    def interrupt(self, *_: object) -> None:
        """What the signals call."""
        if not self._held:
            raise KeyboardInterrupt
        self._pending = True

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Finish the block first, then interrupt: what it has started is known by then."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt


@contextmanager
def termination_interrupts() -> Iterator[Interrupts]:
    """Inside the block SIGTERM raises KeyboardInterrupt, as SIGINT does."""
    interrupts = Interrupts()
    before = {}
    with suppress(ValueError):  # not the main thread: signals are somebody else's
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, interrupts.interrupt)
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """The block runs until it is done or interrupted, and both are good ends."""
    with suppress(KeyboardInterrupt), termination_interrupts():
        yield
