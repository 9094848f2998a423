"""Whatever the luck, Raft's promises hold; and when the faults stop, it works again."""

import pytest

from .fleet import Fleet

QUIET = {"crash": 0, "cut": 0, "change": 0, "transfer": 0}


@pytest.mark.parametrize("seed", range(12))
def test_promises_hold_under_faults(seed):
    fleet = Fleet(seed, size=3 + 2 * (seed % 2))
    fleet.run(3_000)
    fleet.settle()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_promises_hold_for_long(seed):
    fleet = Fleet(seed, size=3 + 2 * (seed % 2), rates={"change": seed % 30})
    fleet.run(10_000)
    fleet.settle()


def test_it_gets_work_done_without_faults():
    fleet = Fleet(1, rates=QUIET)
    fleet.run(6_000)
    assert fleet.commits > 100
