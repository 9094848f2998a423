"""The state machine that Raft drives: committed entries in, results out, answers kept true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .answers import Answers
from .apply import apply
from .state.store import State
from .state.table import Topic


class Machine:
    """The replicated state of one server and the live answers over it."""

    def __init__(self) -> None:
        self.state = State()
        self.answers = Answers(self.state)
        self._listeners: list[Callable[[set[Topic]], None]] = []

    def listen(self, listener: Callable[[set[Topic]], None]) -> None:
        """Have ``listener`` called with the topics of every batch applied from here on.

        After a restored snapshot it is called with no topics: anything may have changed.
        """
        self._listeners.append(listener)

    def apply(self, entries: Sequence[tuple[int, bytes]]) -> Sequence[object]:
        """Apply committed entries, ascending by index; one result each, errors included."""
        results: list[object] = []
        touched: set[Topic] = set()
        for index, data in entries:
            result, topics = apply(self.state, data, index)
            results.append(result)
            touched |= topics
        if touched:
            self.answers.touch(touched)
            for listener in self._listeners:
                listener(touched)
        return results

    def snapshot(self) -> Callable[[Callable[[bytes], None]], None]:
        """Copy the state; the encoder returned may run in another thread."""
        return self.state.snapshot()

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Replace the whole state by a snapshot's, in one step once it is rebuilt."""
        self.state = State.restored(chunks)
        self.answers.reset(self.state)
        for listener in self._listeners:
            listener(set())
