"""What the agent's own answers look like, members in Consul's order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lictor.registry.records import CRITICAL, Record


class SelfConfig(Record, frozen=True, kw_only=True):
    """The few settings that every client may rely on."""

    datacenter: str
    node_name: str
    node_id: str = msgspec.field(name="NodeID")
    revision: str
    server: bool
    version: str


class Coordinate(Record, frozen=True, kw_only=True):
    """Where the node is, as far as round trips tell; nowhere yet."""

    vec: tuple[float, ...]
    error: float
    adjustment: int
    height: float


class AgentSelf(Record, frozen=True, kw_only=True):
    """``/v1/agent/self``."""

    config: SelfConfig
    debug_config: Mapping[str, Any]
    coord: Coordinate
    member: Any
    stats: Mapping[str, Mapping[str, str]]
    meta: Mapping[str, str]
    xds: Mapping[str, Any] = msgspec.field(name="xDS")


class Gauge(Record, frozen=True, kw_only=True):
    """One number."""

    name: str
    value: float
    labels: dict[str, str]


class Metrics(Record, frozen=True, kw_only=True):
    """``/v1/agent/metrics``. Every number is among the gauges."""

    timestamp: str
    gauges: tuple[Gauge, ...]
    points: tuple[Gauge, ...]
    counters: tuple[Gauge, ...]
    samples: tuple[Gauge, ...]


class NoHealth(Record, frozen=True, kw_only=True):
    """The health of a service that is not there."""

    aggregated_status: str
    service: None
    checks: None


NOWHERE: Final = Coordinate(vec=(0,) * 8, error=1.5, adjustment=0, height=0.00001)
NO_HEALTH: Final = NoHealth(aggregated_status=CRITICAL, service=None, checks=None)
ENVOYS: Final = {"SupportedProxies": {"envoy": ["1.14.5", "1.13.6", "1.12.7", "1.11.2"]}}
"""The Envoy versions that Consul 1.8.7 names."""
