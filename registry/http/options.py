"""Query options: how fresh, how long to wait, whose data centre."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from lictor.registry import durations
from lictor.registry.errors import Refused

from .errors import Stated, bad_request
from .gourl import BadNumber, Query, parse_uint, quoted
from .interfaces import Mode

NAMESPACE_REFUSED: Final = (
    'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'
)
NAMESPACE_HEADER_REFUSED: Final = (
    'Bad request: Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature'
)


class UnknownDatacenter(Refused):
    """Nobody here knows a way to the data centre that was asked for."""


class ReadOptions(msgspec.Struct, frozen=True):
    """How a read is to be answered. Durations are in seconds."""

    mode: Mode = "default"
    index: int = 0
    wait: float = 0.0
    cached: bool = False
    max_stale: float = 0.0

    @property
    def effective(self) -> str:
        """The word for ``X-Consul-Effective-Consistency``."""
        return "leader" if self.mode == "default" else self.mode

    @property
    def plain(self) -> bool:
        """Whether the answer depends on nothing but the state: no waiting, no confirmation."""
        return not (self.index or self.max_stale or self.cached or self.mode == "consistent")


def read_options(query: Query, headers: Mapping[str, str]) -> ReadOptions:
    """The options in ``query`` and the ``Cache-Control`` of ``headers``.

    Raises:
        Stated: 400, they cannot be read or contradict each other.
    """
    cache_control = headers.get("Cache-Control")
    if cache_control:
        _check_cache_control(cache_control)
    mode, max_stale = _consistency(query)
    cached = "cached" in query
    if cached and mode == "consistent":
        raise bad_request("Cannot specify ?cached with ?consistent, conflicting semantics.")
    wait, index = waiting(query)
    return ReadOptions(mode=mode, index=index, wait=wait, cached=cached, max_stale=max_stale)


def waiting(query: Query) -> tuple[float, int]:
    """``wait`` in seconds and ``index``.

    Raises:
        Stated: 400, one of them cannot be read.
    """
    wait = 0.0
    if text := query.get("wait"):
        try:
            wait = durations.parse(text)
        except durations.InvalidDuration as error:
            raise bad_request("Invalid wait time") from error
    index = 0
    if text := query.get("index"):
        try:
            index = parse_uint(text)
        except BadNumber as error:
            raise bad_request("Invalid index") from error
    return wait, index


def _consistency(query: Query) -> tuple[Mode, float]:
    max_stale = 0.0
    if text := query.get("max_stale"):
        try:
            max_stale = durations.parse(text)
        except durations.InvalidDuration as error:
            message = f"Invalid max_stale value {quoted(text)}"
            raise bad_request(message) from error
    stale = "stale" in query or max_stale > 0
    if "consistent" not in query:
        return ("stale" if stale else "default"), max_stale
    if stale:
        raise bad_request("Cannot specify ?stale with ?consistent, conflicting semantics.")
    return "consistent", max_stale


def discovery(read: ReadOptions, query: Query, max_stale: float) -> ReadOptions:
    """``read`` as an agent that prefers stale discovery takes it."""
    if query.any("stale", "consistent", "leader", "cached", "max_stale"):
        return read
    return msgspec.structs.replace(read, mode="stale", max_stale=max_stale)


def _check_cache_control(header: str) -> None:
    """Refuse a ``Cache-Control`` whose numbers cannot be read; directives end with commas."""
    for part in header.lower().split(","):
        name, equals, value = part.strip().partition("=")
        if equals and name in {"max-age", "stale-if-error"} and not _is_whole(value):
            raise Stated(400, "Invalid Cache-Control header.")


def _is_whole(text: str) -> bool:
    digits = text[1:] if text[:1] in {"-", "+"} else text
    return digits.isascii() and digits.isdigit() and len(digits) <= 18


def node_meta(query: Query) -> tuple[tuple[str, str], ...]:
    """The wanted node metadata as pairs; ``key`` alone wants an empty value."""
    pairs = dict(_pair(text) for text in query.all("node-meta"))
    return tuple(sorted(pairs.items()))


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition(":")
    return key, value


def check_datacenter(query: Query, datacenter: str) -> None:
    """Refuse a data centre other than ours.

    Raises:
        UnknownDatacenter: there is no way to it.
    """
    wanted = query.get("dc") or query.get("datacenter")
    if wanted and wanted != datacenter:
        raise UnknownDatacenter("No path to datacenter")


def refuse_namespace(query: Query, headers: Mapping[str, str]) -> None:
    """Refuse what only Consul Enterprise has.

    Raises:
        Stated: 400, a namespace was named.
    """
    if query.get("ns"):
        raise bad_request(NAMESPACE_REFUSED)
    if headers.get("X-Consul-Namespace"):
        raise bad_request(NAMESPACE_HEADER_REFUSED)
