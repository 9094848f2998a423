"""The demo does what it says, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from acceptance import processes
from acceptance.processes import bounded

STEPS = [
    r"1 1 \d+ 7f000001\.addr\.dc1\.consul\.",
    r"\napi\nconsul\nweb\n",
    r"Created: web => api \(deny\)",
    r"\nDenied\n",
    r"\nAllowed\n",
]


def demo(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    binary = os.environ.get("ACCEPTANCE_AGENT") == "consul" and processes.consul_binary()
    return subprocess.Popen(
        [
            *processes.lictor_command(),
            "demo",
            *arguments,
            *([f"-agent-binary={binary}"] if binary else []),
        ],
        env={**os.environ, "PYTHONSAFEPATH": "1", "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    """End a demo as a user would, so that a failing test leaves no agent behind."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=20)
        finally:
            process.kill()


def children_with(text: str) -> list[int]:
    """Ids of the processes whose command line mentions ``text``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text()
        except OSError:
            continue  # ended meanwhile
        if text in line:
            found.append(int(path.parent.name))
    return found


def read_until_it_stays(process: subprocess.Popen[str]) -> str:
    """What the demo says up to the line after which it waits."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C ends everything" in line:
            break
    return said


@pytest.mark.slow
def test_the_tour_runs_through_and_ends_with_0(tmp_path):
    process = demo(tmp_path, "-once")
    try:
        said, _ = process.communicate(timeout=100)
    finally:
        end(process)
    assert process.returncode == 0, said
    for step in STEPS:
        assert re.search(step, said), said
    assert list(tmp_path.iterdir()) == []
    assert children_with(str(tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_it_started(tmp_path, number):
    process = demo(tmp_path)
    try:
        said = read_until_it_stays(process)
        assert children_with(str(tmp_path)), said
        process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    finally:
        end(process)
    assert process.returncode == 0, said + rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []
    with bounded("all ended", seconds=5) as attempts:
        for _ in attempts:
            if not children_with(str(tmp_path)):
                return


@pytest.mark.slow
def test_an_agent_that_is_killed_is_told_and_ends_the_demo(tmp_path):
    process = demo(tmp_path)
    try:
        said = read_until_it_stays(process)
        (agent,) = children_with(str(tmp_path))
        os.kill(agent, signal.SIGKILL)
        rest, _ = process.communicate(timeout=30)
    finally:
        end(process)
    assert process.returncode == 1, said + rest
    assert "The agent ended by itself (exit code -9)" in rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []
