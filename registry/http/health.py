"""``/v1/health``."""

from __future__ import annotations

from lictor.registry.filter import HEALTH_FIELDS, compile_filter
from lictor.registry.queries import (
    ChecksInState,
    NodeChecks,
    Question,
    ServiceChecks,
    ServiceHealth,
)

from .errors import bad_request
from .options import check_datacenter, node_meta
from .outcomes import Ask, Reply
from .request import Request
from .routes import RouteTable

MISSING_SERVICE = "Missing service name"

route = RouteTable("health", shows_consistency=True, index_on_failure=True)


@route("GET", "/v1/health/node/{node}", acl="node:read", blocking=True)
def list_node_checks(request: Request) -> Question:
    """All checks of a node."""
    return NodeChecks(request.required("Missing node name"))


@route("GET", "/v1/health/checks/{service}", acl="service:read", blocking=True)
def list_service_checks(request: Request) -> Question:
    """All checks of a service's instances."""
    return ServiceChecks(request.required(MISSING_SERVICE), node_meta(request.query))


@route("GET", "/v1/health/state/{state}", acl="node:read", blocking=True)
def list_checks_in_state(request: Request) -> Question:
    """All checks with a status; ``any`` for all."""
    return ChecksInState(request.required("Missing check state"), node_meta(request.query))


@route("GET", "/v1/health/service/{service}", acl="service:read", blocking=True, cacheable=True)
def list_service_health(request: Request) -> Question:
    """A service's instances with their checks."""
    return _service_health(request, connect=False)


@route("GET", "/v1/health/connect/{service}", acl="service:read", blocking=True, cacheable=True)
def list_connect_health(request: Request) -> Question:
    """The instances that take mesh traffic for a service, with their checks."""
    return _service_health(request, connect=True)


@route("GET", "/v1/health/ingress/{service}", acl="service:read", blocking=True, cacheable=True)
def list_ingress_health(request: Request) -> Ask:
    """The ingress gateways that expose a service; none while gateways are not configured."""
    return Ask(_service_health(request, connect=False), lambda _: Reply.of([]))


def _service_health(request: Request, *, connect: bool) -> ServiceHealth:
    name = request.required(MISSING_SERVICE)
    # Consul's agent looks at ?passing when the servers have answered: last of all
    check_datacenter(request.query, request.config.datacenter)
    compile_filter(request.query.get("filter"), HEALTH_FIELDS)
    return ServiceHealth(
        name,
        tags=tuple(request.query.all("tag")),
        node_meta=node_meta(request.query),
        connect=connect,
        passing=_wants_passing(request),
    )


def _wants_passing(request: Request) -> bool:
    """``?passing`` alone means yes; a value is read as Go reads booleans."""
    if not request.query.get("passing"):
        return "passing" in request.query
    wanted = request.flag("passing")
    if wanted is None:
        raise bad_request("Invalid value for ?passing")
    return wanted
