"""How DNS answers are made: ``dns_config``. Every duration is in seconds."""

from __future__ import annotations

from typing import Literal

import msgspec


class SOAOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of the zone's SOA record, in seconds."""

    refresh: int = 3600
    retry: int = 600
    expire: int = 86400
    min_ttl: int = 0


class DNSOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One field per key of ``dns_config``, with Consul's defaults."""

    allow_stale: bool = True
    max_stale: float = 87600 * 3600.0
    node_ttl: float = 0.0
    service_ttl: dict[str, float] = msgspec.field(default_factory=dict)
    """By service name; a key that ends in ``*`` is a prefix, and the longest match wins."""
    enable_truncate: bool = False
    """Set TC where answers were left out over UDP."""
    only_passing: bool = False
    recursor_timeout: float = 2.0
    recursor_strategy: Literal["sequential", "random"] = "sequential"
    disable_compression: bool = False
    udp_answer_limit: int = 3
    """Answers in a UDP reply without EDNS; at most 8 count."""
    a_record_limit: int = 0
    """Instances in an address answer; 0 is no limit."""
    enable_additional_node_meta_txt: bool = True
    soa: SOAOptions = SOAOptions()
    use_cache: bool = False
    cache_max_age: float = 0.0
