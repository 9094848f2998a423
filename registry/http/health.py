"""``/v1/health``."""

from __future__ import annotations

from msgspec import structs

from lictor.registry.filter import CHECK_FIELDS, HEALTH_FIELDS
from lictor.registry.queries import (
    ChecksInState,
    NodeChecks,
    ServiceChecks,
    ServiceHealth,
)

from .errors import bad_request
from .filtering import listed
from .options import node_meta
from .outcomes import Ask, Reply
from .request import Request
from .routes import RouteTable

MISSING_SERVICE = "Missing service name"

route = RouteTable(shows_consistency=True, index_on_failure=True)


@route("GET", "/v1/health/node/{node}", acl="node:read", blocking=True)
def list_node_checks(request: Request) -> Ask:
    """All checks of a node."""
    return listed(request, NodeChecks(request.required("Missing node name")), CHECK_FIELDS)


@route("GET", "/v1/health/checks/{service}", acl="service:read", blocking=True)
def list_service_checks(request: Request) -> Ask:
    """All checks of a service's instances."""
    question = ServiceChecks(request.required(MISSING_SERVICE), node_meta(request.query))
    return listed(request, question, CHECK_FIELDS)


@route("GET", "/v1/health/state/{state}", acl="node:read", blocking=True)
def list_checks_in_state(request: Request) -> Ask:
    """All checks with a status; ``any`` for all."""
    question = ChecksInState(request.required("Missing check state"), node_meta(request.query))
    return listed(request, question, CHECK_FIELDS)


@route("GET", "/v1/health/service/{service}", acl="service:read", blocking=True, cacheable=True)
def list_service_health(request: Request) -> Ask:
    """A service's instances with their checks."""
    return _service_health(request, connect=False)


@route("GET", "/v1/health/connect/{service}", acl="service:read", blocking=True, cacheable=True)
def list_connect_health(request: Request) -> Ask:
    """The instances that take mesh traffic for a service, with their checks."""
    return _service_health(request, connect=True)


@route("GET", "/v1/health/ingress/{service}", acl="service:read", blocking=True, cacheable=True)
def list_ingress_health(request: Request) -> Ask:
    """The ingress gateways that expose a service; none while gateways are not configured."""
    asked = _service_health(request, connect=False)
    return Ask(asked.question, lambda _: Reply.of([]))


def _service_health(request: Request, *, connect: bool) -> Ask:
    question = ServiceHealth(
        request.required(MISSING_SERVICE),
        tags=tuple(request.query.all("tag")),
        node_meta=node_meta(request.query),
        connect=connect,
    )
    asked = listed(request, question, HEALTH_FIELDS)
    # Consul's agent looks at ?passing when the servers have answered: last of all
    return Ask(structs.replace(question, passing=_wants_passing(request)), asked.present)


def _wants_passing(request: Request) -> bool:
    """``?passing`` alone means yes; a value is read as Go reads booleans."""
    if not request.query.get("passing"):
        return "passing" in request.query
    wanted = request.flag("passing")
    if wanted is None:
        raise bad_request("Invalid value for ?passing")
    return wanted
