"""``/v1/session``."""

from __future__ import annotations

from typing import Final

from lictor.raft.runtime import uuid4
from lictor.registry import durations
from lictor.registry.commands import Command, CreateSession, DestroySession
from lictor.registry.errors import NotFound, Refused
from lictor.registry.queries import ListSessions, NodeSessions, Question, ReadSession
from lictor.registry.records import (
    SERF_HEALTH,
    Record,
    Session,
    SessionServiceCheck,
)

from .errors import Stated
from .gojson import LockDelay, Shape, declare
from .gourl import uuid_problem
from .options import check_datacenter
from .outcomes import Propose, Reply
from .request import Request
from .routes import RouteTable

MISSING_SESSION: Final = "Missing session"
TTL_MAX: Final = 86_400.0
"""Seconds."""

DEFAULT_LOCK_DELAY: Final = LockDelay(15 * durations.NANOSECONDS)

route = RouteTable("session", index_on_failure=True)


class ServiceCheckBody(Record, frozen=True, kw_only=True):
    """A service check that a session is to depend on."""

    id: str = ""
    namespace: str = ""


class SessionBody(Record, frozen=True, kw_only=True):
    """The body of ``/v1/session/create``."""

    id: str = ""
    name: str = ""
    node: str | None = None
    """Absent takes the agent's node; empty is refused."""
    lock_delay: LockDelay = DEFAULT_LOCK_DELAY
    behavior: str = ""
    ttl: str = ""
    node_checks: tuple[str, ...] | None = (SERF_HEALTH,)
    service_checks: tuple[ServiceCheckBody, ...] | None = None
    checks: tuple[str, ...] | None = None


declare(ServiceCheckBody, Shape(name="ServiceCheck"))
declare(
    SessionBody,
    Shape(
        name="",
        custom=True,
        whole="struct { LockDelay interface {}; *structs.Alias }",
        member_types={"checks": "[]types.CheckID", "behavior": "structs.SessionBehavior"},
    ),
)


@route("PUT", "/v1/session/create", acl="session:write")
def create_session(request: Request) -> Propose:
    """Make a session; without a body, one of this agent's node."""
    body = request.decode(SessionBody, strict=False, empty_is_null=True)
    check_datacenter(request.query, request.config.datacenter)
    node = request.config.node_name if body.node is None else body.node
    if not node:
        raise Refused("Must provide Node")
    if body.behavior not in {"", "release", "delete"}:
        message = f"Invalid Behavior setting '{body.behavior}'"
        raise Refused(message)
    _check_ttl(body.ttl, request.config.session_ttl_min)
    session = Session(
        id=uuid4(request.around.runtime.rng),
        name=body.name,
        node=node,
        lock_delay=body.lock_delay,
        behavior=body.behavior or "release",
        ttl=body.ttl,
        node_checks=body.node_checks if body.checks is None else body.checks,
        service_checks=None
        if body.service_checks is None
        else tuple(
            SessionServiceCheck(id=check.id, namespace=check.namespace)
            for check in body.service_checks
        ),
        create_index=0,
        modify_index=0,
    )
    return Propose(CreateSession(session), lambda created: Reply.of({"ID": created}))


def _check_ttl(text: str, shortest: float) -> None:
    """Refuse a TTL that cannot be read or kept; none is fine."""
    if not text:
        return
    try:
        ttl = durations.parse_ns(text)
    except durations.InvalidDuration as error:
        message = f"Session TTL '{text}' invalid: {error}"
        raise Refused(message) from error
    if ttl and not shortest * durations.NANOSECONDS <= ttl <= TTL_MAX * durations.NANOSECONDS:
        message = (
            f"Invalid Session TTL '{ttl}', must be between "
            f"[{durations.format(shortest)}={durations.format(TTL_MAX)}]"
        )
        raise Refused(message)


@route("PUT", "/v1/session/destroy/{session}", acl="session:write")
def destroy_session(request: Request) -> Command:
    """End a session; an unknown one is fine."""
    session = request.required(MISSING_SESSION)
    check_datacenter(request.query, request.config.datacenter)
    return DestroySession(_id(session))


@route("PUT", "/v1/session/renew/{session}", acl="session:write")
async def renew_session(request: Request) -> Reply:
    """Start a session's lease again."""
    session = request.required(MISSING_SESSION)
    check_datacenter(request.query, request.config.datacenter)
    try:
        return Reply.of([await request.server.renew_session(_id(session))])
    except NotFound as error:
        raise Stated(404, str(error)) from error


@route("GET", "/v1/session/info/{session}", acl="session:read", blocking=True)
def read_session(request: Request) -> Question:
    """One session, as a list."""
    session = request.required(MISSING_SESSION)
    check_datacenter(request.query, request.config.datacenter)
    return ReadSession(_id(session))


@route("GET", "/v1/session/node/{node}", acl="session:read", blocking=True)
def list_node_sessions(request: Request) -> Question:
    """A node's sessions."""
    return NodeSessions(request.required("Missing node name"))


@route("GET", "/v1/session/list", acl="session:read", blocking=True)
def list_sessions(_: Request) -> Question:
    """All sessions."""
    return ListSessions()


def _id(text: str) -> str:
    """``text`` as session ids are stored.

    Raises:
        Refused: it is no UUID.
    """
    problem = uuid_problem(text)
    if problem:
        message = f"failed session lookup: index error: {problem}"
        raise Refused(message)
    return text.lower()
