"""Every question the registry answers, and how.

A :class:`Question` is a value: equal questions have equal answers at the same state, so one
evaluation serves everybody who asks. Evaluation reads through a :class:`~.state.view.View`, which
remembers what would change the answer.

Lists are ordered by node name, then instance or check id, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final, Literal, TypeAlias

import msgspec

from .filter import (
    CATALOG_SERVICE_FIELDS,
    CHECK_FIELDS,
    HEALTH_FIELDS,
    NODE_FIELDS,
    SERVICE_FIELDS,
    Fields,
    compile_filter,
)
from .records import (
    CRITICAL,
    PASSING,
    CheckServiceNode,
    HealthCheck,
    KVEntry,
    Node,
    ServiceInstance,
    ServiceIntentions,
    Session,
)
from .shapes import (
    CatalogService,
    NodeServiceList,
    NodeWithServices,
    catalog_service,
    listed_check,
    listed_service,
)
from .state.view import View

Mode: TypeAlias = Literal["default", "consistent", "stale"]
"""How fresh an answer must be: the leader's, the leader's with its office confirmed, anybody's."""

Meta = tuple[tuple[str, str], ...]
"""Node metadata that must all match, as pairs."""


class Question(msgspec.Struct, frozen=True, tag=True):
    """What can be asked; hashable. Its name is its tag between agents."""


class ReadKey(Question, frozen=True):
    """One key. Value: ``KVEntry`` or ``None``."""

    key: str


class ListKeys(Question, frozen=True):
    """Every key below a prefix, ascending. Value: a list of ``KVEntry``."""

    prefix: str


class NameKeys(Question, frozen=True):
    """The names below a prefix, cut after the first separator. Value: a list of text."""

    prefix: str
    separator: str = ""


class NameServices(Question, frozen=True):
    """Service names and the union of their tags. Value: a dict."""

    node_meta: Meta = ()


class ServiceInstances(Question, frozen=True):
    """A service's instances whatever their health. Value: a list of ``CatalogService``."""

    name: str
    tags: tuple[str, ...] = ()
    """All must be present, in any letter case; an empty text is a tag too."""
    node_meta: Meta = ()
    connect: bool = False
    """Instances that take mesh traffic for the service, instead of its own."""


class ServiceHealth(Question, frozen=True):
    """A service's instances with their checks. Value: a list of ``CheckServiceNode``."""

    name: str
    tags: tuple[str, ...] = ()
    node_meta: Meta = ()
    connect: bool = False
    passing: bool = False
    """Only instances whose every check passes."""


class ListNodes(Question, frozen=True):
    """All nodes. Value: a list of ``Node``."""

    node_meta: Meta = ()


class ReadNode(Question, frozen=True):
    """One node by name in any letter case. Value: ``Node`` or ``None``."""

    node: str


class NodeServices(Question, frozen=True):
    """A node, by name or UUID, with its instances. Value: ``NodeWithServices`` or ``None``."""

    node: str


class ListNodeServices(Question, frozen=True):
    """The same as a list. Value: ``NodeServiceList``."""

    node: str


class NodeChecks(Question, frozen=True):
    """All checks of a node. Value: a list of ``HealthCheck``."""

    node: str


class ServiceChecks(Question, frozen=True):
    """All checks of a service's instances. Value: a list of ``HealthCheck``."""

    name: str
    node_meta: Meta = ()


class ChecksInState(Question, frozen=True):
    """All checks with a status; ``any`` for all. Value: a list of ``HealthCheck``."""

    state: str
    node_meta: Meta = ()


class ReadSession(Question, frozen=True):
    """One session. Value: a list of ``Session``, empty or of one."""

    id: str


class NodeSessions(Question, frozen=True):
    """A node's sessions by id. Value: a list of ``Session``."""

    node: str


class ListSessions(Question, frozen=True):
    """All sessions by id. Value: a list of ``Session``."""


class ListIntentions(Question, frozen=True):
    """All rules. Value: a list of ``ServiceIntentions``, by destination."""


class FindAddress(Question, frozen=True):
    """Who has an IP address. Value: :class:`AddressOwner` or ``None``."""

    address: str


class AddressOwner(msgspec.Struct, frozen=True):
    """A node that has an address, or a service that has it on one."""

    node: str
    service: str = ""
    """Empty when it is the node's own."""


class Filtered(Question, frozen=True):
    """A question of :data:`FILTERS`, and of its answer what an expression holds true of.

    Raises:
        Refused: when asked: the expression cannot be read, or does not fit.
    """

    question: Question
    expression: str


FILTERS: Final[dict[type[Question], Fields]] = {
    ServiceInstances: CATALOG_SERVICE_FIELDS,
    ServiceHealth: HEALTH_FIELDS,
    ListNodes: NODE_FIELDS,
    NodeServices: SERVICE_FIELDS,
    ListNodeServices: SERVICE_FIELDS,
    NodeChecks: CHECK_FIELDS,
    ServiceChecks: CHECK_FIELDS,
    ChecksInState: CHECK_FIELDS,
}
"""What an expression may select by, for each question whose answer can be filtered."""


