"""``/v1/connect/intentions``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lictor.connect import intentions as rules
from lictor.raft.runtime import uuid4
from lictor.registry.agent.validation import listed
from lictor.registry.answers import Answer
from lictor.registry.commands import Command, DeleteIntention, SetIntention
from lictor.registry.errors import NotFound, Refused
from lictor.registry.queries import ListIntentions
from lictor.registry.records import Record, SourceIntention

from .errors import Stated, bad_request
from .gojson import Shape, Uint, declare
from .gourl import uuid_problem
from .intention_shapes import Intention, intentions
from .options import check_datacenter
from .outcomes import Ask, Propose, Reply
from .request import Request
from .routes import RouteTable

ACTIONS: Final = frozenset({"allow", "deny"})
CONSUL: Final = "consul"
PATH: Final = "/v1/connect/intentions"

route = RouteTable("intentions", index_on_failure=True)


class IntentionBody(Record, frozen=True, kw_only=True):
    """A rule as clients send it. What they cannot set is taken and ignored."""

    id: str = ""
    description: str = ""
    source_ns: str = ""
    source_name: str = ""
    destination_ns: str = ""
    destination_name: str = ""
    source_type: str = ""
    action: str = ""
    permissions: tuple[dict[str, Any], ...] | None = None
    default_addr: str = ""
    default_port: int = 0
    meta: dict[str, str] | None = None
    precedence: int = 0
    created_at: str = ""
    updated_at: str = ""
    hash: str = ""
    create_index: Uint = Uint(0)
    modify_index: Uint = Uint(0)


declare(
    IntentionBody,
    Shape(
        name="",
        custom=True,
        strict=True,
        whole="struct { Hash string; CreatedAt string; UpdatedAt string; *structs.Alias }",
    ),
)


@route("GET", PATH, acl="intentions:read", blocking=True, namespaced=False)
def list_intentions(_: Request) -> Ask:
    """All rules, most specific first."""
    return Ask(ListIntentions(), lambda answer: Reply.of(intentions(answer.value)))


@route("POST", PATH, acl="intentions:write", namespaced=False)
def create_intention(request: Request) -> Propose:
    """Make a rule and answer its id."""
    body = _decode(request, lambda error: Refused(f"Failed to decode request body: {error}"))
    if body.id:
        raise Refused("ID must be empty when creating a new intention")
    _validate(body)
    check_datacenter(request.query, request.config.datacenter)
    id_ = uuid4(request.around.runtime.rng)
    now = int(request.around.runtime.clock.wall() * 1e9)
    command = SetIntention(
        body.destination_name, _source(body, id_=id_, created=now, updated=now), only_new=True
    )
    return Propose(command, lambda _: Reply.of({"ID": id_}))


@route("GET", PATH + "/{id}", acl="intentions:read", namespaced=False)
async def read_intention(request: Request) -> Reply:
    """One rule by its id."""
    if problem := uuid_problem(request.rest):
        raise bad_request(f"Bad request: failed intention lookup: index error: {problem}")
    found = _by_id(await _all(request), request.rest)
    if found is None:
        raise NotFound("Intention not found")
    return Reply.of(found)


@route("PUT", PATH + "/{id}", acl="intentions:write", namespaced=False)
async def replace_intention(request: Request) -> Reply:
    """Replace the rule with this id; its ends may change."""
    body = _decode(
        request, lambda error: bad_request(f"Bad request: Request decode failed: {error}")
    )
    old = await _existing(request, "modify")
    _validate(body)
    source = _source(
        body,
        id_=old.id,
        created=await _created(request, old),
        updated=int(request.around.runtime.clock.wall() * 1e9),
    )
    moved = (body.source_name, body.destination_name) != (old.source_name, old.destination_name)
    await _write(request, SetIntention(body.destination_name, source, only_new=moved))
    if moved:
        await _write(request, DeleteIntention(old.destination_name, old.source_name))
    return Reply.of({"ID": old.id})


@route("DELETE", PATH + "/{id}", acl="intentions:write", namespaced=False)
async def delete_intention(request: Request) -> Reply:
    """Delete the rule with this id."""
    old = await _existing(request, "delete")
    await _write(request, DeleteIntention(old.destination_name, old.source_name))
    return Reply.of(True)  # noqa: FBT003 - the value is the answer


@route("GET", PATH + "/exact", acl="intentions:read", since="1.9", namespaced=False)
async def read_exact(request: Request) -> Reply:
    """The rule for exactly these ends."""
    source, destination = _ends(request)
    for rule in await _all(request):
        if (rule.source_name, rule.destination_name) == (source, destination):
            return Reply.of(rule)
    raise NotFound("Intention not found")


@route("PUT", PATH + "/exact", acl="intentions:write", since="1.9", namespaced=False)
def write_exact(request: Request) -> Command:
    """Make or replace the rule for exactly these ends."""
    source, destination = _ends(request)
    body = _decode(request, lambda error: bad_request(f"Request decode failed: {error}"))
    merged = IntentionBody(
        source_name=source,
        destination_name=destination,
        description=body.description,
        source_type=body.source_type,
        action=body.action,
        permissions=body.permissions,
        meta=body.meta,
    )
    _validate(merged)
    check_datacenter(request.query, request.config.datacenter)
    return SetIntention(destination, _source(merged, id_="", created=0, updated=0))


@route("DELETE", PATH + "/exact", acl="intentions:write", since="1.9", namespaced=False)
def delete_exact(request: Request) -> Command:
    """Delete the rule for exactly these ends; none is fine."""
    source, destination = _ends(request)
    check_datacenter(request.query, request.config.datacenter)
    return DeleteIntention(destination, source)


@route("GET", PATH + "/match", acl="intentions:read", namespaced=False)
async def match_intentions(request: Request) -> Reply:
    """The rules that bear on each named service, in the order in which they are consulted."""
    if "by" not in request.query:
        raise Refused("required query parameter 'by' not set")
    by = request.query.get("by")
    if by not in {"source", "destination"}:
        raise Refused("'by' parameter must be one of 'source' or 'destination'")
    names = request.query.all("name")
    if not names:
        raise Refused("required query parameter 'name' not set")
    wanted = {name: _service_name(name) for name in names}
    found = await _all(request)
    return Reply.of(
        {text: rules.matching(found, by=by, name=name) or None for text, name in wanted.items()}
    )


@route("GET", PATH + "/check", acl="service:read", namespaced=False)
async def check_intention(request: Request) -> Reply:
    """Whether one service may open a connection to another."""
    source, destination = _ends(request)
    source_type = request.query.get("source-type")
    if source_type not in {"", CONSUL}:
        message = f'unsupported SourceType: "{source_type}"'
        raise Refused(message)
    verdict = rules.decide(
        await _all(request),
        source=source,
        destination=destination,
        default_allow=request.config.default_allow,
    )
    return Reply.of({"Allowed": verdict.allowed})


# -- parts ----------------------------------------------------------------------------------------


def _decode(request: Request, refusal: Callable[[str], Exception]) -> IntentionBody:
    try:
        return request.decode(IntentionBody)
    except Stated as error:
        raise refusal(str(error).removeprefix("Request decode failed: ")) from error


def _validate(body: IntentionBody) -> None:
    """Refuse a rule that could not be consulted.

    Raises:
        Refused: listing every problem, in Consul's words.
    """
    problems = [
        *_name_problems("SourceName", body.source_name),
        *_name_problems("DestinationName", body.destination_name),
    ]
    if body.action not in ACTIONS and not (body.permissions and not body.action):
        problems.append("Action must be set to 'allow' or 'deny'")
    if body.source_type not in {"", CONSUL}:
        problems.append("SourceType must be set to 'consul'")
    if problems:
        raise Refused(listed(problems))


def _name_problems(field: str, name: str) -> list[str]:
    if not name:
        return [f"{field} must be set"]
    if rules.WILDCARD in name and name != rules.WILDCARD:
        return [f"{field}: wildcard character '*' cannot be used with partial values"]
    return []


def _source(body: IntentionBody, *, id_: str, created: int, updated: int) -> SourceIntention:
    return SourceIntention(
        name=body.source_name,
        action=body.action,
        precedence=rules.precedence(body.source_name, body.destination_name),
        type=body.source_type or CONSUL,
        description=body.description,
        permissions=body.permissions,
        legacy_id=id_,
        legacy_meta=body.meta,
        legacy_create_time=created,
        legacy_update_time=updated,
    )


def _ends(request: Request) -> tuple[str, str]:
    for name in ("source", "destination"):
        if name not in request.query:
            message = f"required query parameter '{name}' not set"
            raise Refused(message)
    query = request.query
    return (
        _service_name(query.get("source"), "source"),
        _service_name(query.get("destination"), "destination"),
    )


def _service_name(text: str, parameter: str = "name") -> str:
    """The service in ``name`` or ``namespace/name``, the value of ``parameter``."""
    namespace, slash, name = text.partition("/")
    if "/" in name:
        message = f"{parameter} \"{text}\" is invalid: input can contain at most one '/'"
        raise Refused(message)
    return name if slash else namespace


async def _answer(request: Request) -> Answer:
    check_datacenter(request.query, request.config.datacenter)
    return await request.server.read(ListIntentions(), mode=request.read_options.mode)


async def _all(request: Request) -> list[Intention]:
    return intentions((await _answer(request)).value)


async def _existing(request: Request, verb: str) -> Intention:
    if problem := uuid_problem(request.rest):
        message = f"Intention lookup failed: failed intention lookup: index error: {problem}"
        raise Refused(message)
    found = _by_id(await _all(request), request.rest)
    if found is None:
        message = f"Cannot {verb} non-existent intention: '{request.rest}'"
        raise Refused(message)
    return found


async def _created(request: Request, rule: Intention) -> int:
    """When ``rule`` was made, in nanoseconds."""
    for entry in (await _answer(request)).value:
        for source in entry.sources:
            if source.legacy_id == rule.id:
                return int(source.legacy_create_time)
    return 0


def _by_id(found: list[Intention], id_: str) -> Intention | None:
    return next((rule for rule in found if rule.id and rule.id == id_.lower()), None)


async def _write(request: Request, command: SetIntention | DeleteIntention) -> object:
    return await request.server.write(command, request.origin)
