"""What DNS counts. Counts are plain numbers, read when somebody collects them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from typing_extensions import override

from .lane import Lane

RCODES = {0: "noerror", 1: "formerr", 2: "servfail", 3: "nxdomain", 4: "notimp", 5: "refused"}


class DNSMetrics(Collector):
    """One agent's metrics, in the registry it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.resolved: dict[int, int] = dict.fromkeys(RCODES, 0)
        """Replies made, by rcode; those of the fast lane are not among them."""
        self.relayed = 0
        self.unresolved = 0
        """Questions that every recursor failed to answer, or that too many others waited before."""
        self.dropped = 0
        self.connections = 0
        self.lanes: tuple[Lane, ...] = ()
        registry.register(self)

    @override
    def collect(self) -> Iterable[Metric]:
        """The metrics now."""
        replies = CounterMetricFamily(
            "lictor_dns_replies", "Replies made from the registry, by rcode.", labels=["rcode"]
        )
        for rcode, count in self.resolved.items():
            replies.add_metric([RCODES[rcode]], count)
        yield replies
        yield CounterMetricFamily(
            "lictor_dns_fast_lane_hits",
            "Replies given again from kept bytes.",
            value=sum(lane.hits for lane in self.lanes),
        )
        yield GaugeMetricFamily(
            "lictor_dns_fast_lane_bytes",
            "Bytes held by kept replies.",
            value=sum(lane.size_bytes for lane in self.lanes),
        )
        yield CounterMetricFamily(
            "lictor_dns_relayed", "Replies relayed from recursors.", value=self.relayed
        )
        yield CounterMetricFamily(
            "lictor_dns_unresolved",
            "Questions for recursors that none answered.",
            value=self.unresolved,
        )
        yield CounterMetricFamily(
            "lictor_dns_dropped", "Packets that got no reply.", value=self.dropped
        )
        yield GaugeMetricFamily(
            "lictor_dns_connections", "Open TCP connections.", value=self.connections
        )
