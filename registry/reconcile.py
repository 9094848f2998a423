"""What the leader writes into the catalogue about a member of the cluster."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from .commands import RegisterEntity
from .records import (
    CRITICAL,
    DEFAULT_WEIGHTS,
    NO_CONNECT,
    NO_DEFINITION,
    NO_PROXY,
    PASSING,
    SERF_HEALTH,
    HealthCheck,
    Node,
    NodeService,
)
from .state.store import State

RecordT = TypeVar("RecordT", NodeService, HealthCheck)

SERVER_SERVICE = "consul"
"""The service that every server is an instance of. Clients find servers by this name."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One agent as the cluster sees it."""

    node_id: str
    name: str
    address: str
    datacenter: str
    server_port: int = 0
    """The RPC port; 0 for an agent that is no server."""
    version: str
    alive: bool = True


def registration(member: Member, state: State) -> RegisterEntity:
    """The command that makes the catalogue say what membership says of ``member``.

    A node that is already there under the same id and address keeps its metadata: that is its own
    agent's to write.
    """
    existing = state.nodes.rows.get(member.name.lower())
    known = existing is not None and (existing.id, existing.address) == (
        member.node_id,
        member.address,
    )
    return RegisterEntity(
        node=Node(
            id=member.node_id,
            name=member.name,
            address=member.address,
            datacenter=member.datacenter,
            tagged_addresses=existing.tagged_addresses if existing else None,
            meta=existing.meta if existing else None,
            create_index=0,
            modify_index=0,
        ),
        service=_server_service(member) if member.server_port and member.alive else None,
        checks=(_serf_health(member),),
        skip_node_update=known,
    )


def _server_service(member: Member) -> NodeService:
    return NodeService(
        id=SERVER_SERVICE,
        name=SERVER_SERVICE,
        tags=None,
        address="",
        meta={
            "non_voter": "false",
            "raft_version": "3",
            "serf_protocol_current": "2",
            "serf_protocol_max": "5",
            "serf_protocol_min": "1",
            "version": member.version,
        },
        port=member.server_port,
        weights=DEFAULT_WEIGHTS,
        enable_tag_override=False,
        proxy=NO_PROXY,
        connect=NO_CONNECT,
        create_index=0,
        modify_index=0,
    )


def _serf_health(member: Member) -> HealthCheck:
    return HealthCheck(
        node=member.name,
        check_id=SERF_HEALTH,
        name="Serf Health Status",
        status=PASSING if member.alive else CRITICAL,
        notes="",
        output="Agent alive and reachable" if member.alive else "Agent not live or unreachable",
        service_id="",
        service_name="",
        service_tags=None,
        type="",
        definition=NO_DEFINITION,
        create_index=0,
        modify_index=0,
    )


def health_of(name: str, state: State) -> HealthCheck | None:
    """The catalogue's membership check of a node; ``None`` for nodes that outsiders registered."""
    return state.checks.rows.get((name.lower(), SERF_HEALTH))


def is_registered(member: Member, state: State) -> bool:
    """Whether the catalogue already says of ``member`` what :func:`registration` would write."""
    wanted = registration(member, state)
    if not wanted.skip_node_update:
        return False
    name = member.name.lower()
    if wanted.service is not None:
        row = state.services.rows.get((name, wanted.service.id))
        if row is None or _unstamped(row.service) != wanted.service:
            return False
    check = health_of(member.name, state)
    return check is not None and _unstamped(check) == wanted.checks[0]


def _unstamped(record: RecordT) -> RecordT:
    return msgspec.structs.replace(record, create_index=0, modify_index=0)
