"""Nodes, service instances and checks: how commands change them.

Rules and texts are those that Consul 1.8 was observed to have.
"""

from __future__ import annotations

import msgspec

from lictor.registry.commands import DeregisterEntity, RegisterEntity
from lictor.registry.errors import Refused
from lictor.registry.records import (
    CRITICAL,
    SERF_HEALTH,
    HealthCheck,
    Node,
    NodeService,
    ServiceInstance,
)

from .sessions import invalidate
from .store import Transaction


def register(tx: Transaction, command: RegisterEntity) -> bool:
    """Put a node, its instance and its checks in place, or none of them.

    Raises:
        Refused: the name belongs to a living node, or a check names an unknown instance.
    """
    node = ensure_node(tx, command)
    if command.service is not None:
        tx.put(tx.state.services, ServiceInstance(node=node.name, service=command.service))
    for check in command.checks:
        ensure_check(tx, node, check)
    return True


def deregister(tx: Transaction, command: DeregisterEntity) -> bool:
    """Take out a check, an instance or a node; what is not there is fine."""
    node = command.node.lower()
    if command.service_id:
        remove_service(tx, node, command.service_id)
    elif command.check_id:
        remove_check(tx, node, command.check_id)
    else:
        remove_node(tx, node)
    return True


def ensure_node(tx: Transaction, command: RegisterEntity) -> Node:
    """Put the node in place; one of the same id under another name makes way.

    Raises:
        Refused: the name belongs to a living node.
    """
    nodes = tx.state.nodes
    wanted = command.node
    existing = nodes.rows.get(wanted.name.lower())
    if existing is not None and command.skip_node_update:
        return existing
    if wanted.id:
        _claim_name(tx, wanted, existing)
        for other in list(nodes.by("id", wanted.id)):
            if other.name.lower() != wanted.name.lower():
                remove_node(tx, other.name.lower())
    return tx.put(nodes, wanted)


def _claim_name(tx: Transaction, wanted: Node, existing: Node | None) -> None:
    """Refuse a name that another, living node holds.

    Source: observed; "living" is a serfHealth check that is not critical.
    """
    if existing is None or not existing.id or existing.id == wanted.id:
        return
    health = tx.state.checks.rows.get((wanted.name.lower(), SERF_HEALTH))
    if health is not None and health.status != CRITICAL:
        known = any(tx.state.nodes.by("id", wanted.id))
        moving = f" ({wanted.address})" if known else ""
        message = (
            f'failed inserting node: Error while renaming Node ID: "{wanted.id}"{moving}: '
            f"Node name {wanted.name} is reserved by node {existing.id} "
            f"with name {existing.name} ({existing.address})"
        )
        raise Refused(message)


def ensure_check(tx: Transaction, node: Node, check: HealthCheck) -> None:
    """Put the check in place, with what it takes from its instance.

    Raises:
        Refused: it names an unknown instance.
    """
    state = tx.state
    if check.service_id:
        row = state.services.rows.get((node.name.lower(), check.service_id))
        if row is None:
            message = f'failed inserting check: Missing service registration on node "{node.name}"'
            raise Refused(message)
        service: NodeService = row.service
        check = msgspec.structs.replace(check, service_name=service.name, service_tags=service.tags)
    stored = tx.put(state.checks, check)
    if stored.status == CRITICAL:
        _end_sessions(tx, node.name.lower(), stored.check_id)


def remove_service(tx: Transaction, node: str, service_id: str) -> None:
    """Take out an instance and its checks; ``node`` is lower-cased."""
    state = tx.state
    for check in list(state.checks.by("instance", (node, service_id))):
        remove_check(tx, node, check.check_id)
    tx.delete(state.services, (node, service_id))


def remove_check(tx: Transaction, node: str, check_id: str) -> None:
    """Take out a check and the sessions that rest on it; ``node`` is lower-cased."""
    if tx.delete(tx.state.checks, (node, check_id)) is not None:
        _end_sessions(tx, node, check_id)


def remove_node(tx: Transaction, node: str) -> None:
    """Take out a node and everything on it; ``node`` is lower-cased."""
    state = tx.state
    for row in list(state.services.by("node", node)):
        remove_service(tx, node, row.service.id)
    for check in list(state.checks.by("node", node)):
        remove_check(tx, node, check.check_id)
    for session in list(state.sessions.by("node", node)):
        invalidate(tx, session)
    tx.delete(state.nodes, node)


def _end_sessions(tx: Transaction, node: str, check_id: str) -> None:
    for session in list(tx.state.sessions.by("check", (node, check_id))):
        invalidate(tx, session)
