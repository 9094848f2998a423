"""What the HTTP API needs of the rest of the agent: the servers, the agent itself, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from lictor.registry.answers import Answer
from lictor.registry.commands import SERVER, AnyCommand, Origin
from lictor.registry.queries import Mode, Question
from lictor.registry.records import HealthCheck, Session


class ServerAccess(Protocol):
    """The servers, as ``registry/server.py`` or a client agent's RPC offers them."""

    async def write(self, command: AnyCommand, origin: Origin = SERVER) -> object:
        """Replicate ``command``; its result once it is durable and applied.

        Raises:
            RegistryError: refused, no leader, overloaded, or the outcome is unknown.
        """

    def ask(self, question: Question) -> Answer:
        """The answer from this server's own state, now.

        Raises:
            NoLeader: nobody can promise that it is fresh; see :meth:`may_answer`.
        """

    async def read(
        self, question: Question, *, mode: Mode = "default", index: int = 0, wait: float = 0.0
    ) -> Answer:
        """The answer, as fresh as ``mode`` asks.

        Above 0, ``index`` waits until the answer's own exceeds it, at most ``wait`` seconds (0:
        five minutes; bounded by ten) and up to a sixteenth more.

        Raises:
            NoLeader: nobody can promise what ``mode`` asks.
        """

    def may_answer(self) -> bool:
        """Whether a default read may be answered from this server's state now, unasked."""

    async def renew_session(self, session: str) -> Session:
        """Start a session's lease again.

        Raises:
            NotFound: there is no such session.
            NoLeader: no leader keeps leases now.
        """

    @property
    def known_leader(self) -> bool:
        """Whether a leader is known."""

    @property
    def leader_address(self) -> str:
        """``host:port`` of the leader; empty while there is none."""

    @property
    def last_contact(self) -> float:
        """Seconds since this server heard from the leader; 0 on the leader."""

    def peers(self) -> list[str]:
        """``host:port`` of every voter."""

    async def refresh(self) -> None:
        """Bring ``leader_address`` and ``peers`` up to date, where they come from afar."""


class AgentAccess(Protocol):
    """The agent's own part: local services and checks. Errors are of ``registry.errors``."""

    async def register_service(
        self, definition: Any, *, replace_existing_checks: bool = False, token: str = ""
    ) -> None:
        """Validate, keep and sync a service with its checks."""

    async def deregister_service(self, service_id: str) -> None:
        """Remove a service, its checks and its sidecar; an unknown one is fine."""

    async def register_check(self, definition: Any, *, token: str = "") -> None:
        """Validate, keep and sync a check."""

    async def deregister_check(self, check_id: str) -> None:
        """Remove a check; an unknown one is fine."""

    async def update_ttl(self, check_id: str, status: str, output: str) -> None:
        """Report the status of a TTL check and start its TTL again."""

    def services(self) -> Mapping[str, Any]:
        """Local services by id, ready to encode."""

    def checks(self) -> Mapping[str, Any]:
        """Local checks by id, ready to encode."""

    async def service(self, service_id: str, *, hash_: str = "", wait: float = 0.0) -> Any:
        """One service with its ``content_hash``; waits while that equals ``hash_``.

        Raises:
            NotFound: there is no such service.
        """

    async def service_maintenance(self, service_id: str, *, enable: bool, reason: str) -> None:
        """Begin or end a service's maintenance."""

    async def node_maintenance(self, *, enable: bool, reason: str) -> None:
        """Begin or end the node's maintenance."""

    def local_health(self, service_id: str) -> Any | None:
        """``LocalHealth`` of a service, ready to encode; ``None`` when there is none."""

    def local_health_by_name(self, name: str) -> Sequence[Any]:
        """``LocalHealth`` of every service of a name."""

    def members(self, *, wan: bool = False) -> Sequence[Any]:
        """Members as ``/v1/agent/members`` shows them, this agent first."""

    def stats(self) -> Mapping[str, Mapping[str, str]]:
        """``Stats`` of ``/v1/agent/self``: every leaf is text."""

    def debug_config(self) -> Mapping[str, Any]:
        """``DebugConfig`` of ``/v1/agent/self``: settings, secrets hidden."""

    async def join(self, address: str, *, wan: bool) -> None:
        """Join a cluster through the member at ``address``."""

    async def force_leave(self, node: str, *, prune: bool) -> None:
        """Make a failed member leave."""

    async def leave(self) -> None:
        """Leave the cluster and stop."""

    async def reload_config(self) -> None:
        """Read the configuration again."""


class HTTPConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the HTTP API answers. Sizes are bytes, durations seconds."""

    datacenter: str = "dc1"
    node_name: str = ""
    node_id: str = ""
    server: bool = True
    """Whether this agent is a server."""
    meta: Mapping[str, str] = {}
    """The node's metadata."""
    pretty: bool = False
    """Indent every answer, as ``-dev`` agents do."""
    ui: bool = False
    """Whether ``/`` leads to the UI."""
    default_allow: bool = True
    """What happens where no intention matches."""
    response_headers: Mapping[str, str] = {}
    allow_write_from: tuple[str, ...] = ()
    """Networks (CIDR) whose clients may change something; empty for all."""
    translate_wan_addrs: bool = False
    """Tell clients that addresses of other data centres are translated."""
    discovery_max_stale: float = 0.0
    """Above 0, catalogue and health reads may be this stale unless they say otherwise."""
    blocked_prefixes: tuple[str, ...] = ()
    filter_unprintable: bool = True
    kv_max_value_size: int = 512 * 1024
    max_body_size: int = 8 * 1024 * 1024
    """For every other body."""
    max_connections_per_client: int = 200
    head_timeout: float = 10.0
    """How long a request's head may take to arrive."""
    idle_timeout: float = 3600.0
    """How long a connection may wait for its next request."""
    session_ttl_min: float = 10.0
    answer_lane: bool = True
    """Whether repeated reads may be answered before they are parsed."""


__all__ = ["AgentAccess", "HTTPConfig", "HealthCheck", "Mode", "ServerAccess"]
