"""From a catalogue registration to the command: rules, defaults and Consul's words for failures.

Pure. What depends on the state (node names, service of a check) is refused when the command is
applied.
"""

from __future__ import annotations

from string import hexdigits
from typing import Final

import msgspec

from lictor.registry import durations
from lictor.registry.agent.definitions import ConnectDefinition, ServiceDefinition, node_service
from lictor.registry.agent.validation import kind_problems, listed, meta_problem
from lictor.registry.commands import DeregisterEntity, RegisterEntity
from lictor.registry.errors import Refused
from lictor.registry.records import (
    CRITICAL,
    DEFAULT_WEIGHTS,
    UUID_TEXT,
    CheckDefinition,
    HealthCheck,
    Node,
    NodeService,
    Proxy,
)

from .bodies import CheckBody, DefinitionBody, DeregisterBody, RegisterBody, ServiceBody

UUID_LENGTH: Final = 36
UUID_HYPHENS: Final = (8, 13, 18, 23)

_WILDCARDS: Final = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104 - refused, not bound


def registration(body: RegisterBody, datacenter: str) -> RegisterEntity:
    """The command that ``body`` asks for.

    Raises:
        Refused: it breaks a rule; the text is Consul's.
    """
    _check_datacenter(body.datacenter, datacenter)
    if not body.node:
        raise Refused("Must provide node")
    if not body.address and not body.skip_node_update:
        raise Refused("Must provide address if SkipNodeUpdate is not set")
    if body.id:
        check_uuid(body.id)
    service = service_of(body.service, body.node) if body.service is not None else None
    checks = (*body.checks, body.check) if body.check is not None else body.checks
    return RegisterEntity(
        node=Node(
            id=body.id,
            name=body.node,
            address=body.address,
            datacenter=datacenter,
            tagged_addresses=body.tagged_addresses,
            meta=body.node_meta,
            create_index=0,
            modify_index=0,
        ),
        service=service,
        checks=tuple(check_of(check, body.node) for check in checks),
        skip_node_update=body.skip_node_update,
    )


def deregistration(body: DeregisterBody, datacenter: str) -> DeregisterEntity:
    """The command that ``body`` asks for.

    Raises:
        Refused: no node, or a data centre that nobody knows.
    """
    _check_datacenter(body.datacenter, datacenter)
    if not body.node:
        raise Refused("Must provide node")
    return DeregisterEntity(node=body.node, service_id=body.service_id, check_id=body.check_id)


def _check_datacenter(wanted: str, datacenter: str) -> None:
    if wanted and wanted != datacenter:
        raise Refused("No path to datacenter")


def check_uuid(text: str) -> None:
    """Refuse what is no UUID, in Consul's words."""
    if len(text) != UUID_LENGTH:
        raise Refused("Bad node ID: uuid string is wrong length")
    if any(text[place] != "-" for place in UUID_HYPHENS):
        raise Refused("Bad node ID: uuid is improperly formatted")
    if not UUID_TEXT.fullmatch(text):
        bad = next((char for char in text.replace("-", "") if char not in hexdigits), "-")
        message = f"Bad node ID: encoding/hex: invalid byte: U+{ord(bad):04X} '{bad}'"
        raise Refused(message)


def service_of(body: ServiceBody, node: str) -> NodeService:
    """The instance that ``body`` describes, on ``node``.

    Raises:
        Refused: it breaks a rule.
    """
    if body.id and not body.service:
        raise Refused("Must provide service name with ID")
    if body.address in _WILDCARDS:
        raise Refused("Invalid service address")
    said = ServiceDefinition(
        kind=body.kind,
        name=body.service,
        port=body.port,
        socket_path=body.socket_path,
        proxy=body.proxy,
        connect=ConnectDefinition(native=body.connect.native),
    )
    if problems := kind_problems(said):
        raise Refused(listed(problems))
    if not body.service:
        raise Refused(
            "failed inserting service: failed inserting service: object missing primary index"
        )
    service_id = body.id or body.service
    if problem := meta_problem(body.meta or {}):
        message = (
            f"failed inserting service: Invalid Service Meta for node {node} and "
            f"serviceID {service_id}: {problem}"
        )
        raise Refused(message)
    weights = body.weights
    return NodeService(
        kind=body.kind,
        id=service_id,
        name=body.service,
        tags=body.tags,
        address=body.address,
        tagged_addresses=body.tagged_addresses,
        meta=body.meta,
        port=body.port,
        socket_path=body.socket_path,
        # observed: a weight that DNS could not use makes the whole pair the default
        weights=weights if weights and weights.passing > 0 else DEFAULT_WEIGHTS,
        enable_tag_override=body.enable_tag_override,
        proxy=_proxy(said),
        connect=body.connect,
        create_index=0,
        modify_index=0,
    )


def _proxy(said: ServiceDefinition) -> Proxy:
    """What was said of the proxy; unlike an agent, the catalogue adds nothing to it."""
    proxy = node_service(said).proxy
    upstreams = said.proxy.upstreams if said.proxy and said.proxy.upstreams else ()
    return msgspec.structs.replace(
        proxy,
        upstreams=tuple(
            msgspec.structs.replace(upstream, destination_type=as_said.destination_type)
            for upstream, as_said in zip(proxy.upstreams, upstreams, strict=True)
        ),
    )


def check_of(body: CheckBody, node: str) -> HealthCheck:
    """The check that ``body`` describes, on ``node``.

    Raises:
        Refused: it breaks a rule.
    """
    if body.node and body.node.lower() != node.lower():
        message = f'check node "{body.node}" does not match node "{node}"'
        raise Refused(message)
    check_id = body.check_id or body.name
    if not check_id:
        message = (
            "failed inserting check: failed inserting check: object missing primary index "
            f'on node "{node}"'
        )
        raise Refused(message)
    return HealthCheck(
        node=node,
        check_id=check_id,
        name=body.name,
        status=body.status or CRITICAL,
        notes=body.notes,
        output=body.output,
        service_id=body.service_id,
        service_name=body.service_name,
        service_tags=body.service_tags,
        type=body.type or _type_of(body.definition),
        definition=_definition(body.definition),
        create_index=0,
        modify_index=0,
    )


def _type_of(definition: DefinitionBody) -> str:
    if definition.interval <= 0:
        return ""
    if definition.http:
        return "http"
    return "tcp" if definition.tcp else ""


def _definition(body: DefinitionBody) -> CheckDefinition:
    return CheckDefinition(
        interval=_text(body.interval),
        timeout=_text(body.timeout),
        deregister_critical_service_after=_text(body.deregister_critical_service_after),
        http=body.http,
        header=body.header or None,
        method=body.method,
        body=body.body,
        tls_server_name=body.tls_server_name,
        tls_skip_verify=body.tls_skip_verify,
        tcp=body.tcp,
    )


def _text(nanoseconds: int) -> str:
    return durations.format_ns(nanoseconds) if nanoseconds else ""
