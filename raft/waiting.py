"""Who waits for what: the futures of proposals, of reads, and of indexes to be applied.

Invariants
    W1  A proposal's future is resolved once, by the entry that was applied at its index.
    W2  "Not committed" is never said on a guess: what is not known is OutcomeUnknown.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeVar

from .core import Core
from .errors import NotLeader, RaftError
from .membership import ChangeSet
from .reads import ReadState

T = TypeVar("T")


class Proposals:
    """What callers proposed. A command costs its future and a place in two lists, no more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._commands: list[bytes] = []
        self._proposers: list[asyncio.Future[object]] = []
        self._changes: list[tuple[ChangeSet, asyncio.Future[object]]] = []
        self._appended: deque[tuple[int, int, asyncio.Future[object]]] = deque()

    def __len__(self) -> int:
        return len(self._appended) + len(self._commands)

    def add(self, command: bytes) -> asyncio.Future[object]:
        """Queue ``command`` for the next batch."""
        future: asyncio.Future[object] = self._loop.create_future()
        self._commands.append(command)
        self._proposers.append(future)
        return future

    def add_change(self, changes: ChangeSet) -> asyncio.Future[object]:
        """Queue a membership change."""
        future: asyncio.Future[object] = self._loop.create_future()
        self._changes.append((changes, future))
        return future

    def append(self, core: Core, limit: int) -> int:
        """Append what is queued, at most ``limit`` commands; how many commands were."""
        for changes, future in self._changes:
            try:
                term, index = core.propose_change(changes)
            except RaftError as error:
                _fail(future, error)
            else:
                self._appended.append((index, term, future))
        self._changes.clear()
        if not self._commands:
            return 0
        batch, self._commands = self._commands[:limit], self._commands[limit:]
        proposers, self._proposers = self._proposers[:limit], self._proposers[limit:]
        try:
            term, first = core.propose(batch)
        except RaftError as error:
            for future in proposers:
                _fail(future, error)
            return 0
        self._appended.extend([(at, term, future) for at, future in enumerate(proposers, first)])
        return len(batch)

    @property
    def is_queued(self) -> bool:
        """Whether something waits to be appended."""
        return bool(self._commands)

    def resolve(self, index: int, term: int, result: object, leader: int | None) -> None:
        """The entry at ``index`` was applied, and it is of ``term``."""
        appended = self._appended
        if not appended or appended[0][0] != index:
            return
        _, proposed_in, future = appended.popleft()
        if proposed_in != term:
            _fail(future, NotLeader(leader))  # another took its place: surely not committed
        elif isinstance(result, Exception):
            _fail(future, result)
        elif not future.done():
            future.set_result(result)

    def give_up(self, error: RaftError, leader: int | None) -> None:
        """``error`` for what was appended (W2); what was not, surely is not committed."""
        for _, _, future in self._appended:
            _fail(future, error)
        self._appended.clear()
        for future in [*self._proposers, *(future for _, future in self._changes)]:
            _fail(future, NotLeader(leader))
        self._commands.clear()
        self._proposers.clear()
        self._changes.clear()


class _Read:
    """A read that waits for its index."""

    __slots__ = ("deadline", "future", "started")

    def __init__(self, future: asyncio.Future[int], deadline: float) -> None:
        self.future = future
        self.deadline = deadline
        self.started = 0.0


class Reads:
    """Linearizable reads. Those that wait when a round starts share it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._new: list[_Read] = []
        self._asked: dict[int, list[_Read]] = {}
        self._context = 0

    def add(self, deadline: float) -> asyncio.Future[int]:
        """A read whose index must be known by ``deadline``."""
        future: asyncio.Future[int] = self._loop.create_future()
        self._new.append(_Read(future, deadline))
        return future

    def ask(self, core: Core, now: float) -> None:
        """Ask for the index of every read that was not asked for yet."""
        if not self._new:
            return
        reads, self._new = self._new, []
        waiting = []
        for read in reads:
            if read.future.done():
                continue
            if now >= read.deadline:
                _fail(read.future, NotLeader(None))
            else:
                read.started = now
                waiting.append(read)
        if waiting:
            self._context += 1
            self._asked[self._context] = waiting
            with suppress(NotLeader):  # there may be a leader before their deadline
                core.read_index(self._context)

    def answer(self, states: Iterable[ReadState]) -> None:
        """The index of some reads is known."""
        for state in states:
            for read in self._asked.pop(state.context, ()):
                if not read.future.done():
                    read.future.set_result(state.index)

    def ask_again(self, now: float, *, after: float) -> None:
        """Ask again for what was asked ``after`` seconds ago: the question may be lost."""
        for context, reads in list(self._asked.items()):
            if now - reads[0].started > after:
                self._new.extend(self._asked.pop(context))

    def give_up(self) -> None:
        """Nobody will answer."""
        for reads in [self._new, *self._asked.values()]:
            for read in reads:
                _fail(read.future, NotLeader(None))
        self._new = []
        self._asked.clear()


class Appliers:
    """Those that wait until an index is applied here."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def wait(self, index: int) -> asyncio.Future[None]:
        """Done once ``index`` is applied."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((index, future))
        return future

    def applied(self, index: int) -> None:
        """Everything up to ``index`` is applied."""
        if not self._waiting:
            return
        due = [future for at, future in self._waiting if at <= index]
        self._waiting = [waiting for waiting in self._waiting if waiting[0] > index]
        for future in due:
            if not future.done():
                future.set_result(None)

    def give_up(self) -> None:
        """Nothing more will be applied."""
        for _, future in self._waiting:
            _fail(future, NotLeader(None))
        self._waiting = []


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
