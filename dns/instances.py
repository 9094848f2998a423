"""Which instances are answered with, at which address, and how heavy they are. Pure.

Sources: Consul's documented tagged addresses (``lan_ipv4``, ``lan_ipv6``) and weights; orders and
precedences as Consul 1.8 was observed to have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lictor.registry.queries import worst
from lictor.registry.records import (
    CRITICAL,
    MAINTENANCE,
    PASSING,
    WARNING,
    CheckServiceNode,
    Node,
    NodeService,
)

from .records import AAAA, A

_WEIGHED: Final = frozenset({PASSING, WARNING})
_HIDING: Final = frozenset({CRITICAL, MAINTENANCE})


def answerable(
    instances: Sequence[CheckServiceNode], *, only_passing: bool
) -> list[CheckServiceNode]:
    """Those without a critical check, and with ``only_passing`` without one that warns."""
    if only_passing:
        return [i for i in instances if all(check.status == PASSING for check in i.checks)]
    return [i for i in instances if not any(check.status in _HIDING for check in i.checks)]


def weight(instance: CheckServiceNode) -> int:
    """The SRV weight that the instance's health gives it; 1 for a health that nobody knows."""
    weights = instance.service.weights
    if any(check.status not in _WEIGHED for check in instance.checks):
        return 1
    return weights.warning if worst(instance.checks) == WARNING else weights.passing


def node_address(node: Node, qtype: int) -> str:
    """The address of ``node`` to answer ``qtype`` with: an IP, a domain name or nothing."""
    tagged = node.tagged_addresses
    if not tagged:
        return node.address
    return _preferred(qtype, tagged.get("lan_ipv4"), tagged.get("lan_ipv6"), node.address)


def service_address(service: NodeService, qtype: int) -> str:
    """The own address of ``service`` to answer ``qtype`` with; empty means its node's."""
    tagged = service.tagged_addresses
    if not tagged:
        return service.address
    v4, v6 = tagged.get("lan_ipv4"), tagged.get("lan_ipv6")
    return _preferred(
        qtype, v4.address if v4 else None, v6.address if v6 else None, service.address
    )


def _preferred(qtype: int, v4: str | None, v6: str | None, default: str) -> str:
    """An IPv6 address goes first, unless the query can only take IPv4."""
    if v6 and qtype != A:
        return v6
    if v4 and qtype != AAAA:
        return v4
    return default
