"""``/v1/agent``: this agent's own services, checks and members."""

from __future__ import annotations

from typing import Any, Final

from lictor.registry.agent.definitions import CheckDefinition, ServiceDefinition
from lictor.registry.errors import Refused
from lictor.registry.records import CRITICAL, PASSING, WARNING

from .agent_answers import (
    ENVOYS,
    NO_HEALTH,
    NOWHERE,
    AgentSelf,
    SelfConfig,
)
from .agent_bodies import CheckUpdate
from .errors import Stated, bad_request
from .filtering import agent_checks, agent_services
from .gourl import quoted
from .options import refuse_namespace, waiting
from .outcomes import Reply
from .request import Request
from .root import COMPATIBLE_VERSION
from .routes import RouteTable

STATUSES: Final = frozenset({PASSING, WARNING, CRITICAL})
HEALTH_STATUS: Final = {PASSING: 200, WARNING: 429, CRITICAL: 503, "maintenance": 503}
SEVERITY: Final = (PASSING, WARNING, CRITICAL, "maintenance")
DONE: Final = Reply()
"""Success without a word."""

route = RouteTable("agent")


@route("GET", "/v1/agent/self", acl="agent:read", namespaced=False)
def read_self(request: Request) -> Reply:
    """Who this agent is, how it is configured, and how it fares."""
    config = request.config
    members = request.agent.members()
    return Reply.of(
        AgentSelf(
            config=SelfConfig(
                datacenter=config.datacenter,
                node_name=config.node_name,
                node_id=config.node_id,
                revision="",
                server=config.server,
                version=COMPATIBLE_VERSION,
            ),
            debug_config=request.agent.debug_config(),
            coord=NOWHERE,
            member=members[0] if members else None,
            stats=request.agent.stats(),
            meta=config.meta,
            xds=ENVOYS,
        )
    )


@route("GET", "/v1/agent/members", acl="node:read", namespaced=False)
def list_members(request: Request) -> Reply:
    """The members of the cluster that this agent knows; ``?wan`` those of all data centres."""
    if request.query.get("segment") not in {"", "_all"}:
        raise Refused("Network segments are not supported in this version of Consul")
    return Reply.of(request.agent.members(wan=bool(request.query.get("wan"))))


@route("PUT", "/v1/agent/join/{address}", acl="agent:write", namespaced=False)
async def join(request: Request) -> Reply:
    """Join a cluster through one of its members."""
    await request.agent.join(request.rest, wan=request.query.get("wan") == "1")
    return DONE


@route("PUT", "/v1/agent/leave", acl="agent:write", namespaced=False)
async def leave(request: Request) -> Reply:
    """Leave the cluster and stop."""
    await request.agent.leave()
    return DONE


@route("PUT", "/v1/agent/force-leave/{node}", acl="operator:write", namespaced=False)
async def force_leave(request: Request) -> Reply:
    """Make a failed member leave; ``?prune`` removes it at once."""
    await request.agent.force_leave(request.rest, prune="prune" in request.query)
    return DONE


@route("PUT", "/v1/agent/reload", acl="agent:write", namespaced=False)
async def reload(request: Request) -> Reply:
    """Read the configuration again."""
    await request.agent.reload_config()
    return DONE


@route("PUT", "/v1/agent/maintenance", acl="node:write", namespaced=False)
async def maintain_node(request: Request) -> Reply:
    """Begin or end the node's maintenance."""
    enable = _enable(request)
    await request.agent.node_maintenance(enable=enable, reason=request.query.get("reason"))
    return DONE


@route("PUT", "/v1/agent/token/{kind}", acl="agent:write", namespaced=False)
def set_token(_: Request) -> Reply:
    """Set one of the agent's own tokens; refused while there are no ACLs."""
    raise Stated(401, "ACL support disabled")


# -- services -------------------------------------------------------------------------------------


@route("GET", "/v1/agent/services", acl="service:read")
def list_services(request: Request) -> Reply:
    """This agent's services by id."""
    return Reply.of(agent_services(request, request.agent.services()))


@route("GET", "/v1/agent/service/{service}", acl="service:read")
async def read_service(request: Request) -> Reply:
    """One service; with ``?hash``, as soon as its content hash differs."""
    wait, _ = waiting(request.query)
    service = await request.agent.service(request.rest, hash_=request.query.get("hash"), wait=wait)
    return Reply.of(service, headers={"X-Consul-Contenthash": service.content_hash})


@route("PUT", "/v1/agent/service/register", acl="service:write")
async def register_service(request: Request) -> Reply:
    """Register a service, or replace it, with its checks."""
    definition = request.decode(ServiceDefinition)
    await request.agent.register_service(
        definition,
        replace_existing_checks=_is_on(request, "replace-existing-checks"),
        token=request.token,
    )
    return DONE


@route("PUT", "/v1/agent/service/deregister/{service}", acl="service:write")
async def deregister_service(request: Request) -> Reply:
    """Remove a service, its checks and its sidecar."""
    if not request.rest:
        raise Refused("ServiceID missing")
    await request.agent.deregister_service(request.rest)
    return DONE


