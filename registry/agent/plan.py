"""Anti-entropy's whole decision: which commands make the catalogue agree with the agent. Pure.

Invariant
    After the commands of a plan are applied, the next plan is empty.

Source: exemptions of Consul.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from lictor.registry.commands import AnyCommand, DeregisterEntity, RegisterEntity
from lictor.registry.records import SERF_HEALTH, HealthCheck, Node, NodeService

from .local import Local

SERVER_SERVICE: Final = "consul"
"""What servers run; the leader registers it."""


class Catalog(msgspec.Struct):
    """What the catalogue holds of one node, or is believed to."""

    node: Node | None = None
    services: dict[str, NodeService] = msgspec.field(default_factory=dict)
    checks: dict[str, HealthCheck] = msgspec.field(default_factory=dict)


def plan(node: Node, local: Local, catalog: Catalog) -> list[AnyCommand]:
    """The commands that make ``catalog`` agree with ``local``.

    A service goes together with its checks in one command. ``serfHealth`` and the servers' own
    service belong to the leader and are left alone.
    """
    gone = catalog.services.keys() - local.services.keys() - {SERVER_SERVICE}
    commands: list[AnyCommand] = [
        DeregisterEntity(node.name, service_id=service_id) for service_id in sorted(gone)
    ]
    commands += [
        DeregisterEntity(node.name, check_id=check_id)
        for check_id, known in catalog.checks.items()
        if check_id not in local.checks and check_id != SERF_HEALTH and known.service_id not in gone
    ]
    fresh = catalog.node is not None and _same_node(node, catalog.node)
    for service_id, service in local.services.items():
        known_service = catalog.services.get(service_id)
        stale = _stale_checks(local, service_id, catalog.checks)
        if known_service is None or not _same_service(service.record, known_service):
            commands.append(RegisterEntity(node, service.record, stale, skip_node_update=fresh))
            fresh = True
        elif stale:
            commands.append(RegisterEntity(node, None, stale, skip_node_update=fresh))
            fresh = True
    stale = _stale_checks(local, "", catalog.checks)
    if stale or not fresh:
        commands.append(RegisterEntity(node, None, stale, skip_node_update=fresh))
    return commands


def _stale_checks(
    local: Local, service_id: str, known: Mapping[str, HealthCheck]
) -> tuple[HealthCheck, ...]:
    """The checks of an instance, or of the node, that the catalogue lacks or has otherwise."""
    return tuple(
        check.published
        for check in local.checks_of(service_id)
        if not _same_check(check.published, known.get(check.published.check_id))
    )


def _same_node(ours: Node, known: Node) -> bool:
    return ours is known or (ours.id, ours.address, ours.tagged_addresses, ours.meta) == (
        known.id,
        known.address,
        known.tagged_addresses,
        known.meta,
    )


def _same_service(ours: NodeService, known: NodeService) -> bool:
    return ours is known or _comparable(ours) == _comparable(known)


def _comparable(service: NodeService) -> NodeService:
    return msgspec.structs.replace(
        service,
        tags=service.tags or (),
        meta=service.meta or {},
        tagged_addresses=service.tagged_addresses or {},
        create_index=0,
        modify_index=0,
    )


def _same_check(ours: HealthCheck, known: HealthCheck | None) -> bool:
    """Whether the catalogue's record says the same; name and tags of the service are its own."""
    if known is None or ours is known:
        return ours is known
    return (
        ours.name,
        ours.status,
        ours.notes,
        ours.output,
        ours.service_id,
        ours.type,
    ) == (known.name, known.status, known.notes, known.output, known.service_id, known.type)


def note(catalog: Catalog, command: AnyCommand) -> None:
    """Change ``catalog`` as ``command`` changes the real one."""
    if isinstance(command, RegisterEntity):
        if not command.skip_node_update or catalog.node is None:
            catalog.node = command.node
        if command.service is not None:
            catalog.services[command.service.id] = command.service
        for check in command.checks:
            catalog.checks[check.check_id] = check
    elif isinstance(command, DeregisterEntity) and command.service_id:
        catalog.services.pop(command.service_id, None)
        for check_id, check in list(catalog.checks.items()):
            if check.service_id == command.service_id:
                del catalog.checks[check_id]
    elif isinstance(command, DeregisterEntity):
        catalog.checks.pop(command.check_id, None)
