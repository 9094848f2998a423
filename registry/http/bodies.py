"""What clients send to the catalogue, as Consul's Go structs have it.

Some records are decoded as they are; for those only the Go side is declared here.
"""

from __future__ import annotations

from lictor.registry import records
from lictor.registry.agent.definitions import ProxyDefinition
from lictor.registry.records import Duration, Record

from .gojson import Shape, Uint, declare


class DefinitionBody(Record, frozen=True, kw_only=True):
    """How a check that an outsider registers is run."""

    interval: Duration = Duration(0)
    timeout: Duration = Duration(0)
    deregister_critical_service_after: Duration = Duration(0)
    http: str = ""
    header: dict[str, list[str]] | None = None
    method: str = ""
    body: str = ""
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    tcp: str = ""


class CheckBody(Record, frozen=True, kw_only=True):
    """A check in a catalogue registration."""

    node: str = ""
    check_id: str = ""
    name: str = ""
    status: str = ""
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    service_tags: tuple[str, ...] | None = None
    type: str = ""
    definition: DefinitionBody
    create_index: Uint = Uint(0)
    modify_index: Uint = Uint(0)


class ServiceBody(Record, frozen=True, kw_only=True):
    """An instance in a catalogue registration."""

    kind: str = ""
    id: str = ""
    service: str = ""
    tags: tuple[str, ...] | None = None
    address: str = ""
    tagged_addresses: dict[str, records.ServiceAddress] | None = None
    meta: dict[str, str] | None = None
    port: int = 0
    socket_path: str = ""
    weights: records.Weights | None = None
    enable_tag_override: bool = False
    proxy: ProxyDefinition | None = None
    connect: records.Connect
    create_index: Uint = Uint(0)
    modify_index: Uint = Uint(0)


class RegisterBody(Record, frozen=True, kw_only=True):
    """The body of ``/v1/catalog/register``."""

    datacenter: str = ""
    id: str = ""
    node: str = ""
    address: str = ""
    tagged_addresses: dict[str, str] | None = None
    node_meta: dict[str, str] | None = None
    service: ServiceBody | None = None
    check: CheckBody | None = None
    checks: tuple[CheckBody, ...] = ()
    skip_node_update: bool = False
    token: str = ""
    create_index: Uint = Uint(0)
    modify_index: Uint = Uint(0)


class DeregisterBody(Record, frozen=True, kw_only=True):
    """The body of ``/v1/catalog/deregister``."""

    datacenter: str = ""
    node: str = ""
    service_id: str = ""
    check_id: str = ""
    address: str = ""
    """Taken and ignored, as Consul does."""
    token: str = ""


declare(DefinitionBody, Shape(name="HealthCheckDefinition", custom=True, strict=False))
declare(CheckBody, Shape(name="HealthCheck"))
declare(ServiceBody, Shape(name="NodeService"))
declare(
    RegisterBody, Shape(name="RegisterRequest", member_types={"checks": "structs.HealthChecks"})
)
declare(
    DeregisterBody,
    Shape(name="", custom=True, whole="struct { Address string; *structs.Alias }"),
)
declare(records.Weights, Shape(name="Weights"))
declare(records.ServiceAddress, Shape(name="ServiceAddress"))
declare(records.Connect, Shape(name="ServiceConnect", custom=True, strict=False))
