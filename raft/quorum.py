"""Majorities, simple and joint: what is committed, who has won.

Pure functions. A joint quorum needs both majorities; an empty one agrees to everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

EVERYTHING = 2**63 - 1
"""What an empty majority has committed: no index is greater."""


class VoteResult(Enum):
    """How a vote stands."""

    WON = "won"
    LOST = "lost"
    PENDING = "pending"


def majority_committed(voters: Sequence[int], acknowledged: Mapping[int, int]) -> int:
    """The highest index that more than half of ``voters`` acknowledged.

    A voter missing in ``acknowledged`` counts as 0. ``EVERYTHING`` when there are no voters.
    """
    count = len(voters)
    if count == 0:
        return EVERYTHING
    if count == 1:
        return acknowledged.get(voters[0], 0)
    indexes = sorted([acknowledged.get(voter, 0) for voter in voters])
    return indexes[(count - 1) // 2]


def committed(
    voters: Sequence[int], outgoing: Sequence[int], acknowledged: Mapping[int, int]
) -> int:
    """The highest index that both halves acknowledged."""
    index = majority_committed(voters, acknowledged)
    return min(index, majority_committed(outgoing, acknowledged)) if outgoing else index


def majority_vote(voters: Sequence[int], votes: Mapping[int, bool]) -> VoteResult:
    """How the vote among ``voters`` stands; a voter missing in ``votes`` has not answered."""
    if not voters:
        return VoteResult.WON
    needed = len(voters) // 2 + 1
    yes = sum(1 for voter in voters if votes.get(voter, False))
    if yes >= needed:
        return VoteResult.WON
    missing = sum(1 for voter in voters if voter not in votes)
    return VoteResult.PENDING if yes + missing >= needed else VoteResult.LOST


def vote_result(
    voters: Sequence[int], outgoing: Sequence[int], votes: Mapping[int, bool]
) -> VoteResult:
    """How the vote stands in both halves: won in both, lost in either, else pending."""
    results = (majority_vote(voters, votes), majority_vote(outgoing, votes))
    if VoteResult.LOST in results:
        return VoteResult.LOST
    return VoteResult.PENDING if VoteResult.PENDING in results else VoteResult.WON
