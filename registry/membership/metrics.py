"""The metrics of a pool."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class MembershipMetrics:
    """One agent's metrics, in the registry it is given; ``pool`` is ``lan`` or ``wan``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.packets = Counter(
            "lictor_membership_packets_total",
            "Datagrams by pool and direction.",
            ["pool", "direction"],
            registry=registry,
        )
        self.bytes = Counter(
            "lictor_membership_bytes_total",
            "Bytes of datagrams by pool and direction.",
            ["pool", "direction"],
            registry=registry,
        )
        self.dropped = Counter(
            "lictor_membership_dropped_total",
            "Messages received and not used, by pool and reason.",
            ["pool", "reason"],
            registry=registry,
        )
        self.streams = Counter(
            "lictor_membership_streams_total",
            "Exchanges through streams, by pool and outcome.",
            ["pool", "outcome"],
            registry=registry,
        )
        self.changes = Counter(
            "lictor_membership_changes_total",
            "Changes of members, by pool and what happened.",
            ["pool", "change"],
            registry=registry,
        )
        self.members = Gauge(
            "lictor_membership_members",
            "Members known, those gone included, by pool.",
            ["pool"],
            registry=registry,
        )
        self.health = Gauge(
            "lictor_membership_health_score_ratio",
            "How much this member doubts itself, by pool: 0 is healthy.",
            ["pool"],
            registry=registry,
        )