def _filtered(view: View, question: Filtered) -> object:
    fields = FILTERS[type(question.question)]
    value: Any = ask(view, question.question)
    matches = compile_filter(question.expression, fields)
    if isinstance(value, NodeWithServices):
        kept = {name: service for name, service in value.services.items() if matches(service)}
        return NodeWithServices(node=value.node, services=kept)
    if isinstance(value, NodeServiceList):
        services = tuple(filter(matches, value.services)) if value.services is not None else None
        return NodeServiceList(node=value.node, services=services)
    return [row for row in value if matches(row)] if value is not None else None


def _read_key(view: View, question: ReadKey) -> Any:
    entry = view.get(view.state.kv, question.key)
    if entry is None:
        view.at_least(view.state.kv.index)
    return entry


def _list_keys(view: View, question: ListKeys) -> Any:
    entries = view.prefix(view.state.kv, question.prefix)
    if not view.index:
        view.at_least(view.state.kv.index)
    return entries


def _name_keys(view: View, question: NameKeys) -> list[str]:
    entries = _list_keys(view, ListKeys(question.prefix))
    if not question.separator:
        return [entry.key for entry in entries]
    names: dict[str, None] = {}
    for entry in entries:
        cut = entry.key.find(question.separator, len(question.prefix))
        names[entry.key if cut < 0 else entry.key[: cut + len(question.separator)]] = None
    return list(names)


def _has_meta(node: Node | None, wanted: Meta) -> bool:
    if not wanted:
        return True
    meta = (node.meta if node else None) or {}
    return all(meta.get(key) == value for key, value in wanted)


def _has_tags(row: ServiceInstance, wanted: frozenset[str]) -> bool:
    return not wanted or wanted <= {tag.lower() for tag in row.service.tags or ()}


def _name_services(view: View, question: NameServices) -> dict[str, list[str]]:
    names: dict[str, dict[str, None]] = {}
    for row in view.all(view.state.services):
        if question.node_meta:
            node = view.get(view.state.nodes, row.node.lower())
            if not _has_meta(node, question.node_meta):
                continue
        names.setdefault(row.service.name, {}).update(dict.fromkeys(row.service.tags or ()))
    return {name: list(tags) for name, tags in sorted(names.items())}


def _instances(
    view: View, question: ServiceInstances | ServiceHealth
) -> Iterable[tuple[Node, ServiceInstance]]:
    """The wanted instances with their nodes, in order."""
    services = view.state.services
    rows = view.by(services, "connect" if question.connect else "name", question.name.lower())
    if not rows:
        view.at_least(services.index)
    wanted = frozenset(tag.lower() for tag in question.tags)
    rows.sort(key=lambda row: (row.node.lower(), row.service.id))
    for row in rows:
        node = view.get(view.state.nodes, row.node.lower())
        if node and _has_tags(row, wanted) and _has_meta(node, question.node_meta):
            yield node, row


def _service_instances(view: View, question: ServiceInstances) -> list[CatalogService]:
    return [catalog_service(node, row.service) for node, row in _instances(view, question)]


def _service_health(view: View, question: ServiceHealth) -> list[CheckServiceNode]:
    result: list[CheckServiceNode] = []
    for node, row in _instances(view, question):
        checks = _checks_of(view, node, row)
        if question.passing and any(check.status != PASSING for check in checks):
            continue
        result.append(
            CheckServiceNode(node=node, service=listed_service(row.service), checks=checks)
        )
    return result


def _checks_of(view: View, node: Node, row: ServiceInstance) -> tuple[HealthCheck, ...]:
    """The checks that bear on an instance: its node's, then its own, each by id."""
    name = node.name.lower()
    own: list[HealthCheck] = []
    for service_id in ("", row.service.id):
        found = view.by(view.state.checks, "instance", (name, service_id))
        own += sorted(found, key=lambda check: check.check_id)
    return tuple(listed_check(check) for check in own)


def _list_nodes(view: View, question: ListNodes) -> list[Node]:
    nodes = [n for n in view.all(view.state.nodes) if _has_meta(n, question.node_meta)]
    return sorted(nodes, key=lambda node: node.name.lower())


def _read_node(view: View, question: ReadNode) -> Node | None:
    return view.get(view.state.nodes, question.node.lower())


def _services_of(view: View, wanted: str) -> tuple[Node | None, list[ServiceInstance]]:
    """The node called ``wanted``, else the one of that UUID, and its instances by id."""
    node = view.get(view.state.nodes, wanted.lower())
    if node is None:
        node = next(iter(view.by(view.state.nodes, "id", wanted.lower())), None)
    if node is None:
        return None, []
    rows = view.by(view.state.services, "node", node.name.lower())
    return node, sorted(rows, key=lambda row: row.service.id)


def _node_services(view: View, question: NodeServices) -> NodeWithServices | None:
    node, rows = _services_of(view, question.node)
    if node is None:
        return None
    return NodeWithServices(
        node=node, services={row.service.id: listed_service(row.service) for row in rows}
    )


