"""What the agent's own answers look like (``/v1/agent/...``).

Source: members and their order as a real Consul 1.8.7 printed them.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import msgspec

from lictor.registry.answers import encode_json
from lictor.registry.records import (
    Connect,
    HealthCheck,
    MeshGateway,
    NodeService,
    Proxy,
    Record,
    ServiceAddress,
    Upstream,
    Weights,
)

from .definitions import PROXY_KINDS


class AgentUpstream(Record, frozen=True, kw_only=True):
    """An upstream; unlike in the catalogue, what is empty is left out."""

    destination_type: str = ""
    destination_namespace: str = ""
    destination_name: str = ""
    datacenter: str = ""
    local_bind_address: str = ""
    local_bind_port: int = 0
    config: dict[str, Any] | None = None
    mesh_gateway: MeshGateway


class AgentExposePath(Record, frozen=True, kw_only=True):
    """An exposed path."""

    listener_port: int = 0
    path: str = ""
    local_path_port: int = 0
    protocol: str = ""
    parsed_from_check: bool


class AgentExpose(Record, frozen=True, kw_only=True):
    """Exposed paths."""

    checks: bool = False
    paths: tuple[AgentExposePath, ...] = ()


class AgentProxy(Record, frozen=True, kw_only=True):
    """What a proxy of this agent stands for."""

    destination_service_name: str = ""
    destination_service_id: str = ""
    local_service_address: str = ""
    local_service_port: int = 0
    mode: str = ""
    config: dict[str, Any] | None = None
    upstreams: tuple[AgentUpstream, ...] = ()
    mesh_gateway: MeshGateway
    expose: AgentExpose


class AgentService(Record, frozen=True, kw_only=True):
    """An instance of this agent."""

    kind: str = ""
    id: str
    service: str
    tags: tuple[str, ...]
    meta: dict[str, str]
    port: int
    address: str
    socket_path: str = ""
    tagged_addresses: dict[str, ServiceAddress] | None = None
    weights: Weights
    enable_tag_override: bool
    content_hash: str = ""
    """Only where one instance is asked for; 16 hexadecimal digits that change with the rest."""
    proxy: AgentProxy | None = None
    connect: Connect | None = None


class ZeroDefinition(Record, frozen=True, kw_only=True):
    """The empty definition that local health spells out."""

    interval: str
    timeout: str
    deregister_critical_service_after: str
    http: str
    header: None
    method: str
    body: str
    tls_skip_verify: bool
    tcp: str


ZERO_DEFINITION: Final = ZeroDefinition(
    interval="0s",
    timeout="0s",
    deregister_critical_service_after="0s",
    http="",
    header=None,
    method="",
    body="",
    tls_skip_verify=False,
    tcp="",
)


class LocalHealthCheck(Record, frozen=True, kw_only=True):
    """A check in local health: without its type; no tags are ``null``."""

    node: str
    check_id: str = msgspec.field(name="CheckID")
    name: str
    status: str
    notes: str
    output: str
    service_id: str
    service_name: str
    service_tags: tuple[str, ...] | None
    type: str
    definition: ZeroDefinition
    create_index: int
    modify_index: int


class LocalHealth(Record, frozen=True, kw_only=True):
    """The health of one instance of this agent."""

    aggregated_status: str
    service: AgentService
    checks: tuple[LocalHealthCheck, ...]


def agent_service(record: NodeService) -> AgentService:
    """``record`` as the agent shows it; proxies alone show what they stand for."""
    return AgentService(
        kind=record.kind,
        id=record.id,
        service=record.name,
        tags=record.tags or (),
        meta=record.meta or {},
        port=record.port,
        address=record.address,
        socket_path=record.socket_path,
        tagged_addresses=record.tagged_addresses or None,
        weights=record.weights,
        enable_tag_override=record.enable_tag_override,
        proxy=_proxy(record.proxy) if record.kind in PROXY_KINDS else None,
        connect=record.connect if record.connect.native else None,
    )


def _proxy(proxy: Proxy) -> AgentProxy:
    expose = AgentExpose(
        checks=proxy.expose.checks,
        paths=tuple(
            AgentExposePath(
                listener_port=path.listener_port,
                path=path.path,
                local_path_port=path.local_path_port,
                protocol=path.protocol,
                parsed_from_check=path.parsed_from_check,
            )
            for path in proxy.expose.paths
        ),
    )
    return AgentProxy(
        destination_service_name=proxy.destination_service_name,
        destination_service_id=proxy.destination_service_id,
        local_service_address=proxy.local_service_address,
        local_service_port=proxy.local_service_port,
        mode=proxy.mode,
        config=proxy.config,
        upstreams=tuple(_upstream(each) for each in proxy.upstreams),
        mesh_gateway=proxy.mesh_gateway,
        expose=expose,
    )


def _upstream(upstream: Upstream) -> AgentUpstream:
    return AgentUpstream(
        destination_type=upstream.destination_type,
        destination_namespace=upstream.destination_namespace,
        destination_name=upstream.destination_name,
        datacenter=upstream.datacenter,
        local_bind_address=upstream.local_bind_address,
        local_bind_port=upstream.local_bind_port,
        config=upstream.config,
        mesh_gateway=upstream.mesh_gateway,
    )


def with_hash(service: AgentService) -> AgentService:
    """``service`` with its content hash, an opaque 64 bits."""
    digest = blake2b(encode_json(service), digest_size=8).hexdigest()
    return msgspec.structs.replace(service, content_hash=digest)


def local_health_check(check: HealthCheck) -> LocalHealthCheck:
    """``check`` as local health shows it."""
    return LocalHealthCheck(
        node=check.node,
        check_id=check.check_id,
        name=check.name,
        status=check.status,
        notes=check.notes,
        output=check.output,
        service_id=check.service_id,
        service_name=check.service_name,
        service_tags=check.service_tags,
        type="",
        definition=ZERO_DEFINITION,
        create_index=0,
        modify_index=0,
    )
