"""An event loop in virtual time: waiting costs nothing, and nothing runs at the same time.

Asyncio code of the shipped agent runs on it unchanged. There are no sockets and no threads: what is
given to an executor runs at once, in the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar, TypeVarTuple

from typing_extensions import override

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Stalled(Exception):
    """Everybody waits for something that can never happen: a deadlock in the simulated world."""


class _Selector:
    """Where a real loop would wait for sockets, time passes at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stalled("nothing is left to happen, and the world still waits")
        if timeout > 0:
            self.now += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Time starts at 0.0 and jumps from one scheduled thing to the next."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()
        self._clock_resolution = 1e-9
        self.owner: contextvars.ContextVar[Any] = contextvars.ContextVar("owner", default=None)
        """Whose code is running; inherited by every task and callback."""
        self.tasks: dict[int, tuple[Any, asyncio.Task[Any]]] = {}
        """Unfinished tasks with their owners, in the order they were made."""
        self._made = 0
        self.set_task_factory(self._make_task)

    @override
    def time(self) -> float:
        """Virtual time, in seconds."""
        return self._selector.now

    @override
    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run ``func`` at once: a thread would make two runs differ."""
        del executor
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
            done.set_exception(error)
        return done

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coroutine, loop=loop, context=context)
        self._made += 1
        number = self._made
        owner = self.owner.get() if context is None else context.get(self.owner)
        self.tasks[number] = (owner, task)
        task.add_done_callback(lambda _: self.tasks.pop(number, None))
        return task

    def _process_events(self, event_list: list[Any]) -> None:
        del event_list

    def _write_to_self(self) -> None:
        pass  # nobody else's thread has to be woken
