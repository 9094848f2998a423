from pathlib import Path

import pytest

from lictor.raft.quorum import EVERYTHING, VoteResult, committed, vote_result

from .datadriven import TESTDATA, read_cases

FILES = sorted(Path(TESTDATA / "quorum").glob("*.txt"))
CASES = [
    pytest.param(case, id=f"{path.stem}:{case.line}") for path in FILES for case in read_cases(path)
]


def test_all_given_cases_are_here():
    assert len(CASES) == 127


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_given_case(case):
    voters = case.ids("cfg")
    joint = case.options.get("cfgj")
    outgoing = () if joint in (None, ["zero"]) else case.ids("cfgj")
    given = case.options.get("idx" if case.command == "committed" else "votes", [])
    # the values are for every voter, in the order in which each is first named
    members = list(dict.fromkeys([*voters, *outgoing]))
    if len(given) != len(members):
        assert case.expected[0].startswith("error: mismatched input")
        return
    known = {member: value for member, value in zip(members, given, strict=True) if value != "_"}
    if case.command == "committed":
        indexes = {member: int(value) for member, value in known.items()}
        index = committed(voters, outgoing, indexes)
        assert committed(outgoing, voters, indexes) == index or not outgoing
        assert committed(voters, voters, indexes) == committed(voters, (), indexes)
        assert case.expected == _chart(members, indexes, index)
    else:
        votes = {member: value == "y" for member, value in known.items()}
        result = vote_result(voters, outgoing, votes)
        assert vote_result(outgoing, voters, votes) == result
        assert case.expected == [f"Vote{result.name.capitalize()}"]


def _chart(members, indexes, index):
    if not members:
        return ["<empty majority quorum>∞"]
    width = len(members)
    rows = [" " * (width + 4) + "idx"]
    for member in sorted(members):
        value = indexes.get(member)
        if value is None:
            bar = "?" + " " * width
        else:
            longer = sum(1 for other in members if indexes.get(other, 0) < value)
            # a member that is not heard of counts as 0, below everyone that was
            bar = "x" * longer + ">" + " " * (width - longer)
        rows.append(f"{bar} {value or 0:>5}    (id={member})")
    rows.append("∞" if index == EVERYTHING else str(index))
    return rows


def test_a_vote_is_lost_as_soon_as_it_cannot_be_won():
    assert vote_result((1, 2), (), {1: False}) is VoteResult.LOST
