"""One agent in its cluster: joins the pool, and as a server begins, grows and tends the cluster.

The driver of ``decisions.py`` and of ``reconcile.py``. Its duties run in one task: at every change
of the pool, when leadership comes, and from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec
import structlog

from lictor.raft.errors import RaftError
from lictor.raft.membership import Change, ChangeKind, ChangeSet
from lictor.raft.runtime import Runtime
from lictor.registry.commands import DeregisterEntity
from lictor.registry.config import AgentConfig
from lictor.registry.errors import RegistryError
from lictor.registry.membership.errors import MembershipError
from lictor.registry.membership.events import Event, MemberEvent, MemberStatus
from lictor.registry.membership.events import Member as PoolMember
from lictor.registry.membership.pool import Pool
from lictor.registry.reconcile import Member, health_of, is_registered, registration
from lictor.registry.records import CRITICAL
from lictor.registry.server import Server

from .decisions import Founders, founders, joining, leaving, promotable
from .tags import ServerInfo, server_info

log = structlog.get_logger("cluster")

RECONCILE_INTERVAL: Final = 60.0
"""Seconds between two full looks at catalogue and pool. Source: Consul."""

TENDING_INTERVAL: Final = 1.0
"""Seconds between two looks at servers that join."""

BEGINNING_INTERVAL: Final = 0.25
"""Seconds between two attempts to begin a cluster."""

ALIVE: Final = frozenset({MemberStatus.ALIVE, MemberStatus.LEAVING})


class Cluster:
    """The pool of one agent, and what it does about the others in it."""

    def __init__(
        self,
        config: AgentConfig,
        runtime: Runtime,
        *,
        pool: Pool,
        server: Server | None,
        node_id: str,
    ) -> None:
        self._config = config
        self._clock = runtime.clock
        self._pool = pool
        self._server = server
        self._node_id = node_id
        self._changed = asyncio.Event()
        self._gone: dict[str, PoolMember] = {}
        """Members that left or were forgotten, until the catalogue has forgotten them too."""
        self._stable_since: dict[int, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting_for = ""

    # -- life -------------------------------------------------------------------------------------

    def receive(self, event: Event) -> None:
        """Take note of what the pool says; its ``events`` callback."""
        if isinstance(event, MemberEvent):
            member = event.member
            if event.change.value in {"member-leave", "member-reap"}:
                self._gone[member.name] = member
            else:
                self._gone.pop(member.name, None)
            log.info("member changed", change=event.change.value, member=member.name)
        self._changed.set()

    async def start(self, *, stop: Callable[[], None]) -> None:
        """Join the pool and take up the duties. ``stop`` ends an agent that may not join.

        Raises:
            OSError: the gossip address cannot be bound.
        """
        await self._pool.start()
        if self._config.retry_join:
            self._begin(self._retry_join(stop))
        if self._server is not None:
            self._server.raft.on_leadership(lambda _: self._changed.set())
            self._begin(self._tend())

    async def close(self, *, leave: bool = False) -> None:
        """End the duties; ``leave`` tells the others that it is meant."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if leave:
            await self._pool.leave()
        await self._pool.close()

    def _begin(self, duty: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(duty))

    async def join(self, addresses: list[str]) -> int:
        """Join through ``addresses``; return how many could be contacted.

        Raises:
            MembershipError: none could.
        """
        return await self._pool.join(addresses)

    async def _retry_join(self, stop: Callable[[], None]) -> None:
        attempts = 0
        while True:
            attempts += 1
            try:
                contacted = await self._pool.join(self._config.retry_join)
            except (MembershipError, OSError) as error:
                log.warning("join failed", error=str(error), attempt=attempts)
            else:
                if len(self._pool.members()) > 1 and not self._is_homeless:
                    log.info("joined", contacted=contacted)
                    return
                # the list had us in it, or some of the servers that we wait for are not up yet
            if self._config.retry_max and attempts >= self._config.retry_max:
                log.error("max join retry exhausted, exiting")
                stop()
                return
            await self._clock.sleep(self._config.retry_interval)

    @property
    def _is_homeless(self) -> bool:
        """Whether this is a server that belongs to no cluster yet."""
        return self._server is not None and not self._server.raft.configuration.members

    # -- what is there ----------------------------------------------------------------------------

    @property
    def pool(self) -> Pool:
        """The LAN pool."""
        return self._pool

    def servers(self) -> list[ServerInfo]:
        """The servers that are alive, this one included if it is one."""
        found = [
            server_info(member.name, member.address, member.tags)
            for member in self._pool.members()
            if member.status in ALIVE
        ]
        return [server for server in found if server is not None]

    # -- a server's duties ------------------------------------------------------------------------

    async def _tend(self) -> None:
        server = self._server
        assert server is not None
        next_look = 0.0
        while True:
            self._changed.clear()
            now = self._clock.now()
            wait = TENDING_INTERVAL
            self._introduce(server)
            try:
                if self._is_homeless:
                    wait = BEGINNING_INTERVAL
                    await self._try_to_begin(server)
                elif server.raft.is_leader:
                    await self._tend_servers(server, now)
                    await self._reconcile(server, full=now >= next_look)
                    if now >= next_look:
                        next_look = now + RECONCILE_INTERVAL
                else:
                    next_look = 0.0
                    self._stable_since.clear()
            except (RaftError, RegistryError) as error:
                log.warning("cluster not tended", error=str(error))
            await self._clock.wait(self._changed, until=self._clock.now() + wait)

    def _introduce(self, server: Server) -> None:
        """Tell Raft where the others are now: they may have moved while everybody was away."""
        for other in self.servers():
            if other.raft_id != server.raft.node_id:
                server.raft.introduce(other.raft_id, other.rpc_address)

    async def _try_to_begin(self, server: Server) -> None:
        if self._config.bootstrap_expect < 1:
            return
        everybody = self.servers()
        me = next((each for each in everybody if each.raft_id == server.raft.node_id), None)
        if me is None:
            return
        found = founders(me, everybody)
        if not isinstance(found, Founders):
            server.founders = ()
            if found != self._waiting_for:
                log.info("waiting for servers", reason=found)
            self._waiting_for = found
            return
        server.founders = tuple(found.ids)
        for other in found.servers:
            if other.raft_id == me.raft_id:
                continue
            standing = await server.standing(other.rpc_address)
            if standing is None or standing.raft_id != other.raft_id:
                return
            agreed = standing.members or standing.founders
            if agreed != tuple(found.ids):
                return  # it belongs elsewhere, or does not see us all yet
        log.info("cluster begins", servers=",".join(each.name for each in found.servers))
        await server.raft.bootstrap(found.configuration)

    async def _tend_servers(self, server: Server, now: float) -> None:
        """Bring servers in and out of Raft, one change at a time."""
        raft = server.raft
        progress = raft.progress()
        for member, (_, active) in progress.items():
            if active:
                self._stable_since.setdefault(member, now)
            else:
                self._stable_since.pop(member, None)
        change = joining(raft.configuration, self.servers(), datacenter=self._config.datacenter)
        for gone in self._gone.values():
            info = server_info(gone.name, gone.address, gone.tags)
            if change is None and info is not None:
                change = leaving(raft.configuration, info.raft_id)
        if change is None:
            autopilot = self._config.autopilot
            ready = promotable(
                raft.configuration,
                matched={member: match for member, (match, _) in progress.items()},
                commit_index=raft.commit_index,
                stable_since=self._stable_since,
                now=now,
                max_trailing=autopilot.max_trailing_logs,
                stabilization=autopilot.server_stabilization_time,
            )
            if ready is None:
                return
            address = raft.address_of(ready) or ""
            change = ChangeSet((Change(ChangeKind.ADD_VOTER, ready, address),))
        for each in change.changes:
            if each.address:
                raft.introduce(each.member, each.address)
        first = change.changes[0]
        log.info("raft membership changes", change=first.kind.name.lower(), raft_id=first.member)
        await raft.propose_change(change)
        self._changed.set()  # there may be more

    async def _reconcile(self, server: Server, *, full: bool) -> None:
        """Make the catalogue say what the pool says."""
        state = server.machine.state
        members = self._pool.members()
        for member in members:
            await self._reconcile_member(server, member)
        for name in list(self._gone):
            await self._deregister(server, name)
            self._gone.pop(name, None)
        if full:
            present = {member.name.lower() for member in members}
            for node in list(state.nodes.rows.values()):
                known = health_of(node.name, state) is not None
                if known and node.name.lower() not in present:
                    await self._deregister(server, node.name)

    async def _reconcile_member(self, server: Server, member: PoolMember) -> None:
        state = server.machine.state
        if member.status in ALIVE:
            wanted = self._as_member(member)
            if not is_registered(wanted, state):
                await server.write(registration(wanted, state))
        elif member.status is MemberStatus.FAILED:
            check = health_of(member.name, state)
            if check is not None and check.status != CRITICAL:
                dead = msgspec.structs.replace(self._as_member(member), alive=False)
                await server.write(registration(dead, state))
        elif member.status is MemberStatus.LEFT:
            await self._deregister(server, member.name)

    async def _deregister(self, server: Server, name: str) -> None:
        if name.lower() == self._config.node_name.lower():
            return  # a leader never takes itself out
        if name.lower() in server.machine.state.nodes.rows:
            log.info("member deregistered", member=name)
            await server.write(DeregisterEntity(name))

    def _as_member(self, member: PoolMember) -> Member:
        info = server_info(member.name, member.address, member.tags)
        return Member(
            node_id=member.tags.get("id", ""),
            name=member.name,
            address=member.address,
            datacenter=self._config.datacenter,
            server_port=info.port if info else 0,
            version=member.tags.get("build", "").partition(":")[0],
        )
