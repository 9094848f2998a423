"""What the catalogue holds: frozen records, named in JSON as Consul's Go structs name them.

A record is replaced and never mutated; it may be kept, shared and encoded from any thread. Maps
inside a record belong to it: nobody changes them after construction.

JSON shapes: fields appear in declaration order. Where Consul leaves an empty member out, the field
has a default here (``omit_defaults``); where Consul always prints it, the field has none.

Source: shared field order and spelling of Consul 1.8's catalogue objects, as observed on the wire.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, NewType, TypeAlias

import msgspec

_ACRONYMS: Final = {
    "id": "ID", "ttl": "TTL", "http": "HTTP", "tcp": "TCP", "udp": "UDP", "tls": "TLS",
    "grpc": "GRPC", "dns": "DNS", "ns": "NS", "ip": "IP", "ca": "CA", "sni": "SNI", "wan": "WAN",
}  # fmt: skip


def go_name(field: str) -> str:
    """The Go spelling of a snake_case name: ``service_id`` is ``ServiceID``."""
    return "".join(_ACRONYMS.get(word) or word[:1].upper() + word[1:] for word in field.split("_"))


class Record(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=go_name, gc=False
):
    """What every record is: frozen, Go-named, empty optional members left out."""


Health: TypeAlias = Literal["passing", "warning", "critical"]
"""What a check may say; a catalogue registration may hold other text, which hides nothing."""

PASSING: Final = "passing"
WARNING: Final = "warning"
CRITICAL: Final = "critical"
MAINTENANCE: Final = "maintenance"

NODE_MAINTENANCE: Final = "_node_maintenance"
SERVICE_MAINTENANCE_PREFIX: Final = "_service_maintenance:"
SERF_HEALTH: Final = "serfHealth"


class Node(Record, frozen=True, kw_only=True):
    """A host. Primary key: the lower-cased name."""

    id: str
    """UUID in text form, or empty for nodes that outsiders registered."""
    name: str = msgspec.field(name="Node")
    address: str
    datacenter: str
    tagged_addresses: dict[str, str] | None
    meta: dict[str, str] | None
    create_index: int
    modify_index: int


class Weights(Record, frozen=True, kw_only=True):
    """DNS SRV weights by health."""

    passing: int
    warning: int


DEFAULT_WEIGHTS: Final = Weights(passing=1, warning=1)


class ServiceAddress(Record, frozen=True, kw_only=True):
    """An address under a tag such as ``lan`` or ``wan``."""

    address: str
    port: int


class MeshGateway(Record, frozen=True, kw_only=True):
    """How upstream traffic leaves the data centre; ``mode`` is empty when unset."""

    mode: str = ""


class ExposePath(Record, frozen=True, kw_only=True):
    """An HTTP path served without mutual TLS."""

    listener_port: int = 0
    path: str = ""
    local_path_port: int = 0
    protocol: str = ""
    parsed_from_check: bool = msgspec.field(default_factory=bool)
    """From a factory, so that it is printed even when false."""


class Expose(Record, frozen=True, kw_only=True):
    """Paths reachable through the sidecar without an identity."""

    checks: bool = False
    paths: tuple[ExposePath, ...] = ()


class Upstream(Record, frozen=True, kw_only=True):
    """A service that a sidecar dials on its workload's behalf."""

    destination_type: str
    destination_namespace: str = ""
    destination_name: str
    datacenter: str
    local_bind_address: str = ""
    local_bind_port: int
    config: dict[str, Any] | None
    mesh_gateway: MeshGateway


class Proxy(Record, frozen=True, kw_only=True):
    """What a proxy instance stands for."""

    destination_service_name: str = ""
    destination_service_id: str = ""
    local_service_address: str = ""
    local_service_port: int = 0
    mode: str = ""
    config: dict[str, Any] | None = None
    upstreams: tuple[Upstream, ...] = ()
    mesh_gateway: MeshGateway
    expose: Expose


NO_PROXY: Final = Proxy(mesh_gateway=MeshGateway(), expose=Expose())