def _list_node_services(view: View, question: ListNodeServices) -> NodeServiceList:
    node, rows = _services_of(view, question.node)
    if node is None:
        return NodeServiceList(node=None, services=None)
    return NodeServiceList(node=node, services=tuple(listed_service(row.service) for row in rows))


def _listed_checks(
    view: View, checks: Iterable[HealthCheck], node_meta: Meta = ()
) -> list[HealthCheck]:
    kept = checks
    if node_meta:
        nodes = view.state.nodes
        kept = [c for c in checks if _has_meta(view.get(nodes, c.node.lower()), node_meta)]
    ordered = sorted(kept, key=lambda check: (check.node.lower(), check.check_id))
    return [listed_check(check) for check in ordered]


def _node_checks(view: View, question: NodeChecks) -> list[HealthCheck]:
    view.at_least(view.state.checks.index)
    return _listed_checks(view, view.by(view.state.checks, "node", question.node.lower()))


def _service_checks(view: View, question: ServiceChecks) -> list[HealthCheck]:
    view.at_least(view.state.checks.index)
    found = view.by(view.state.checks, "service", question.name.lower())
    return _listed_checks(view, found, question.node_meta)


def _checks_in_state(view: View, question: ChecksInState) -> list[HealthCheck]:
    checks = view.state.checks
    view.at_least(checks.index)
    if question.state == "any":
        return _listed_checks(view, view.all(checks), question.node_meta)
    return _listed_checks(view, view.by(checks, "state", question.state), question.node_meta)


def _read_session(view: View, question: ReadSession) -> list[Any]:
    session = view.get(view.state.sessions, question.id)
    if session is None:
        view.at_least(view.state.sessions.index)
        return []
    return [session]


def _node_sessions(view: View, question: NodeSessions) -> list[Any]:
    view.at_least(view.state.sessions.index)
    found = view.by(view.state.sessions, "node", question.node.lower())
    return sorted(found, key=lambda session: session.id)


def _list_sessions(view: View, _: ListSessions) -> list[Any]:
    return sorted(view.all(view.state.sessions), key=lambda session: session.id)


def _list_intentions(view: View, _: ListIntentions) -> list[Any]:
    return sorted(view.all(view.state.intentions), key=lambda entry: entry.name)


def _find_address(view: View, question: FindAddress) -> AddressOwner | None:
    wanted = ip_address(question.address)
    for node in _list_nodes(view, ListNodes()):
        if _is_address(node.address, wanted):
            return AddressOwner(node.name)
    for row in view.all(view.state.services):
        if _is_address(row.service.address, wanted):
            return AddressOwner(row.node, row.service.name)
    return None


def _is_address(text: str, wanted: object) -> bool:
    try:
        found = ip_address(text)
    except ValueError:
        return False
    return wanted in {found, getattr(found, "ipv4_mapped", None)}


ASK: Final[dict[type[Question], Callable[[View, Any], object]]] = {
    ReadKey: _read_key,
    ListKeys: _list_keys,
    NameKeys: _name_keys,
    NameServices: _name_services,
    ServiceInstances: _service_instances,
    ServiceHealth: _service_health,
    ListNodes: _list_nodes,
    ReadNode: _read_node,
    NodeServices: _node_services,
    ListNodeServices: _list_node_services,
    NodeChecks: _node_checks,
    ServiceChecks: _service_checks,
    ChecksInState: _checks_in_state,
    ReadSession: _read_session,
    NodeSessions: _node_sessions,
    ListSessions: _list_sessions,
    ListIntentions: _list_intentions,
    FindAddress: _find_address,
    Filtered: _filtered,
}
"""One row per question; ``tests/registry/test_queries.py`` proves that none is missing."""


RESULTS: Final[dict[type[Question], Any]] = {
    ReadKey: KVEntry | None,
    ListKeys: list[KVEntry],
    NameKeys: list[str],
    NameServices: dict[str, list[str]],
    ServiceInstances: list[CatalogService],
    ServiceHealth: list[CheckServiceNode],
    ListNodes: list[Node],
    ReadNode: Node | None,
    NodeServices: NodeWithServices | None,
    ListNodeServices: NodeServiceList,
    NodeChecks: list[HealthCheck],
    ServiceChecks: list[HealthCheck],
    ChecksInState: list[HealthCheck],
    ReadSession: list[Session],
    NodeSessions: list[Session],
    ListSessions: list[Session],
    ListIntentions: list[ServiceIntentions],
    FindAddress: AddressOwner | None,
}
"""What each answer is, for who gets it from afar. All but :class:`Filtered`, which is what it
filters."""


def ask(view: View, question: Question) -> object:
    """The value that answers ``question``; ``view`` remembers what it rests on."""
    return ASK[type(question)](view, question)


def worst(checks: Iterable[HealthCheck]) -> str:
    """The status that a set of checks amounts to: critical, else warning, else passing."""
    status = PASSING
    for check in checks:
        if check.status == CRITICAL:
            return CRITICAL
        if check.status == "warning":
            status = "warning"
    return status
