"""A reply while it is made: its sections, and what they rest on."""

from __future__ import annotations

from dataclasses import dataclass, field

from lictor.registry.answers import Answer

from .names import Name
from .records import Record
from .wire import NOERROR


@dataclass(slots=True)
class Reply:
    """What a question is answered with."""

    rcode: int = NOERROR
    authoritative: bool = True
    answers: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)
    outside: bool = False
    """Whether a recursor should answer instead, where there is one."""
    trimmed: bool = False
    """Whether the limits of section sizes hold for it."""
    truncated: bool = False
    """Whether answers were left out."""
    scope: int = 0
    """How many bits of the client's subnet the answer depends on."""
    rests_on: list[Answer] = field(default_factory=list)
    """It is true while all of these are live."""
    missing: set[Name] = field(default_factory=set)
    """Names of somebody else's that it points to and whose records a recursor may know."""
    borrowed: bool = False
    """Whether it holds, or misses, what only recursors know."""
    second: int = 0
    """The time that it tells, as an SOA record's serial does; 0 when it tells none."""
    orders: int = 1
    """How many instances it lists in an order of its own making."""
