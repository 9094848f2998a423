"""The server role: writes go through Raft, questions are answered from the state.

Agent, HTTP and DNS know a server by this interface; a client agent offers the same over RPC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol, cast

import structlog

from lictor.raft.errors import Busy, EntryTooLarge, NotLeader, OutcomeUnknown
from lictor.raft.node import Node
from lictor.raft.runtime import Runtime

from .answers import Answer
from .commands import SERVER, AnyCommand, Entry, Origin, encode
from .errors import NoLeader, NotFound, Overloaded, RegistryError, TooLarge, Unavailable
from .leader import SessionKeeper
from .machine import Machine
from .queries import Mode, Question
from .reconcile import Member, registration
from .records import Session
from .rpc.connection import Callers
from .rpc.wire import (
    Call,
    Elsewhere,
    Failed,
    Outcome,
    Read,
    Reading,
    Renew,
    Returned,
    Standing,
    Status,
    Write,
    encoded,
    failed,
    question_of,
    raised,
    result_of,
    returned,
)

log = structlog.get_logger("server")

DEFAULT_WAIT: Final = 300.0
MAX_WAIT: Final = 600.0
HOLD_STEP: Final = 0.05
"""Seconds between two looks for a leader."""

RECONCILE_RETRY: Final = 1.0
WAIT_JITTER: Final = 16
"""A blocking query may last up to one part in this many longer than asked, so that herds spread."""


class Registry(Protocol):
    """What an agent, local or remote to the servers, can be asked."""

    async def write(self, command: AnyCommand, origin: Origin = SERVER) -> object:
        """Replicate ``command`` and return its result once it is durable and applied.

        Raises:
            RegistryError: refused, no leader, overloaded, or the outcome is unknown.
        """

    def ask(self, question: Question) -> Answer:
        """The answer from this server's own state, now.

        Raises:
            NoLeader: nobody can promise that the state is fresh; see :meth:`may_answer`.
        """

    async def read(
        self,
        question: Question,
        *,
        mode: Mode = "default",
        index: int = 0,
        wait: float = 0.0,
    ) -> Answer:
        """The answer, as fresh as ``mode`` asks.

        With an ``index`` above 0 it waits until the answer's own exceeds it, at most ``wait``
        seconds (0: five minutes; bounded by ten) and a little more.
        """

    def may_answer(self) -> bool:
        """Whether :meth:`ask` may be used for a default read now."""


class Server:
    """One server: a Raft member, the state it replicates, and the leader's duties."""

    def __init__(
        self,
        *,
        node: Node,
        machine: Machine,
        runtime: Runtime,
        member: Member,
        hold: float = 7.0,
    ) -> None:
        """``hold``: seconds that a request waits for a leader to be elected."""
        self._node = node
        self._machine = machine
        self._runtime = runtime
        self._member = member
        self._address = f"{member.address}:{member.server_port}"
        self._hold = hold
        self.founders: tuple[int, ...] = ()
        """Raft ids of the servers, this one among them, that would begin a cluster with it."""
        self._callers = Callers(runtime.network)
        self._last_time = 0
        self.sessions = SessionKeeper(machine, runtime.clock, self.write)
        self._duties: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Recover, and take part; a single voter leads when this returns."""
        self._node.on_leadership(self._leadership)
        await self._node.start()

    async def close(self) -> None:
        """Leave office and stop. What was acknowledged is on disk."""
        for duty in tuple(self._duties):
            duty.cancel()
        await asyncio.gather(*self._duties, return_exceptions=True)
        await self.sessions.step_down()
        await self._callers.close()
        await self._node.close()

    async def hand_over(self) -> None:
        """Let another server lead, if this one does and there is another."""
        await self._node.hand_over()

    # -- the Registry interface -------------------------------------------------------------------

    async def write(self, command: AnyCommand, origin: Origin = SERVER) -> object:
        """See :class:`Registry`. Where another server leads, it is asked to."""
        try:
            return await self._propose(command, origin)
        except NotLeader:
            return result_of(await self._ask_leader(Write(command, origin)))

    async def _propose(self, command: AnyCommand, origin: Origin) -> object:
        """Replicate ``command`` as the leader.

        Raises:
            NotLeader: this server does not lead; surely nothing was done.
            RegistryError: refused, overloaded, or the outcome is unknown.
        """
        now = int(self._runtime.clock.wall() * 1e9)
        self._last_time = max(self._last_time, now)  # the log's time never goes back
        entry = encode(Entry(self._last_time, origin, command))
        try:
            return await self._node.propose(entry)
        except Busy as error:
            raise Overloaded(str(error)) from error
        except EntryTooLarge as error:
            raise TooLarge(str(error)) from error
        except OutcomeUnknown as error:
            raise Unavailable(str(error)) from error

    async def _ask_leader(self, call: Call) -> Returned:
        """Have the leader carry out ``call``; wait for one to be elected, but not for ever.

        Only what surely was not done is tried again: whoever asked decides about the rest.

        Raises:
            NoLeader: none was found in time.
            RegistryError: what the leader answered.
        """
        clock = self._runtime.clock
        until = clock.now() + self._hold
        while True:
            outcome: Outcome = Elsewhere("")
            leader = self.leader_address
            if self._node.is_leader:
                outcome = await self.handle(call)
            elif leader:
                with suppress(OSError):  # not reached: surely not done
                    outcome = await self._callers.call(leader, call)
            if isinstance(outcome, Returned):
                return outcome
            if isinstance(outcome, Failed):
                raise raised(outcome)
            if clock.now() >= until:
                raise NoLeader("No cluster leader")
            await clock.sleep(HOLD_STEP)

    async def handle(self, call: Call) -> Outcome:
        """Carry out a call that came over RPC."""
        try:
            if isinstance(call, Write):
                return returned(await self._propose(call.command, call.origin))
            if isinstance(call, Renew):
                return returned(self._renew(call.session))
            if isinstance(call, Read):
                return returned(await self._read_for(call))
        except NotLeader:
            return Elsewhere(self.leader_address)
        except RegistryError as error:
            return failed(error)
        node = self._node
        return returned(
            Standing(
                node.node_id,
                node.configuration.members,
                self.founders,
                self.leader_address,
                tuple(self.peers()),
            )
        )

    async def _read_for(self, call: Read) -> Reading:
        answer = await self.read(
            question_of(call), mode=call.mode, index=call.index, wait=call.wait
        )
        value = encoded(answer.value)
        return Reading(answer.index, self.known_leader, self.last_contact, value)

    async def refresh(self) -> None:
        """Bring what is known of the cluster up to date; a server is in the middle of it."""

    async def standing(self, address: str) -> Standing | None:
        """What the server at ``address`` says of itself; ``None`` when it does not answer."""
        try:
            outcome = await self._callers.call(address, Status())
        except (OSError, RegistryError):
            return None
        return result_of(outcome, Standing) if isinstance(outcome, Returned) else None

    def ask(self, question: Question) -> Answer:
        """See :class:`Registry`."""
        if not self._node.has_lease():
            raise NoLeader("No cluster leader")
        return self._machine.answers.get(question)

    def may_answer(self) -> bool:
        """See :class:`Registry`."""
        return self._node.has_lease()

    async def read(
        self,
        question: Question,
        *,
        mode: Mode = "default",
        index: int = 0,
        wait: float = 0.0,
    ) -> Answer:
        """See :class:`Registry`."""
        await self._freshen(mode)
        answer = self._machine.answers.get(question)
        if not index or answer.index > index:
            return answer
        clock = self._runtime.clock
        limit = min(wait, MAX_WAIT) if wait > 0 else DEFAULT_WAIT
        until = clock.now() + limit + self._runtime.rng.random() * limit / WAIT_JITTER
        while answer.index <= index:
            answer.watchers += 1
            try:
                woken = await clock.wait(answer.changed(), until=until)
            finally:
                answer.watchers -= 1
            if not woken:
                return answer
            await self._freshen(mode)
            answer = self._machine.answers.get(question)
        return answer

    async def _freshen(self, mode: Mode) -> None:
        """Make sure that this server's state is as fresh as ``mode`` promises."""
        if mode == "stale":
            if not self._machine.state.index and self._node.leader_id is None:
                raise NoLeader("No cluster leader")  # there never was anything to be stale
            return
        if mode == "default" and self._node.has_lease():
            return
        try:
            await self._node.read_index()
        except (NotLeader, Busy, OutcomeUnknown) as error:
            raise NoLeader("No cluster leader") from error

    # -- about the cluster ------------------------------------------------------------------------

    async def renew_session(self, session: str) -> Session:
        """Start a session's lease again; the leader keeps it.

        Raises:
            NotFound: there is no such session.
            NoLeader: no server leads.
        """
        try:
            return self._renew(session)
        except NotLeader:
            return cast(Session, result_of(await self._ask_leader(Renew(session)), Session))

    def _renew(self, session: str) -> Session:
        if not self._node.is_leader:
            raise NotLeader(self._node.leader_id)
        found = self._machine.state.sessions.rows.get(session)
        if found is None:
            message = f"Session id '{session}' not found"
            raise NotFound(message)
        self.sessions.renew(found)
        return found

    @property
    def raft(self) -> Node:
        """The Raft member, for what reports on it."""
        return self._node

    @property
    def machine(self) -> Machine:
        """The replicated state and its answers."""
        return self._machine

    @property
    def known_leader(self) -> bool:
        """Whether a leader is known."""
        return self._node.leader_id is not None

    @property
    def leader_address(self) -> str:
        """``host:port`` of the leader; empty while there is none."""
        leader = self._node.leader_id
        if leader is None:
            return ""
        return self._node.address_of(leader) or (self._address if self._node.is_leader else "")

    def peers(self) -> list[str]:
        """``host:port`` of every member, voters and learners."""
        node = self._node
        return [node.address_of(member) or "" for member in node.configuration.members]

    @property
    def last_contact(self) -> float:
        """Seconds since this server heard from the leader; 0 on the leader."""
        return self._node.last_contact()

    def _leadership(self, leads: bool) -> None:  # noqa: FBT001  # the callback's whole content
        if leads:
            log.info("became leader", term=self._node.term)
            self.sessions.lead()
            self._begin(self._reconcile())
        else:
            log.warning("lost leadership", term=self._node.term)
            self._begin(self.sessions.step_down())

    def _begin(self, duty: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(duty)
        self._duties.add(task)
        task.add_done_callback(self._duties.discard)

    async def _reconcile(self) -> None:
        """Make the catalogue know this server."""
        while self._node.is_leader:
            try:
                await self.write(registration(self._member, self._machine.state))
            except RegistryError as error:
                log.warning("server not registered", error=str(error))
                await self._runtime.clock.sleep(RECONCILE_RETRY)
            else:
                return
