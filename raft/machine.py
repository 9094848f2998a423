"""What is replicated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol


class StateMachine(Protocol):
    """What is replicated. Everything but the encoder and ``restore``'s input runs on the loop."""

    def apply(self, entries: Sequence[tuple[int, bytes]]) -> Sequence[object]:
        """Apply (index, command) pairs, ascending; one result each.

        An Exception instance as a result is raised to that command's proposer.
        """

    def snapshot(self) -> Callable[[Callable[[bytes], None]], None]:
        """Copy the state, cheaply; the returned encoder writes the copy from another thread."""

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Replace the whole state. The chunks' borders are not those of the writes."""
