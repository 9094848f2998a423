"""What a user says to register a service or a check: request bodies and configuration blocks.

These structs only hold what was said. ``validation.py`` judges it, ``sidecar.py`` expands it, and
the functions below turn it into catalogue records. Durations are nanoseconds.

Source: shapes of Consul 1.8's agent API, as observed; later check types as documented.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final, TypeVar

import msgspec

from lictor.registry import durations
from lictor.registry.errors import InvalidConfig
from lictor.registry.records import (
    CRITICAL,
    DEFAULT_WEIGHTS,
    NO_DEFINITION,
    Connect,
    Duration,
    Expose,
    HealthCheck,
    MeshGateway,
    NodeService,
    Proxy,
    Record,
    ServiceAddress,
    Upstream,
    Weights,
)

NONE: Final = Duration(0)

CONNECT_PROXY: Final = "connect-proxy"
GATEWAYS: Final = ("mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway")
PROXY_KINDS: Final = (CONNECT_PROXY, *GATEWAYS)


class CheckRules(Record, frozen=True, kw_only=True):
    """How a check is run, whatever names it."""

    name: str = ""
    notes: str = ""
    status: str = ""
    """Initial status; empty means critical."""
    interval: Duration = NONE
    timeout: Duration = NONE
    ttl: Duration = NONE
    args: tuple[str, ...] | None = None
    """The command; wins over ``script_args``, its older name."""
    script_args: tuple[str, ...] | None = None
    http: str = ""
    header: dict[str, tuple[str, ...]] | None = None
    method: str = ""
    body: str = ""
    disable_redirects: bool = False
    tcp: str = ""
    tcp_use_tls: bool = False
    udp: str = ""
    grpc: str = ""
    grpc_use_tls: bool = False
    h2ping: str = msgspec.field(name="H2PING", default="")
    h2ping_use_tls: bool = msgspec.field(name="H2PingUseTLS", default=True)
    os_service: str = msgspec.field(name="OSService", default="")
    docker_container_id: str = ""
    shell: str = ""
    alias_node: str = ""
    alias_service: str = ""
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    success_before_passing: int = 0
    failures_before_warning: int = 0
    failures_before_critical: int = 0
    deregister_critical_service_after: Duration = NONE
    output_max_size: int = 0
    """Bytes; 0 takes the agent's limit."""
    proxy_http: str = ""
    proxy_grpc: str = ""

    @property
    def command(self) -> tuple[str, ...]:
        """Program and arguments of a script check."""
        return self.args or self.script_args or ()


class ServiceCheckDefinition(CheckRules, frozen=True, kw_only=True):
    """A check inside a service registration."""

    check_id: str = msgspec.field(name="CheckID", default="")
    service_id: str = ""
    """Taken and ignored: the check belongs to the service around it."""


class CheckDefinition(CheckRules, frozen=True, kw_only=True):
    """Body of ``PUT /v1/agent/check/register``; a ``check`` block of a configuration file."""

    id: str = ""
    service_id: str = ""
    """An instance of this agent; empty for a check of the whole node."""
    token: str = ""


class WeightsDefinition(Record, frozen=True, kw_only=True):
    """DNS weights as said; a member left out is 0."""

    passing: int = 0
    warning: int = 0


class AddressDefinition(Record, frozen=True, kw_only=True):
    """One tagged address."""

    address: str = ""
    port: int = 0


class UpstreamDefinition(Record, frozen=True, kw_only=True):
    """One upstream of a proxy."""

    destination_type: str = ""
    destination_namespace: str = ""
    destination_name: str = ""
    datacenter: str = ""
    local_bind_address: str = ""
    local_bind_port: int = 0
    config: dict[str, Any] | None = None
    mesh_gateway: MeshGateway = MeshGateway()


class ProxyDefinition(Record, frozen=True, kw_only=True):
    """What a proxy stands for."""

    destination_service_name: str = ""
    destination_service_id: str = ""
    local_service_address: str = ""
    local_service_port: int = 0
    config: dict[str, Any] | None = None
    upstreams: tuple[UpstreamDefinition, ...] | None = None
    mesh_gateway: MeshGateway = MeshGateway()
    expose: Expose = Expose()


class ConnectDefinition(Record, frozen=True, kw_only=True):
    """Mesh settings of a registration."""

    native: bool = False
    proxy: dict[str, Any] | None = None
    """Managed proxies of old; taken and ignored."""
    sidecar_service: ServiceDefinition | None = None


class ServiceDefinition(Record, frozen=True, kw_only=True):
    """Body of ``PUT /v1/agent/service/register``; a ``service`` block of a configuration file."""

    kind: str = ""
    id: str = ""
    name: str = ""
    tags: tuple[str, ...] | None = None
    address: str = ""
    tagged_addresses: dict[str, AddressDefinition] | None = None
    meta: dict[str, str] | None = None
    port: int = 0
    socket_path: str = ""
    check: ServiceCheckDefinition = ServiceCheckDefinition()
    checks: tuple[ServiceCheckDefinition, ...] | None = None
    weights: WeightsDefinition | None = None
    token: str = ""
    enable_tag_override: bool = False
    proxy: ProxyDefinition | None = None
    connect: ConnectDefinition | None = None

    @property
    def instance_id(self) -> str:
        """The id, which is the name unless said otherwise."""
        return self.id or self.name

    @property
    def all_checks(self) -> tuple[ServiceCheckDefinition, ...]:
        """``check``, if anything was said there, and then ``checks``."""
        said = (self.check,) if self.check != ServiceCheckDefinition() else ()
        return said + (self.checks or ())


