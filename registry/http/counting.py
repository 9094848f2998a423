"""What HTTP counts. Counts are plain numbers, read when somebody collects them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from typing_extensions import override

from .lane import Door, Lane


class HTTPMetrics(Collector):
    """One HTTP server's metrics, in the registry it is given."""

    def __init__(self, registry: CollectorRegistry, *, door: Door, lane: Lane | None) -> None:
        self.registry = registry
        self._door = door
        self._lane = lane
        self.answers: Counter[tuple[str, str]] = Counter()
        """Answers by API group and class of status (``2xx``); the lane's are not among them."""
        registry.register(self)

    @override
    def collect(self) -> Iterable[Metric]:
        """The metrics now."""
        answers = CounterMetricFamily(
            "lictor_http_answers",
            "Answers made by handlers, by API group and class of status.",
            labels=["group", "status"],
        )
        for (group, status), count in sorted(self.answers.items()):
            answers.add_metric([group, status], count)
        yield answers
        lane = self._lane
        yield CounterMetricFamily(
            "lictor_http_fast_lane_hits",
            "Answers given again from kept bytes.",
            value=lane.hits if lane else 0,
        )
        yield GaugeMetricFamily(
            "lictor_http_fast_lane_bytes",
            "Bytes held by kept answers.",
            value=lane.size_bytes if lane else 0,
        )
        yield GaugeMetricFamily(
            "lictor_http_connections", "Open connections.", value=len(self._door)
        )
