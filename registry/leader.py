"""What only a leader does: end sessions whose TTL has passed.

Follows the state through the topics of each batch; starts anew with each term.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from lictor.raft.runtime import Clock

from .commands import AnyCommand, DestroySession
from .durations import parse
from .errors import RegistryError
from .leases import Leases
from .machine import Machine
from .records import Session
from .state.table import Topic

log = structlog.get_logger("leader")

RETRY: float = 1.0
"""Seconds until a session that could not be ended is tried again."""


class SessionKeeper:
    """The leases of this server's leadership. Idle while another server leads."""

    def __init__(
        self,
        machine: Machine,
        clock: Clock,
        submit: Callable[[AnyCommand], Awaitable[object]],
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._submit = submit
        self._leases = Leases()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        machine.listen(self._follow)

    @property
    def active(self) -> int:
        """Sessions under a lease now."""
        return len(self._leases)

    def lead(self) -> None:
        """Take office: every session gets a whole lease from now."""
        self._renew_all()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._expire_leases())

    async def step_down(self) -> None:
        """Leave office; the next leader starts every lease anew."""
        task, self._task = self._task, None
        self._leases.clear()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def renew(self, session: Session) -> None:
        """Start the lease of ``session`` again."""
        ttl = ttl_of(session)
        if self._task is not None and ttl:
            self._leases.renew(session.id, ttl=ttl, now=self._clock.now())
            self._changed.set()

    def _renew_all(self) -> None:
        self._leases.clear()
        for session in self._machine.state.sessions.rows.values():
            ttl = ttl_of(session)
            if ttl:
                self._leases.renew(session.id, ttl=ttl, now=self._clock.now())
        self._changed.set()

    def _follow(self, topics: set[Topic]) -> None:
        if self._task is None:
            return
        if not topics:
            self._renew_all()
            return
        if ("sessions",) not in topics:
            return
        rows = self._machine.state.sessions.rows
        for topic in topics:
            if topic[:2] == ("sessions", "key"):
                session = rows.get(topic[2])
                if session is None:
                    self._leases.cancel(str(topic[2]))
                elif not self._leases.holds(session.id):
                    self.renew(session)

    async def _expire_leases(self) -> None:
        while True:
            self._changed.clear()
            await self._clock.wait(self._changed, until=self._leases.next_deadline())
            now = self._clock.now()
            for session in self._leases.expire(now=now):
                try:
                    await self._submit(DestroySession(session))
                    log.info("session expired", session=session)
                except RegistryError as error:
                    log.warning("session not ended", session=session, error=str(error))
                    self._leases.renew(session, ttl=RETRY / 2, now=now)


def ttl_of(session: Session) -> float:
    """The TTL in seconds; 0 for a session that lives until it is ended."""
    return parse(session.ttl) if session.ttl else 0.0
