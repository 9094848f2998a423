"""``/v1/txn``: many steps in one command, or one question when none of them writes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lictor.registry.commands import (
    ApplyOperations,
    CheckOperation,
    KeyOperation,
    NodeOperation,
    Operation,
    ServiceOperation,
)
from lictor.registry.durations import InvalidDuration
from lictor.registry.errors import Refused
from lictor.registry.queries import ReadOperations
from lictor.registry.records import DEFAULT_WEIGHTS, NO_CONNECT, NO_PROXY, Node, NodeService, Record
from lictor.registry.shapes import OperationFailed, Settled
from lictor.registry.state.operations import (
    KEY_WRITES,
    GetCheck,
    GetNode,
    GetService,
    Reading,
)

from .bodies import CheckBody, ServiceBody
from .errors import Stated, bad_request
from .gojson import Shape, Uint, declare, decode
from .gosyntax import InvalidJson
from .options import check_datacenter
from .outcomes import Reply
from .registration import check_of, check_uuid, service_of
from .request import Request
from .routes import RouteTable

MAX_OPERATIONS: Final = 64
UNNAMED: Final = "-"
"""Stands in for a missing check id while rules are applied; Consul refuses it only later."""

route = RouteTable("txn")


class KeyBody(Record, frozen=True, kw_only=True):
    """A step on a key."""

    verb: str = ""
    key: str = ""
    value: bytes | None = None
    flags: Uint = Uint(0)
    index: Uint = Uint(0)
    session: str = ""
    namespace: str = ""


class NodeBody(Record, frozen=True, kw_only=True):
    """A node in a step."""

    id: str = ""
    node: str = ""
    address: str = ""
    datacenter: str = ""
    tagged_addresses: dict[str, str] | None = None
    meta: dict[str, str] | None = None
    create_index: Uint = Uint(0)
    modify_index: Uint = Uint(0)


class NodeStep(Record, frozen=True, kw_only=True):
    """A step on a node."""

    verb: str = ""
    node: NodeBody


class ServiceStep(Record, frozen=True, kw_only=True):
    """A step on an instance."""

    verb: str = ""
    node: str = ""
    service: ServiceBody


class CheckStep(Record, frozen=True, kw_only=True):
    """A step on a check."""

    verb: str = ""
    check: CheckBody


class StepBody(Record, frozen=True, kw_only=True):
    """One step; of several kinds in one, the first counts."""

    kv: KeyBody | None = msgspec.field(name="KV", default=None)
    node: NodeStep | None = None
    service: ServiceStep | None = None
    check: CheckStep | None = None


declare(
    KeyBody,
    Shape(
        name="KVTxnOp", whole="api.KVTxnOp", member_types={"verb": "api.KVOp", "value": "[]uint8"}
    ),
)
declare(NodeBody, Shape(name="Node", whole="api.Node"))
declare(
    NodeStep, Shape(name="NodeTxnOp", whole="api.NodeTxnOp", member_types={"verb": "api.NodeOp"})
)
declare(
    ServiceStep,
    Shape(name="ServiceTxnOp", whole="api.ServiceTxnOp", member_types={"verb": "api.ServiceOp"}),
)
declare(
    CheckStep,
    Shape(name="CheckTxnOp", whole="api.CheckTxnOp", member_types={"verb": "api.CheckOp"}),
)
declare(StepBody, Shape(name="TxnOp", whole="api.TxnOp"))


@route("PUT", "/v1/txn", acl="key:write", reads_options=True, body_limit="txn_max_req_len")
async def apply_transaction(request: Request) -> Reply:
    """Carry out up to 64 steps on keys, nodes, services and checks: all of them or none."""
    steps = [step for step in _steps(request) if step.kv or step.node or step.service or step.check]
    check_datacenter(request.query, request.config.datacenter)
    server = request.server
    datacenter = request.config.datacenter
    operations: list[Operation] = []
    errors: list[OperationFailed] = []
    for place, step in enumerate(steps):
        try:
            operations.append(_operation(step, datacenter))
        except Refused as error:
            what = str(error).removeprefix("failed inserting service: ")
            errors.append(OperationFailed(op_index=place, what=what))
    refused = Settled(results=None, errors=tuple(errors)) if errors else None
    readings = [_reading(step) for step in steps]
    if None not in readings:
        question = ReadOperations(tuple(reading for reading in readings if reading is not None))
        answer = await server.read(question, mode=request.read_options.mode)
        return _read(request, refused or answer.value)
    if refused:
        return Reply.of(refused, status=409)
    result: Any = await server.write(ApplyOperations(tuple(operations)), request.origin)
    settled = msgspec.convert(result, Settled) if isinstance(result, dict) else result
    return Reply.of(settled, status=409 if settled.errors else 200)


class _Read(Record, frozen=True, kw_only=True):
    """What a transaction that only read is answered."""

    results: tuple[dict[str, Any], ...] | None
    errors: tuple[OperationFailed, ...] | None
    index: int
    last_contact: int
    """Nanoseconds."""
    known_leader: bool
    consistency_level: str


def _read(request: Request, settled: Settled) -> Reply:
    server = request.server
    contact = round(server.last_contact * 1000)
    known = server.known_leader
    body = _Read(
        results=settled.results,
        errors=settled.errors,
        index=0,
        last_contact=contact * 1_000_000,
        known_leader=known,
        consistency_level="",
    )
    headers = {
        "X-Consul-Knownleader": "true" if known else "false",
        "X-Consul-Lastcontact": str(contact),
    }
    return Reply.of(body, status=409 if settled.errors else 200, headers=headers)


def _steps(request: Request) -> list[StepBody]:
    try:
        steps: list[StepBody] = decode(request.body, list[StepBody])
    except (InvalidJson, InvalidDuration) as error:
        text = str(error).replace("[]api.TxnOp", "api.TxnOps")
        raise bad_request(f"Failed to parse body: {text}") from error
    if len(steps) > MAX_OPERATIONS:
        message = f"Transaction contains too many operations ({len(steps)} > {MAX_OPERATIONS})"
        raise Stated(413, message)
    limit = request.config.kv_max_value_size
    for step in steps:
        if step.kv and step.kv.value and len(step.kv.value) > limit:
            message = (
                f'Value for key "{step.kv.key}" is too large ({len(step.kv.value)} > {limit} bytes)'
            )
            raise Stated(413, message)
    return steps


def _reading(step: StepBody) -> Reading | None:
    """The step as one that reads; ``None`` when it writes."""
    if step.kv is not None:
        return None if step.kv.verb in KEY_WRITES else _key(step.kv)
    if step.node is not None and step.node.verb == "get":
        return GetNode(step.node.node.id, step.node.node.node)
    if step.service is not None and step.service.verb == "get":
        service = step.service.service
        return GetService(step.service.node, service.id)
    if step.check is not None and step.check.verb == "get":
        return GetCheck(step.check.check.node, step.check.check.check_id)
    return None


def _operation(step: StepBody, datacenter: str) -> Operation:
    """The step as part of a command.

    Raises:
        Refused: it breaks a rule that needs no state.
    """
    if step.kv is not None:
        if not step.kv.key and step.kv.verb != "delete-tree":
            raise Refused("Must provide key")
        return _key(step.kv)
    if step.node is not None:
        return NodeOperation(step.node.verb, _node(step.node, datacenter))
    if step.service is not None:
        return ServiceOperation(step.service.verb, step.service.node, _service(step.service))
    assert step.check is not None, "steps that say nothing were left out"
    body = step.check.check
    check_id = body.check_id or body.name
    check = check_of(msgspec.structs.replace(body, check_id=check_id or UNNAMED), body.node)
    check = msgspec.structs.replace(
        check, check_id=check_id, type=body.type, modify_index=body.modify_index
    )  # the type is taken as it was said, unlike a registration's
    return CheckOperation(step.check.verb, check)


def _key(body: KeyBody) -> KeyOperation:
    return KeyOperation(
        body.verb, body.key, body.value or b"", body.flags, body.index, body.session
    )


def _node(step: NodeStep, datacenter: str) -> Node:
    body = step.node
    if step.verb != "get":
        if not body.node:
            raise Refused("Must provide node")
        if body.id:
            check_uuid(body.id)
    return Node(
        id=body.id,
        name=body.node,
        address=body.address,
        datacenter=body.datacenter or datacenter,
        tagged_addresses=body.tagged_addresses,
        meta=body.meta,
        create_index=0,
        modify_index=body.modify_index,
    )


def _service(step: ServiceStep) -> NodeService:
    body = step.service
    if step.verb != "get" and (body.id or body.service):
        service = service_of(body, step.node)
        return msgspec.structs.replace(service, modify_index=body.modify_index)
    return NodeService(
        id=body.id,
        name=body.service,
        tags=None,
        address="",
        meta=None,
        port=0,
        weights=DEFAULT_WEIGHTS,
        enable_tag_override=False,
        proxy=NO_PROXY,
        connect=NO_CONNECT,
        create_index=0,
        modify_index=0,
    )
