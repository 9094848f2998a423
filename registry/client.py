"""The servers as a client agent has them: far away, several, and not all of them always there.

The same interface as :class:`~.server.Server`, over RPC. Nothing is answered from here: every read
asks a server, which answers from its own state as fresh as was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import structlog

from lictor.raft.runtime import Runtime

from .answers import Answer, Answers
from .cluster.tags import ServerInfo
from .commands import SERVER, AnyCommand, Origin
from .errors import NoLeader, RegistryError
from .queries import Mode, Question
from .records import Session
from .rpc.connection import Callers
from .rpc.wire import (
    Call,
    Failed,
    Reading,
    Renew,
    Returned,
    Standing,
    Status,
    Write,
    raised,
    reading_call,
    result_of,
    value_of,
)
from .state.store import State

log = structlog.get_logger("client")

NO_SERVERS: Final = "No known Consul servers"
"""Source: Consul's words of a client agent that knows no server."""

HOLD_STEP: Final = 0.1
"""Seconds between two rounds through the servers."""


class RemoteServers:
    """Every server of the data centre behind one interface.

    Calls go to one server for as long as it answers, so that its connection and its answers are
    shared; to the next one when it does not. ``servers`` lists those that are alive.
    """

    def __init__(
        self, runtime: Runtime, servers: Callable[[], Sequence[ServerInfo]], *, hold: float
    ) -> None:
        self._clock = runtime.clock
        self._rng = Random(runtime.rng.getrandbits(64))  # noqa: S311 - spreads load, no secret
        self._servers = servers
        self._callers = Callers(runtime.network)
        self._hold = hold
        self._preferred = ""
        self._owner = Answers(State())
        self._standing = Standing(0, (), ())
        self.known_leader = False
        """Whether the server that answered last knew a leader."""
        self.last_contact = 0.0
        """Seconds since that server had heard from the leader."""

    async def close(self) -> None:
        """End every connection."""
        await self._callers.close()

    # -- the interface ----------------------------------------------------------------------------

    async def write(self, command: AnyCommand, origin: Origin = SERVER) -> object:
        """See :class:`~.server.Registry`."""
        return result_of(await self._call(Write(command, origin)))

    def ask(self, question: Question) -> Answer:
        """There is no state here to answer from.

        Raises:
            NoLeader: always; use :meth:`read`.
        """
        raise NoLeader("No cluster leader")

    def may_answer(self) -> bool:
        """Never: see :meth:`ask`."""
        return False

    async def read(
        self, question: Question, *, mode: Mode = "default", index: int = 0, wait: float = 0.0
    ) -> Answer:
        """See :class:`~.server.Registry`. The answer is not kept true, so it is not ``live``."""
        call = reading_call(question, mode=mode, index=index, wait=wait)
        reading: Reading = result_of(await self._call(call), Reading)
        self.known_leader = reading.known_leader
        self.last_contact = reading.last_contact
        answer = Answer(question, value_of(question, reading), reading.index, set(), self._owner)
        answer.live = False
        return answer

    async def renew_session(self, session: str) -> Session:
        """Start a session's lease again."""
        renewed: Session = result_of(await self._call(Renew(session)), Session)
        return renewed

    async def refresh(self) -> None:
        """Ask a server for the leader and the peers.

        Raises:
            RegistryError: no server answers.
        """
        self._standing = result_of(await self._call(Status()), Standing)

    @property
    def leader_address(self) -> str:
        """``host:port`` of the leader, when :meth:`refresh` asked last."""
        return self._standing.leader

    def peers(self) -> list[str]:
        """``host:port`` of every member, when :meth:`refresh` asked last."""
        return list(self._standing.peers)

    @property
    def known_servers(self) -> int:
        """How many servers are alive."""
        return len(self._servers())

    # -- calling ----------------------------------------------------------------------------------

    def _in_order(self) -> list[str]:
        """The servers' addresses, the preferred one first, the rest in any order."""
        addresses = sorted(server.rpc_address for server in self._servers())
        self._rng.shuffle(addresses)
        if self._preferred in addresses:
            addresses.remove(self._preferred)
            addresses.insert(0, self._preferred)
        return addresses

    async def _call(self, call: Call) -> Returned:
        """Have some server carry out ``call``. Only what surely was not done is tried again.

        Raises:
            NoLeader: no server is known, or none could do it in time.
            RegistryError: what the server answered.
        """
        until = self._clock.now() + self._hold
        while True:
            addresses = self._in_order()
            if not addresses:
                raise NoLeader(NO_SERVERS)
            for address in addresses:
                try:
                    outcome = await self._callers.call(address, call)
                except OSError as error:
                    log.warning("server not reached", server=address, error=str(error))
                    continue
                if isinstance(outcome, Returned):
                    self._preferred = address
                    return outcome
                if isinstance(outcome, Failed):
                    raise raised(outcome)
            if self._clock.now() >= until:
                raise NoLeader("No cluster leader")
            await self._clock.sleep(HOLD_STEP)


__all__ = ["NO_SERVERS", "RegistryError", "RemoteServers"]