class Connect(Record, frozen=True, kw_only=True):
    """Mesh settings of an instance."""

    native: bool = False


NO_CONNECT: Final = Connect()


class NodeService(Record, frozen=True, kw_only=True):
    """A service instance without its node, as ``Service`` in health answers."""

    kind: str = ""
    id: str
    name: str = msgspec.field(name="Service")
    tags: tuple[str, ...] | None
    address: str
    tagged_addresses: dict[str, ServiceAddress] | None = None
    meta: dict[str, str] | None
    port: int
    socket_path: str = ""
    weights: Weights
    enable_tag_override: bool
    proxy: Proxy
    connect: Connect
    create_index: int
    modify_index: int


class ServiceInstance(Record, frozen=True, kw_only=True):
    """A service instance where it runs. Primary key: (lower-cased node, instance id)."""

    node: str
    """The node's name as that node spells it."""
    service: NodeService


class CheckDefinition(Record, frozen=True, kw_only=True):
    """How a check that an outsider registered is to be run; echoed, not acted on by servers.

    Durations are Go text (``"10s"``), as they are shown.
    """

    interval: str = ""
    timeout: str = ""
    deregister_critical_service_after: str = ""
    http: str = ""
    header: dict[str, list[str]] | None = None
    method: str = ""
    body: str = ""
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    tcp: str = ""


NO_DEFINITION: Final = CheckDefinition()


class HealthCheck(Record, frozen=True, kw_only=True):
    """A check's last result. Primary key: (lower-cased node, check id)."""

    node: str
    check_id: str = msgspec.field(name="CheckID")
    name: str
    status: str
    notes: str
    output: str
    service_id: str
    """Empty for a check of the whole node."""
    service_name: str
    service_tags: tuple[str, ...] | None
    type: str
    definition: CheckDefinition
    create_index: int
    modify_index: int


class CheckServiceNode(Record, frozen=True, kw_only=True):
    """An instance with its node and every check that bears on it: node checks first."""

    node: Node
    service: NodeService
    checks: tuple[HealthCheck, ...]


class KVEntry(Record, frozen=True, kw_only=True):
    """One key. JSON shows the value in base64, ``null`` when empty."""

    lock_index: int
    key: str
    flags: int
    """Unsigned, 64 bits."""
    value: bytes | None
    session: str = ""
    create_index: int
    modify_index: int


class SessionServiceCheck(Record, frozen=True, kw_only=True):
    """A service check that a session depends on."""

    id: str
    namespace: str


class Session(Record, frozen=True, kw_only=True):
    """A client's lease on keys; ends with its TTL, its node or any of its checks."""

    id: str
    name: str
    node: str
    lock_delay: int
    """Nanoseconds."""
    behavior: str
    ttl: str = msgspec.field(name="TTL")
    node_checks: tuple[str, ...] | None
    service_checks: tuple[SessionServiceCheck, ...] | None
    create_index: int
    modify_index: int


class SourceIntention(Record, frozen=True, kw_only=True):
    """One rule of a destination: what ``name`` may do."""

    name: str
    action: str = ""
    """``allow`` or ``deny``; empty when ``permissions`` decide."""
    precedence: int
    type: str
    description: str = ""
    permissions: tuple[dict[str, Any], ...] | None = None
    legacy_id: str = msgspec.field(name="LegacyID", default="")
    legacy_meta: dict[str, str] | None = None
    legacy_create_time: int = 0
    """Nanoseconds since the Unix epoch; 0 for rules not made through the ID interface."""
    legacy_update_time: int = 0


class ServiceIntentions(Record, frozen=True, kw_only=True):
    """All rules for one destination: the ``service-intentions`` config entry of that name."""

    kind: str
    name: str
    meta: dict[str, str] | None = None
    sources: tuple[SourceIntention, ...]
    create_index: int
    modify_index: int


UUID_TEXT: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""The only form of UUID that Consul takes."""

Duration = NewType("Duration", int)
"""Nanoseconds, where a body or a file may also say ``"10s"``; decoders look for this type."""
