"""The checker finds what was planted, and believes what could have been."""

from random import Random

import pytest

from lictor.raft.linearizability import Act, Operation, Undecided, find_violation


def read(value, invoked, returned, key="k"):
    return Operation(key=key, act=Act.READ, value=value, invoked=invoked, returned=returned)


def write(value, invoked, returned, key="k"):
    return Operation(key=key, act=Act.WRITE, value=value, invoked=invoked, returned=returned)


def swap(expected, value, invoked, returned, *, swapped=True):
    return Operation(
        key="k",
        act=Act.SWAP,
        expected=expected,
        value=value,
        invoked=invoked,
        returned=returned,
        swapped=swapped,
    )


@pytest.mark.parametrize(
    "history",
    [
        [],
        [read(None, 0, 1)],
        [write("a", 0, 1), read("a", 2, 3)],
        [write("a", 0, 10), read(None, 1, 2), read("a", 3, 4)],  # while it is being written
        [write("a", 0, 10), write("b", 0, 10), read("b", 11, 12)],
        [write("a", 0, None), read(None, 1, 2), read("a", 50, 51)],  # unknown: took effect late
        [write("a", 0, None), read(None, 1, 2), read(None, 50, 51)],  # unknown: never did
        [write("a", 0, 1), swap("a", "b", 2, 3), read("b", 4, 5)],
        [write("a", 0, 1), swap("x", "b", 2, 3, swapped=False), read("a", 4, 5)],
        [write("a", 0, 1), swap("a", "b", 2, None), read("b", 4, 5)],
        [write("a", 0, 1, key="j"), read(None, 2, 3)],
        [write("a", 0, 1), read(None, 1, 2)],  # the same instant is no order
    ],
)
def test_what_could_have_been_is_believed(history):
    assert find_violation(history) is None


@pytest.mark.parametrize(
    "history",
    [
        [read("a", 0, 1)],  # out of thin air
        [write("a", 0, 1), read(None, 2, 3)],  # stale, or lost
        [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)],
        [write("a", 0, 10), read("a", 1, 2), read(None, 3, 4)],  # seen, and gone again
        [write("a", 0, None), read("a", 1, 2), read(None, 3, 4)],
        [write("a", 5, None), read("a", 1, 2)],  # before it was asked for
        [write("a", 0, 1), swap("a", "b", 2, 9), swap("a", "c", 2, 9)],  # both won
        [write("a", 0, 1), swap("a", "b", 2, 3, swapped=False)],
        [write("a", 0, 9), write("b", 0, 9), read("a", 10, 11), read("b", 12, 13)],
    ],
)
def test_what_cannot_have_been_is_found(history):
    assert find_violation([write("z", 0, 1, key="j"), *history]).key == "k"


def test_a_violation_says_how_far_it_makes_sense():
    good, stale = write("a", 0, 1), read(None, 2, 3)
    violation = find_violation([stale, good])
    assert (violation.explained, violation.unexplained) == ([good], [stale])


def history_of_a_register(rng, *, clients=5, operations=100, unknown=0.03):
    """What ``clients`` may see of one register: each operation happens at some instant within."""
    asked = [(rng.uniform(0, operations), rng.uniform(0.1, 2 * clients)) for _ in range(operations)]
    value, history = None, []
    for number, (at, lasts) in enumerate(sorted(asked)):
        times = at - rng.uniform(0, lasts / 2), at + rng.uniform(0, lasts / 2)
        if rng.random() < 0.5:
            value = str(number)
            lost = rng.random() < unknown
            history.append(write(value, times[0], None if lost else times[1]))
        else:
            history.append(read(value, *times))
    return history


@pytest.mark.parametrize("seed", range(5))
def test_true_histories_pass_and_one_stale_read_is_noticed(seed):
    rng = Random(seed)
    history = history_of_a_register(rng)
    assert find_violation(history) is None
    history.append(read("0" if history[0].writes else None, 10_000, 10_001))
    assert find_violation(history) is not None


def test_a_search_without_an_end_is_given_up():
    history = [write(str(number), 0, None) for number in range(30)]
    with pytest.raises(Undecided):
        find_violation([*history, read("x", 1, 2)], limit=1_000)
