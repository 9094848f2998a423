"""Whether what clients saw of some registers could have happened one operation at a time.

Each client notes when it asked and when it was answered. A history is *linearizable* if every
operation can be given one instant between the two, so that the results follow from that order.
Keys are independent, so each is searched alone.

Source: Wing and Gong, "Testing and verifying concurrent objects" (1993), with Lowe's memo of
states that were seen (2017).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import inf

import msgspec

STATES_LIMIT = 200_000
"""States tried for one key before the search gives up."""


class Undecided(Exception):
    """The search was given up: too many operations overlap, or too many have no known outcome."""


class Act(StrEnum):
    """What a client did."""

    READ = "read"
    WRITE = "write"
    SWAP = "swap"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of one client. What surely did not happen is left out of a history."""

    key: str
    act: Act
    invoked: float
    """When it was asked, in seconds of any clock that all clients share."""
    returned: float | None
    """When it was answered; ``None`` if its outcome is unknown, and may come at any later time."""
    value: str | None = None
    """What was read or is written; ``None`` stands for no value."""
    expected: str | None = None
    """What a SWAP replaces."""
    swapped: bool = True
    """Whether a SWAP found what it expected."""

    @property
    def deadline(self) -> float:
        """It happened at this instant or before."""
        return inf if self.returned is None else self.returned

    @property
    def writes(self) -> bool:
        """Whether it changes the register."""
        return self.act is Act.WRITE or (self.act is Act.SWAP and self.swapped)

    def may_follow(self, value: str | None) -> bool:
        """Whether it can have had its result where the register held ``value``."""
        match self.act:
            case Act.READ:
                return self.value == value
            case Act.WRITE:
                return True
            case Act.SWAP:
                return (self.expected == value) is self.swapped


class Violation(msgspec.Struct, frozen=True):
    """No order explains what was seen of ``key``."""

    key: str
    explained: list[Operation]
    """The longest order that was found."""
    unexplained: list[Operation]
    """What was answered and does not fit behind it, by invocation."""


def find_violation(
    history: Iterable[Operation], *, initial: str | None = None, limit: int = STATES_LIMIT
) -> Violation | None:
    """The first key, in ascending order, whose operations no order explains.

    Raises:
        Undecided: more than ``limit`` states of one key were tried.
    """
    by_key: dict[str, list[Operation]] = {}
    for operation in history:
        if operation.returned is not None or operation.act is not Act.READ:
            by_key.setdefault(operation.key, []).append(operation)
    for key in sorted(by_key):
        operations = sorted(by_key[key], key=lambda each: each.invoked)
        violation = _search(key, operations, initial, limit)
        if violation is not None:
            return violation
    return None


def _search(
    key: str, operations: Sequence[Operation], initial: str | None, limit: int
) -> Violation | None:
    needed = sum(1 << at for at, each in enumerate(operations) if each.returned is not None)
    longest: tuple[int, ...] = ()
    seen = {(0, initial)}
    stack: list[tuple[int, str | None, tuple[int, ...]]] = [(0, initial, ())]
    while stack:
        done, value, order = stack.pop()
        if done & needed == needed:
            return None
        if len(order) > len(longest):
            longest = order
        for at in _next(operations, done, value):
            operation = operations[at]
            after = operation.value if operation.writes else value
            state = (done | 1 << at, after)
            if state not in seen:
                seen.add(state)
                stack.append((*state, (*order, at)))
        if len(seen) > limit:
            raise Undecided(f"more than {limit} states of {key!r}")
    return Violation(
        key,
        [operations[at] for at in longest],
        [
            each
            for at, each in enumerate(operations)
            if at not in longest and each.returned is not None
        ],
    )


def _next(operations: Sequence[Operation], done: int, value: str | None) -> list[int]:
    """The operations that can come next; the one to be tried first is last."""
    earliest = inf
    able: list[int] = []
    for at, operation in enumerate(operations):
        if done >> at & 1:
            continue
        if operation.invoked > earliest:
            break  # something else had returned before this one was asked, and so have the rest
        earliest = min(earliest, operation.deadline)
        if operation.may_follow(value):
            able.append(at)
    able = [at for at in able if operations[at].invoked <= earliest]
    for at in able:
        if not operations[at].writes:
            return [at]  # it changes nothing: whatever order there is, it can begin with this one
    able.sort(key=lambda at: operations[at].deadline, reverse=True)
    return able
