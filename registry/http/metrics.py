"""``/v1/agent/metrics``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from prometheus_client import generate_latest

from .agent_answers import Gauge, Metrics
from .outcomes import Reply
from .request import Request
from .routes import RouteTable

PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"

route = RouteTable("agent")


@route("GET", "/v1/agent/metrics", acl="agent:read", namespaced=False)
def read_metrics(request: Request) -> Reply:
    """What this process counts; ``?format=prometheus`` for scrapers."""
    registry = request.around.metrics
    accepted = request.headers.get("Accept", "")
    if request.query.get("format") == "prometheus" or "openmetrics-text" in accepted:
        return Reply(200, generate_latest(registry), PROMETHEUS)
    gauges = tuple(
        Gauge(name=sample.name, value=sample.value, labels=sample.labels)
        for metric in registry.collect()
        for sample in metric.samples
    )
    moment = datetime.fromtimestamp(int(request.around.runtime.clock.wall()), UTC)
    return Reply.of(
        Metrics(
            timestamp=f"{moment:%Y-%m-%d %H:%M:%S} +0000 UTC",
            gauges=gauges,
            points=(),
            counters=(),
            samples=(),
        )
    )
