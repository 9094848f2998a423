"""etcd's published traces: our core must do the same, message by message."""

from pathlib import Path

import pytest

from .datadriven import TESTDATA, read_cases
from .interaction import World, comparable

FILES = sorted(Path(TESTDATA / "interaction").glob("*.txt"))
ASYNC = {"async_storage_writes", "async_storage_writes_append_aba_race"}
"""Traces of storage threads inside the core. Ours has one write in flight, outside of it."""
REPLAYED = [path for path in FILES if path.stem not in ASYNC]


def test_all_given_traces_are_here():
    assert len(FILES) == 28
    assert len(REPLAYED) == 26


@pytest.mark.parametrize("path", REPLAYED, ids=[path.stem for path in REPLAYED])
def test_replays_the_given_trace(path):
    world = World()
    for case in read_cases(path):
        output = world.run(case)
        if output is not None:
            assert comparable(output) == comparable(case.expected), f"{path.stem}:{case.line}"
