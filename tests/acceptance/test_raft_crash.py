"""A member is killed under load, again and again; every acknowledged write must be there."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

MEMBER = Path(__file__).parent / "raft_member.py"


def start(directory, label):
    return subprocess.Popen(
        [sys.executable, str(MEMBER), str(directory), label],
        stdout=subprocess.PIPE,
        text=True,
    )


def found(process):
    for line in process.stdout:
        if line.startswith("found"):
            return line.split()[1:]
    raise AssertionError("the member did not start")


def kill(process):
    """Kill it and return what it had acknowledged by then; a torn last line is dropped."""
    process.kill()
    lines = process.stdout.read().split("\n")[:-1]
    process.wait()
    process.stdout.close()
    return [line.split()[1] for line in lines if line.startswith("acked")]


def test_nothing_acknowledged_is_lost_to_kill_9(tmp_path):
    acknowledged = []
    for round_ in range(6):
        process = start(tmp_path / "raft", f"r{round_}")
        present = found(process)
        assert len(present) == len(set(present)), "a command was applied twice"
        assert set(acknowledged) <= set(present)
        for _ in range(100 + 37 * round_):  # let it work, for a time that differs
            line = process.stdout.readline()
            if line.startswith("acked"):
                acknowledged.append(line.split()[1])
        acknowledged += kill(process)
    process = start(tmp_path / "raft", "last")
    present = found(process)
    kill(process)
    assert set(acknowledged) <= set(present)
    assert len(acknowledged) > 600
