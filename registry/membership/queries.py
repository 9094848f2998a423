"""Questions to the pool and their answers: ours under way, and whom those of others are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lictor.registry.filter.patterns import matcher

from . import wire
from .errors import MalformedMessage
from .serf_messages import QueryFlag, QueryResponse, TagFilter

INTERNAL: Final = "_serf_"
"""Names of queries that Serf answers itself begin so."""

FILTER_NAMES: Final = 0
FILTER_TAG: Final = 1
MAX_FILTERS: Final = 32
MAX_ANSWERS: Final = 65_536
MAX_EXPRESSION: Final = 1024
PATTERN_SIZE: Final = 256 * 1024
"""Bytes that a compiled expression may take."""

NANOSECONDS: Final = 1_000_000_000


@dataclass(slots=True)
class PendingQuery:
    """A query of ours, until its deadline."""

    ltime: int
    id: int
    deadline: float
    changed: Callable[[], None]
    """Called after each ack or answer, and when it is over."""

    acks: set[str] = field(default_factory=set)
    responses: dict[str, bytes] = field(default_factory=dict)
    over: bool = False

    def receive(self, response: QueryResponse) -> None:
        """Count an ack, or keep an answer; only the first of each member counts."""
        if self.over or len(self.acks) + len(self.responses) >= MAX_ANSWERS:
            return
        if response.flags & QueryFlag.ACK:
            self.acks.add(response.from_node)
        else:
            self.responses.setdefault(response.from_node, response.payload)
        self.changed()

    def finish(self) -> None:
        """No more answers are waited for."""
        if not self.over:
            self.over = True
            self.changed()


def encode_filters(names: tuple[str, ...], tags: Mapping[str, str]) -> tuple[bytes, ...]:
    """Only members among ``names`` (any, when empty) whose tags match the expressions."""
    filters = []
    if names:
        filters.append(bytes((FILTER_NAMES,)) + wire.pack(names))
    for tag, expression in tags.items():
        filters.append(bytes((FILTER_TAG,)) + wire.pack(TagFilter(tag, expression)))
    return tuple(filters)


def is_for(filters: tuple[bytes, ...], name: str, tags: Mapping[str, str]) -> bool:
    """Whether a member called ``name`` with ``tags`` is asked.

    Raises:
        MalformedMessage: a filter cannot be read.
    """
    if len(filters) > MAX_FILTERS:
        raise MalformedMessage("too many filters")
    return all(_matches(each, name, tags) for each in filters)


def _matches(content: bytes, name: str, tags: Mapping[str, str]) -> bool:
    kind = content[0] if content else None
    if kind == FILTER_NAMES:
        return name in wire.read_strings(content[1:])
    if kind == FILTER_TAG:
        wanted = wire.unpack(TagFilter, content[1:])
        if len(wanted.expr) > MAX_EXPRESSION:
            raise MalformedMessage("wrong filter")
        try:
            # linear in time, whatever the expression; Serf's expressions are RE2's, too
            return matcher(wanted.expr, size_bytes=PATTERN_SIZE)(tags.get(wanted.tag, ""))
        except ValueError as error:
            raise MalformedMessage("wrong filter", str(error)) from error
    raise MalformedMessage("wrong filter")
