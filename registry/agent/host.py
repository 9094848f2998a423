"""One whole agent as its API shows it: the local part, and what it can tell of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lictor.raft.runtime import Runtime
from lictor.registry.client import RemoteServers
from lictor.registry.config import AgentConfig, debug_config
from lictor.registry.errors import InvalidConfig, Refused
from lictor.registry.membership.errors import MembershipError
from lictor.registry.membership.events import Member
from lictor.registry.server import Server

from . import report
from .agent import Agent
from .identity import configured_definitions, configured_identity
from .registry import Registry

if TYPE_CHECKING:
    from lictor.registry.cluster.cluster import Cluster


class HostAgent(Agent):
    """The agent of one host, a server or a client of servers.

    ``stop`` ends the process; ``reread`` reads the configuration again and has every room take it
    over; it raises :class:`InvalidConfig` for one that cannot be used.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        runtime: Runtime,
        server: Server | RemoteServers,
        node_id: str,
        cpus: int,
        stop: Callable[[], None],
        reread: Callable[[], Awaitable[None]],
    ) -> None:
        data_dir = None if config.dev or not config.data_dir else Path(config.data_dir)
        super().__init__(
            configured_identity(config, node_id=node_id),
            runtime,
            cast(Registry, server),
            data_dir=data_dir,
        )
        self._config = config
        self._server = server
        self._node_id = node_id
        self._cpus = cpus
        self._stop = stop
        self._reread = reread
        self.cluster: Cluster | None = None
        """Its cluster, from when it has met others; set by who starts the agent."""

    async def begin(self) -> None:
        """Start with what the configuration registers.

        Raises:
            RegistryError: a definition from the configuration will not do.
        """
        await self.start(*configured_definitions(self._config))

    # -- what the API asks besides the local part -------------------------------------------------

    def members(self, *, wan: bool = False) -> Sequence[Mapping[str, Any]]:
        """The members of the LAN, or of the WAN, this agent first."""
        found = [report.member(member) for member in self._pool_members()]
        if wan:
            return [report.wan_member(member, self._config) for member in found[:1]]
        return found

    def _pool_members(self) -> list[Member]:
        """The LAN's members by name, this agent first."""
        if self.cluster is None:
            return []
        own = self._config.node_name
        return sorted(
            self.cluster.pool.members(), key=lambda member: (member.name != own, member.name)
        )

    def stats(self) -> Mapping[str, Mapping[str, str]]:
        """``Stats`` of ``/v1/agent/self``: every leaf is text."""
        server = self._server
        found = {
            "agent": self.counts(),
            "build": {"prerelease": "", "revision": "", "version": report.COMPATIBLE_VERSION},
            "runtime": report.runtime_stats(tasks=len(asyncio.all_tasks()), cpus=self._cpus),
            "serf_lan": self.cluster.pool.stats() if self.cluster else report.serf_stats(1),
        }
        if isinstance(server, RemoteServers):
            known = {"known_servers": str(server.known_servers), "server": "false"}
            return {**found, "consul": known}
        raft = server.raft
        address = f"{self._config.advertise_lan}:{self._config.listeners.rpc.port}"
        found["consul"] = {
            "acl": "enabled" if self._config.acl.enabled else "disabled",
            "bootstrap": str(self._config.bootstrap).lower(),
            "known_datacenters": "1",
            "leader": str(raft.is_leader).lower(),
            "leader_addr": server.leader_address,
            "server": "true",
        }
        found["raft"] = report.raft_stats(raft, server_id=self._node_id, address=address)
        found["serf_wan"] = report.serf_stats(1)
        return dict(sorted(found.items()))

    def debug_config(self) -> Mapping[str, Any]:
        """``DebugConfig`` of ``/v1/agent/self``: settings, secrets hidden."""
        return debug_config(self._config)

    async def join(self, address: str, *, wan: bool) -> None:
        """Join a cluster through the member at ``address``.

        Raises:
            Refused: it could not be contacted, or there is no such pool.
        """
        if wan or self.cluster is None:
            raise Refused(
                f"1 error occurred:\n\t* Failed to join {address}: there is no WAN pool yet\n\n"
            )
        try:
            await self.cluster.join([address])
        except MembershipError as error:
            raise Refused(str(error)) from error

    async def force_leave(self, node: str, *, prune: bool) -> None:
        """Make a failed member leave; one that is alive takes no notice.

        Raises:
            Refused: there is no such member.
        """
        if self.cluster is None or all(node != each.name for each in self._pool_members()):
            raise Refused(f"agent: No node found with name '{node}'")
        try:
            await self.cluster.pool.force_leave(node, prune=prune)
        except MembershipError as error:
            raise Refused(str(error)) from error

    async def leave(self) -> None:
        """Stop; a single server has nobody to leave."""
        self._stop()

    async def reload_config(self) -> None:
        """Read the configuration again and take over what needs no restart.

        Raises:
            Refused: it cannot be read or used; nothing was changed.
        """
        try:
            await self._reread()
        except InvalidConfig as error:
            raise Refused(str(error)) from error

    async def take_over(self, config: AgentConfig) -> None:
        """Go on with ``config``: its services and checks, metadata and limits.

        Raises:
            InvalidConfig: a definition cannot be read; nothing was changed.
        """
        definitions = configured_definitions(config)
        self._config = config
        identity = configured_identity(config, node_id=self._node_id)
        await self.reload(*definitions, identity=identity)