@route("PUT", "/v1/agent/service/maintenance/{service}", acl="service:write", namespaced=False)
async def maintain_service(request: Request) -> Reply:
    """Begin or end a service's maintenance."""
    service = request.required("Missing service ID")
    enable = _enable(request)
    refuse_namespace(request.query, request.headers)
    reason = request.query.get("reason")
    await request.agent.service_maintenance(service, enable=enable, reason=reason)
    return DONE


# -- checks ---------------------------------------------------------------------------------------


@route("GET", "/v1/agent/checks", acl="node:read")
def list_checks(request: Request) -> Reply:
    """This agent's checks by id."""
    return Reply.of(agent_checks(request, request.agent.checks()))


@route("PUT", "/v1/agent/check/register", acl="node:write")
async def register_check(request: Request) -> Reply:
    """Register a check, or replace it."""
    await request.agent.register_check(request.decode(CheckDefinition), token=request.token)
    return DONE


@route("PUT", "/v1/agent/check/deregister/{check}", acl="node:write")
async def deregister_check(request: Request) -> Reply:
    """Remove a check."""
    if not request.rest:
        raise Refused("CheckID missing")
    await request.agent.deregister_check(request.rest)
    return DONE


@route("PUT", "/v1/agent/check/pass/{check}", acl="node:write")
async def pass_check(request: Request) -> Reply:
    """Report that a TTL check passes."""
    return await _report(request, PASSING, request.query.get("note"))


@route("PUT", "/v1/agent/check/warn/{check}", acl="node:write")
async def warn_check(request: Request) -> Reply:
    """Report that a TTL check warns."""
    return await _report(request, WARNING, request.query.get("note"))


@route("PUT", "/v1/agent/check/fail/{check}", acl="node:write")
async def fail_check(request: Request) -> Reply:
    """Report that a TTL check is critical."""
    return await _report(request, CRITICAL, request.query.get("note"))


@route("PUT", "/v1/agent/check/update/{check}", acl="node:write")
async def update_check(request: Request) -> Reply:
    """Report a TTL check's status and output."""
    update = request.decode(CheckUpdate)
    if update.status not in STATUSES:
        message = f"Invalid check status: '{update.status}'"
        raise bad_request(message)
    return await _report(request, update.status, update.output)


async def _report(request: Request, status: str, output: str) -> Reply:
    await request.agent.update_ttl(request.rest, status, output)
    return DONE


# -- local health ---------------------------------------------------------------------------------


@route("GET", "/v1/agent/health/service/id/{service}", acl="service:read")
def read_health(request: Request) -> Reply:
    """The health of one service of this agent, as this agent sees it."""
    if not request.rest:
        # a quirk of Consul 1.8: its own kind of 400 arrives as a 500
        raise Refused("Bad request: Missing serviceID")
    health = request.agent.local_health(request.rest)
    if health is None:
        reason = f"ServiceId {request.rest} not found"
        headers = {"X-Consul-Reason": reason}
        if _wants_text(request):
            return Reply.of(reason, status=404, headers=headers)
        return Reply.of(NO_HEALTH, status=404, headers=headers)
    return _health(request, health.aggregated_status, health)


@route("GET", "/v1/agent/health/service/name/{service}", acl="service:read")
def list_health(request: Request) -> Reply:
    """The health of this agent's services of one name; the worst decides the status."""
    if not request.rest:
        raise Refused("Bad request: Missing service Name")
    found = request.agent.local_health_by_name(request.rest)
    if not found:
        reason = f"ServiceName {request.rest} Not Found"
        headers = {"X-Consul-Reason": reason}
        if _wants_text(request):
            return Reply(404, reason.encode(), "text/plain", headers)
        return Reply.of([], status=404, headers=headers)
    worst = max((health.aggregated_status for health in found), key=SEVERITY.index)
    return _health(request, worst, found)


def _health(request: Request, status: str, value: Any) -> Reply:
    headers = {"X-Consul-Reason": status}
    code = HEALTH_STATUS[status]
    if _wants_text(request):
        return Reply(code, status.encode(), "text/plain", headers)
    return Reply.of(value, status=code, headers=headers)


def _wants_text(request: Request) -> bool:
    if "format" in request.query:
        return request.query.get("format") == "text"
    return request.headers.get("Accept", "").startswith("text/plain")


# -- parameters -----------------------------------------------------------------------------------


def _enable(request: Request) -> bool:
    if "enable" not in request.query:
        raise bad_request("Missing value for enable")
    enable = request.flag("enable")
    if enable is None:
        message = f"Invalid value for enable: {quoted(request.query.get('enable'))}"
        raise bad_request(message)
    return enable


def _is_on(request: Request, name: str) -> bool:
    """Whether a parameter is present, alone or as ``true``."""
    return name in request.query and request.query.get(name) in {"", "true"}
