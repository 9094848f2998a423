"""What is measured. Adding a row is adding a line to ``ROWS``."""

from __future__ import annotations

from typing import Literal

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    name: str
    kind: Literal["http", "put", "dns", "memory", "start"]
    query: str = ""
    """A path for ``http`` and ``put`` (a put appends a number), ``NAME TYPE`` for ``dns``."""

    connections: int = 32
    """HTTP connections, or DNS questions under way at once."""

    target: float | None = None
    """At least so many times the peer's rate; at most so many bytes for ``memory``."""


ROWS = (
    Row(name="KV GET", kind="http", query="/v1/kv/bench/key", target=1.5),
    Row(name="KV PUT, 1 connection", kind="put", query="/v1/kv/bench/put/", connections=1),
    Row(name="KV PUT, 64 connections", kind="put", query="/v1/kv/bench/put/", connections=64),
    Row(name="health, 3 instances", kind="http", query="/v1/health/service/bench-3?passing"),
    Row(
        name="health, 50 instances",
        kind="http",
        query="/v1/health/service/bench-50?passing",
        target=10.0,
    ),
    Row(name="catalog services", kind="http", query="/v1/catalog/services"),
    Row(name="catalog service, 50 instances", kind="http", query="/v1/catalog/service/bench-50"),
    Row(name="DNS A, 3 instances", kind="dns", query="bench-3.service.consul A", target=3.0),
    Row(name="DNS SRV, 3 instances", kind="dns", query="bench-3.service.consul SRV", target=3.0),
    Row(name="idle memory", kind="memory", target=80e6),
    Row(name="start-up to first answer", kind="start"),
)