_DURATIONS: Final = ("Interval", "Timeout", "TTL", "DeregisterCriticalServiceAfter")

DefinitionT = TypeVar("DefinitionT", ServiceDefinition, CheckDefinition)


def from_file(said: dict[str, Any], shape: type[DefinitionT]) -> DefinitionT:
    """A definition from a configuration file, whose durations are Go text.

    Raises:
        InvalidConfig: a member has the wrong type, or a duration cannot be read.
    """
    try:
        return msgspec.convert(_in_nanoseconds(said), shape)
    except (msgspec.ValidationError, durations.InvalidDuration) as error:
        raise InvalidConfig(f"invalid definition {said.get('Name', '')!r}: {error}") from error


def _in_nanoseconds(said: Any) -> Any:
    if isinstance(said, list):
        return [_in_nanoseconds(each) for each in said]
    if not isinstance(said, dict):
        return said
    return {
        name: durations.parse_ns(value)
        if name in _DURATIONS and isinstance(value, str)
        else _in_nanoseconds(value)
        if name in {"Check", "Checks", "Connect", "SidecarService"}
        else value
        for name, value in said.items()
    }


def node_service(definition: ServiceDefinition) -> NodeService:
    """The record that ``definition`` stands for; indexes are 0."""
    return NodeService(
        kind=definition.kind,
        id=definition.instance_id,
        name=definition.name,
        tags=definition.tags,
        address=definition.address,
        tagged_addresses=_tagged_addresses(definition),
        meta=definition.meta,
        port=definition.port,
        socket_path=definition.socket_path,
        weights=_weights(definition.weights),
        enable_tag_override=definition.enable_tag_override,
        proxy=_proxy(definition.proxy or ProxyDefinition()),
        connect=Connect(native=bool(definition.connect and definition.connect.native)),
        create_index=0,
        modify_index=0,
    )


def _weights(said: WeightsDefinition | None) -> Weights:
    if said is None:
        return DEFAULT_WEIGHTS
    return Weights(passing=said.passing or 1, warning=said.warning)


def _tagged_addresses(definition: ServiceDefinition) -> dict[str, ServiceAddress] | None:
    """The addresses said, and the instance's own under its family's tags where those are free."""
    said = definition.tagged_addresses or {}
    tagged = {k: ServiceAddress(address=v.address, port=v.port) for k, v in said.items()}
    try:
        version = ip_address(definition.address).version
    except ValueError:
        return tagged or None
    own = ServiceAddress(address=definition.address, port=definition.port)
    for scope in ("lan", "wan"):
        tagged.setdefault(f"{scope}_ipv{version}", own)
    return tagged


def _proxy(said: ProxyDefinition) -> Proxy:
    return Proxy(
        destination_service_name=said.destination_service_name,
        destination_service_id=said.destination_service_id,
        local_service_address=said.local_service_address,
        local_service_port=said.local_service_port,
        config=said.config or None,
        upstreams=tuple(_upstream(each) for each in said.upstreams or ()),
        mesh_gateway=said.mesh_gateway,
        expose=said.expose,
    )


def _upstream(said: UpstreamDefinition) -> Upstream:
    return Upstream(
        destination_type=said.destination_type or "service",
        destination_namespace=said.destination_namespace,
        destination_name=said.destination_name,
        datacenter=said.datacenter,
        local_bind_address=said.local_bind_address,
        local_bind_port=said.local_bind_port,
        config=said.config or None,
        mesh_gateway=said.mesh_gateway,
    )


def service_checks(definition: ServiceDefinition) -> list[tuple[str, CheckRules]]:
    """The checks in ``definition`` with their ids, in order; of equal ids the last one counts."""
    checks = definition.all_checks
    named: dict[str, CheckRules] = {}
    for position, rules in enumerate(checks, start=1):
        generated = f"service:{definition.instance_id}"
        if len(checks) > 1:
            generated += f":{position}"
        named[rules.check_id or generated] = rules
    return list(named.items())


def health_check(
    check_id: str, rules: CheckRules, kind: str, *, node: str, service: NodeService | None
) -> HealthCheck:
    """The record of a check that has not run yet; ``kind`` is its type's name."""
    return HealthCheck(
        node=node,
        check_id=check_id,
        name=rules.name or (f"Service '{service.name}' check" if service else check_id),
        status=rules.status or CRITICAL,
        notes=rules.notes,
        output="",
        service_id=service.id if service else "",
        service_name=service.name if service else "",
        service_tags=service.tags if service else None,
        type=kind,
        definition=NO_DEFINITION,
        create_index=0,
        modify_index=0,
    )
