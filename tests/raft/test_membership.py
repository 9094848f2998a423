from pathlib import Path

import pytest

from lictor.raft.errors import InvalidChange
from lictor.raft.membership import (
    Change,
    ChangeKind,
    ChangeSet,
    Configuration,
    Transition,
    apply_change_set,
    decode_change_set,
    encode,
    enter_joint,
    leave_joint,
    simple,
)

from .datadriven import TESTDATA, read_cases
from .interaction import describe, parse_changes

FILES = sorted(Path(TESTDATA / "confchange").glob("*.txt"))


def test_all_given_cases_are_here():
    assert sum(1 for path in FILES for _ in read_cases(path)) == 58


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_agrees_with_the_given_cases(path):
    configuration = Configuration()
    began: dict[int, int] = {}
    for last_index, case in enumerate(read_cases(path)):
        outcome, configuration = _change(configuration, case)
        if outcome is not None:
            assert case.expected == [outcome], case.line
            continue
        members = configuration.members
        began = {member: began.get(member, max(last_index, 1)) for member in members}
        rows = [
            f"{member}: StateProbe match=0 next={began[member]}"
            + (" learner" if member in configuration.learners else "")
            for member in members
        ]
        assert case.expected == [describe(configuration), *rows], case.line


def _change(configuration, case):
    """The refusal, or None; and the configuration from now on."""
    changes = parse_changes(" ".join(case.input))
    try:
        if case.command == "simple":
            return None, simple(configuration, changes)
        if case.command == "enter-joint":
            auto_leave = case.flag("autoleave")
            return None, enter_joint(configuration, changes, auto_leave=auto_leave)
        return None, leave_joint(configuration)
    except InvalidChange as error:
        return str(error), configuration


def test_addresses_follow_their_members():
    configuration = simple(Configuration(), [Change(ChangeKind.ADD_VOTER, 1, "10.0.0.1:8300")])
    configuration = simple(configuration, [Change(ChangeKind.ADD_LEARNER, 2, "10.0.0.2:8300")])
    configuration = simple(configuration, [Change(ChangeKind.UPDATE, 1, "10.0.0.9:8300")])
    assert configuration.addresses == ((1, "10.0.0.9:8300"), (2, "10.0.0.2:8300"))
    assert simple(configuration, [Change(ChangeKind.REMOVE, 2)]).address(2) is None


def test_several_changes_pass_through_a_joint_configuration_by_themselves():
    one = Configuration(voters=(1,))
    changes = ChangeSet((Change(ChangeKind.ADD_VOTER, 2), Change(ChangeKind.ADD_VOTER, 3)))
    joint = apply_change_set(one, changes)
    assert joint == Configuration(voters=(1, 2, 3), outgoing=(1,), auto_leave=True)
    assert apply_change_set(joint, ChangeSet()) == Configuration(voters=(1, 2, 3))


def test_a_change_set_survives_its_encoding():
    changes = ChangeSet((Change(ChangeKind.REMOVE, 7),), Transition.EXPLICIT, b"why")
    assert decode_change_set(encode(changes)) == changes
