"""Every console block in README.md and docs/ is run, and says what it is said to say.

In a block, a line that starts with ``$`` is a command (a backslash continues it), the others are
its output, in which ``...`` stands for anything. Pages share one agent, and their blocks are run in
order. What cannot be run here (``make``, ``docker compose``, an agent that stays) is checked for
being right instead.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from acceptance.conftest import new_agent
from acceptance.processes import Agent, lictor_command

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PATIENCE = 10.0
"""Seconds for an answer to become what the page says: the catalogue follows the agent."""


@dataclass(frozen=True)
class Command:
    """One command of a page and the output it is said to have."""

    text: str
    output: str
    line: int


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each block in ``language``."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match[1] == language:
            yield text.count("\n", 0, match.start()) + 2, match[2]


def commands(page: Path) -> Iterator[Command]:
    for first, block in blocks(page, "console"):
        assert block.startswith("$ "), f"{page.name}:{first}: no command"
        number = first
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            text, rest = [], part.splitlines()
            while rest:
                text.append(rest.pop(0))
                if not text[-1].endswith("\\"):
                    break
            yield Command("\n".join(text), "\n".join(rest), number)
            number += part.count("\n")


def titled(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


WITH_COMMANDS = [page for page in PAGES if any(blocks(page, "console"))]
WITH_PYTHON = [page for page in PAGES if any(blocks(page, "python"))]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    agent = new_agent(tmp_path_factory.mktemp("docs"), name="handbook")
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(scope="module")
def path_with_lictor(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which ``lictor`` is this checkout's."""
    directory = tmp_path_factory.mktemp("bin")
    script = directory / "lictor"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(lictor_command())} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def with_ports(text: str, agent: Agent) -> str:
    return text.replace("8500", str(agent.ports.http)).replace("8600", str(agent.ports.dns))


def matches(said: str, wanted: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in wanted.strip().split("..."))
    return re.fullmatch(pattern, said.strip(), re.DOTALL) is not None


@pytest.mark.acceptance
@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=titled)
def test_console_blocks(page, agent, path_with_lictor, tmp_path):
    environment = os.environ | {
        "PATH": path_with_lictor,
        "PYTHONSAFEPATH": "1",
        "CONSUL_HTTP_ADDR": agent.address,
    }
    for command in commands(page):
        if check_without_running(command, page, path_with_lictor):
            continue
        if command.text.startswith("dig ") and shutil.which("dig") is None:
            continue
        deadline = time.monotonic() + PATIENCE  # noqa: TID251
        while True:
            done = subprocess.run(
                ["bash", "-c", with_ports(command.text, agent)],
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
                check=False,
            )
            if matches(done.stdout, command.output):
                break
            if time.monotonic() > deadline:  # noqa: TID251
                pytest.fail(
                    f"{titled(page)}:{command.line}: $ {command.text}\n"
                    f"said:   {done.stdout}\nwanted: {command.output}\n{agent.log()}"
                )
            time.sleep(0.1)


def check_without_running(command: Command, page: Path, path: str) -> bool:
    """Whether ``command`` is of a kind that is only checked; asserts that it is right."""
    where = f"{titled(page)}:{command.line}"
    words = shlex.split(command.text)
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE), where
        return True
    if words[:2] == ["docker", "compose"]:
        assert (ROOT / "docker-compose.yml").exists(), where
        return True
    if words[:2] == ["lictor", "agent"]:
        shown = subprocess.run(
            ["lictor", "agent", "-h"],
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        for word in words[2:]:
            flag = word.split("=")[0]
            assert re.search(rf"{re.escape(flag)}\b", shown.stdout), f"{where}: {flag}"
        return True
    return False


@pytest.mark.acceptance
@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON, ids=titled)
def test_python_blocks(page, agent, tmp_path):
    for first, block in blocks(page, "python"):
        done = subprocess.run(
            [sys.executable, "-P", "-c", with_ports(block, agent)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{titled(page)}:{first}: {done.stderr}"
        promised = re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)
        assert done.stdout.splitlines() == promised


def test_links_in_the_pages_lead_somewhere():
    assert [
        f"{titled(page)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ] == []


def test_the_readme_shows_what_it_must_in_this_order():
    text = (ROOT / "README.md").read_text()
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles == [
        "Two commands",
        "HTTP",
        "DNS",
        "Command line",
        "Python",
        "What works today",
        "Where to read on",
    ]
    for title in ("HTTP", "DNS", "Command line", "Python"):
        section = text.split(f"## {title}\n")[1].split("\n## ")[0]
        example = FENCE.search(section)
        assert example is not None
        assert len([line for line in example[2].splitlines() if line]) <= 5, title


@pytest.mark.parametrize(
    ("said", "wanted", "same"),
    [
        ("one\ntwo\n", "one\ntwo", True),
        ("one two three", "one ... three", True),
        ("one", "two", False),
        ("one\nmore", "one", False),
        ("a.b", "a+b", False),
        ("", "", True),
    ],
)
def test_output_is_compared_with_room_for_what_varies(said, wanted, same):
    assert matches(said, wanted) is same


@pytest.mark.acceptance
@pytest.mark.parametrize("file", ["docker-compose.yml", "Dockerfile"])
def test_containers_start_an_agent_with_flags_it_has(file, path_with_lictor):
    text = (ROOT / file).read_text()
    flags = re.findall(r"""(?:- |")(-[a-z][a-z-]*)=""", text)
    assert "-data-dir" in flags
    shown = subprocess.run(
        ["lictor", "agent", "-h"],
        env=os.environ | {"PATH": path_with_lictor},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert [flag for flag in flags if not re.search(rf"{flag}\b", shown.stdout)] == []


def has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return asked.returncode == 0


@pytest.mark.acceptance
@pytest.mark.skipif(not has_compose(), reason="docker compose is not installed")
def test_the_compose_file_is_valid():
    subprocess.run(["docker", "compose", "config", "--quiet"], cwd=ROOT, check=True, timeout=60)
