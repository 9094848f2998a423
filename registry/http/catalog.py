"""``/v1/catalog``."""

from __future__ import annotations

from typing import TypeVar

from lictor.registry.commands import Command
from lictor.registry.queries import (
    ListNodes,
    ListNodeServices,
    NameServices,
    NodeServices,
    Question,
    ServiceInstances,
)

from . import registration
from .bodies import DeregisterBody, RegisterBody
from .errors import Stated, bad_request
from .options import node_meta
from .outcomes import Ask, Reply
from .request import Request
from .routes import RouteTable

T = TypeVar("T")

MISSING_NODE = "Missing node name"
MISSING_SERVICE = "Missing service name"

route = RouteTable("catalog", shows_consistency=True, index_on_failure=True)


@route("PUT", "/v1/catalog/register", acl="node:write", namespaced=False)
def register(request: Request) -> Command:
    """Put a node, and at will an instance and checks of it, into the catalogue."""
    return registration.registration(_body(request, RegisterBody), request.config.datacenter)


@route("PUT", "/v1/catalog/deregister", acl="node:write", namespaced=False)
def deregister(request: Request) -> Command:
    """Take a node, an instance or a check out of the catalogue."""
    return registration.deregistration(_body(request, DeregisterBody), request.config.datacenter)


def _body(request: Request, type_: type[T]) -> T:
    """The body; one that names a namespace is told why that is refused."""
    try:
        return request.decode(type_)
    except Stated as error:
        if not str(error).endswith('unknown field "Namespace"'):
            raise
        message = f"{error} - Namespaces are a Consul Enterprise feature"
        raise bad_request(message) from error


@route("GET", "/v1/catalog/datacenters", namespaced=False)
def list_datacenters(request: Request) -> Reply:
    """The known data centres, nearest first."""
    request.read_options  # noqa: B018 - to refuse what cannot be read
    return Reply.of([request.config.datacenter])


@route("GET", "/v1/catalog/nodes", acl="node:read", blocking=True, namespaced=False)
def list_nodes(request: Request) -> Question:
    """All nodes."""
    return ListNodes(node_meta(request.query))


@route("GET", "/v1/catalog/services", acl="service:read", blocking=True, cacheable=True)
def name_services(request: Request) -> Question:
    """The names of all services, each with its tags."""
    return NameServices(node_meta(request.query))


@route("GET", "/v1/catalog/service/{service}", acl="service:read", blocking=True, cacheable=True)
def list_instances(request: Request) -> Question:
    """A service's instances, whatever their health."""
    return _instances(request, connect=False)


@route("GET", "/v1/catalog/connect/{service}", acl="service:read", blocking=True, cacheable=True)
def list_connect_instances(request: Request) -> Question:
    """The instances that take mesh traffic for a service."""
    return _instances(request, connect=True)


def _instances(request: Request, *, connect: bool) -> Question:
    return ServiceInstances(
        request.required(MISSING_SERVICE),
        tags=tuple(request.query.all("tag")),
        node_meta=node_meta(request.query),
        connect=connect,
    )


@route("GET", "/v1/catalog/node/{node}", acl="node:read", blocking=True)
def read_node(request: Request) -> Question:
    """A node, by name or UUID, with its instances by id."""
    return NodeServices(request.required(MISSING_NODE))


@route("GET", "/v1/catalog/node-services/{node}", acl="node:read", blocking=True)
def list_node_services(request: Request) -> Question:
    """A node, by name or UUID, with its instances as a list."""
    return ListNodeServices(request.required(MISSING_NODE))


@route("GET", "/v1/catalog/gateway-services/{gateway}", acl="service:read", blocking=True)
def list_gateway_services(request: Request) -> Ask:
    """The services behind a gateway; none while gateways are not configured."""
    gateway = request.required("Missing gateway name")
    return Ask(ServiceInstances(gateway), lambda _: Reply.of(None))
