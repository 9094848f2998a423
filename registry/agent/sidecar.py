"""Sidecars: what ``connect.sidecar_service`` in a registration stands for. Pure.

Source: defaults and texts that Consul 1.8 was observed to have.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from lictor.registry.errors import Refused
from lictor.registry.records import Duration

from .definitions import (
    CONNECT_PROXY,
    ConnectDefinition,
    ProxyDefinition,
    ServiceCheckDefinition,
    ServiceDefinition,
)
from .validation import BAD_STATUS, STATUSES, check_problem, meta_problem

FIRST_PORT: Final = 21000
LAST_PORT: Final = 21255
LISTENING_INTERVAL: Final = Duration(10_000_000_000)


def sidecar_id(service_id: str) -> str:
    """The id of the sidecar that the agent makes for an instance."""
    return f"{service_id}-sidecar-proxy"


def sidecar_of(
    definition: ServiceDefinition,
    *,
    taken: Collection[int],
    current: int = 0,
    ports: range = range(FIRST_PORT, LAST_PORT + 1),
) -> ServiceDefinition | None:
    """The whole definition of the sidecar that ``definition`` asks for, if it does.

    ``taken`` has the ports of this agent's other instances, ``current`` the port that the sidecar
    has now (0 for none): it is kept.

    Raises:
        Refused: no port is left, or the sidecar's own checks or metadata will not do.
    """
    said = definition.connect.sidecar_service if definition.connect else None
    if said is None:
        return None
    problem = meta_problem(said.meta or {})
    if problem:
        raise Refused(f"Bad request: Invalid SidecarService: {problem}")
    port = said.port or _free_port(ports, taken, current)
    expanded = msgspec.structs.replace(
        said,
        kind=CONNECT_PROXY,
        id=sidecar_id(definition.instance_id),
        name=said.name or f"{definition.name}-sidecar-proxy",
        tags=said.tags or definition.tags,
        meta=said.meta or definition.meta,
        address=said.address or definition.address,
        port=port,
        token=said.token or definition.token,
        proxy=_proxy(said.proxy or ProxyDefinition(), definition),
        connect=ConnectDefinition(native=bool(said.connect and said.connect.native)),
    )
    for rules in expanded.all_checks:
        problem = check_problem(rules)
        if problem:
            raise Refused(f"Bad request: Invalid check in sidecar_service: {problem}")
        if rules.status not in STATUSES:
            raise Refused(f"Bad request: {BAD_STATUS}")
    if expanded.all_checks:
        return expanded
    return msgspec.structs.replace(expanded, checks=_default_checks(definition, port))


def _proxy(said: ProxyDefinition, parent: ServiceDefinition) -> ProxyDefinition:
    return msgspec.structs.replace(
        said,
        destination_service_name=said.destination_service_name or parent.name,
        destination_service_id=said.destination_service_id or parent.instance_id,
        local_service_address=said.local_service_address or "127.0.0.1",
        local_service_port=said.local_service_port or max(parent.port, 0),
    )


def _free_port(ports: range, taken: Collection[int], current: int) -> int:
    if current in ports:
        return current
    free = next((port for port in ports if port not in taken), 0)
    if not free:
        raise Refused(
            "Bad request: Invalid SidecarService: no port provided for sidecar_service and none "
            f"left in the configured range [{ports.start}, {ports.stop - 1}]"
        )
    return free


def _default_checks(
    parent: ServiceDefinition, port: int
) -> tuple[ServiceCheckDefinition, ServiceCheckDefinition]:
    return (
        ServiceCheckDefinition(
            name="Connect Sidecar Listening",
            tcp=f"127.0.0.1:{port}",
            interval=LISTENING_INTERVAL,
        ),
        ServiceCheckDefinition(
            name=f"Connect Sidecar Aliasing {parent.instance_id}",
            alias_service=parent.instance_id,
        ),
    )
