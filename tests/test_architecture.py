"""The shape of the code: what a reader may rely on without looking."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("raft", "registry", "dns", "connect", "cli")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

THE_DOOR = re.compile(r"raft/(system|simulat)\w*\.py")
"""What implements a runtime: the real one, and the simulated one, whose loop keeps virtual time."""

ENTRY_POINTS = re.compile(r"cli/.*|registry/run\.py")
"""What starts a process may touch the machine to do so; decisions live below."""

STORAGE = {"raft/storage.py", "raft/snapshots.py"}
ON_THE_STORAGE_THREAD = {"os.open", "open"}
"""Raft's stores are handed to ``disk.run``, and have files that cannot be written whole."""

BANNED_CALLS = {
    "time.time": "clock.wall",
    "time.monotonic": "clock.now",
    "time.perf_counter": "clock.now",
    "time.sleep": "clock.sleep",
    "asyncio.sleep": "clock.sleep",
    "asyncio.timeout": "clock.wait",
    "asyncio.wait_for": "clock.wait",
    "asyncio.open_connection": "network.connect_stream",
    "asyncio.start_server": "network.serve_stream",
    "datetime.now": "clock.wall",
    "datetime.utcnow": "clock.wall",
    "datetime.datetime.now": "clock.wall",
    "open": "disk.read",
    "io.open": "disk.read",
    "os.open": "disk.read",
    "os.urandom": "rng",
    "secrets.token_bytes": "rng",
    "secrets.token_hex": "rng",
    "uuid.uuid4": "runtime.uuid4",
    "socket.socket": "network",
    "socket.create_connection": "network.connect_stream",
    "socket.create_server": "network.serve_stream",
    "socket.getaddrinfo": "network",
    "random.random": "rng",
    "random.choice": "rng",
    "random.randint": "rng",
    "random.uniform": "rng",
    "random.shuffle": "rng",
    "eval": "a parser",
    "exec": "a parser",
    "pickle.loads": "a codec with declared types",
    "pickle.load": "a codec with declared types",
    "os.system": "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell": "asyncio.create_subprocess_exec",
    "subprocess.getoutput": "subprocess.run with a list",
}
"""Each with what to use instead. Aliases of these modules are followed."""

ALWAYS_BANNED = {
    "eval",
    "exec",
    "pickle.loads",
    "pickle.load",
    "os.system",
    "asyncio.create_subprocess_shell",
    "subprocess.getoutput",
}
"""Nobody may call these, entry points included."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def origins(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: ``{"now_in": "datetime.now"}`` and so on."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                known[each.asname or each.name.split(".")[0]] = (
                    each.name if each.asname else each.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for each in node.names:
                known[each.asname or each.name] = f"{node.module}.{each.name}"
    return known


def calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of every call whose target is a plain dotted name."""
    known = origins(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        parts: list[str] = []
        target = node.func
        while isinstance(target, ast.Attribute):
            parts.append(target.attr)
            target = target.value
        if isinstance(target, ast.Name):
            base = known.get(target.id, target.id)
            yield node.lineno, ".".join([base, *reversed(parts)])


def violations(path: Path, banned: set[str]) -> list[str]:
    return [
        f"{name_of(path)}:{line}: {name}; use {BANNED_CALLS[name]}"
        for line, name in calls(tree_of(path))
        if name in banned
    ]


def test_time_network_disk_and_randomness_come_in_through_one_door():
    wrong = []
    for path in MODULES:
        name = name_of(path)
        if not THE_DOOR.fullmatch(name) and not ENTRY_POINTS.fullmatch(name):
            allowed = ON_THE_STORAGE_THREAD if name in STORAGE else set()
            wrong += violations(path, set(BANNED_CALLS) - allowed)
    assert wrong == []


def test_nothing_is_unpickled_evaluated_or_given_to_a_shell():
    assert [each for path in MODULES for each in violations(path, ALWAYS_BANNED)] == []
    assert [
        f"{name_of(path)}:{node.lineno}: shell="
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and "subprocess" in ast.unparse(node.func)
        and any(keyword.arg == "shell" for keyword in node.keywords)
    ] == []


def test_the_search_for_banned_calls_finds_them():
    code = "import time as t\nfrom time import sleep as nap\nt.time()\nnap(1)\nopen('x')\n"
    assert [name for _, name in calls(ast.parse(code))] == ["time.time", "time.sleep", "open"]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module


def test_rooms_are_imported_by_their_full_name():
    tests = sorted((ROOT / "tests").rglob("*.py"))
    wrong = [
        f"{name_of(path)}:{line}: import {name}; say lictor.{name}"
        for path in [*MODULES, *tests]
        for line, name in imported(path)
        if name.split(".")[0] in ROOMS
    ]
    assert wrong == []


def test_neighbours_are_imported_by_a_dot():
    wrong = []
    for path in MODULES:
        package = ".".join(["lictor", *path.relative_to(ROOT).parts[:-1]])
        wrong += [
            f"{name_of(path)}:{line}: {name}"
            for line, name in imported(path)
            if name.rpartition(".")[0] == package
        ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_import_name_links_to_the_room(room):
    link = ROOT / "src" / "lictor" / room
    assert link.is_symlink()
    assert link.resolve() == ROOT / room


def test_an_idea_has_a_name():
    nameless = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools_misc"}
    assert [name_of(path) for path in MODULES if path.stem in nameless] == []


OUR_OWN = {"acceptance", "bench", "scenarios"}
"""Folders of tests that mirror no room."""


def test_tests_mirror_the_rooms():
    wrong = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        folders = path.relative_to(ROOT / "tests").parts[:-1]
        if folders and folders[0] not in OUR_OWN and not ROOT.joinpath(*folders).is_dir():
            wrong.append(name_of(path))
    assert wrong == []


def tracked() -> list[Path]:
    """Every file under version control; outside a checkout, every file there is."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [
            Path(folder) / name for folder, _, names in os.walk(ROOT) for name in names
        ]  # pragma: no cover
    return [path for path in paths if path.is_file() and not path.is_symlink()]


# in pieces, so that this file does not hold what it looks for
FOREIGN = re.compile(
    "|".join(
        [
            r"(?<![\w.}$])/" + r"work/",
            r"(?<![\w.}$])/" + r"root/",
            r"work" + r"tree",
            r"\bissue" + r"s? #?\d",
            r"sub" + r"agent",
            r"co-authored" + r"-by",
            r"deb\.debian" + r"\.org",
            r"\b(files\.pythonhosted|pypi)\.org" + r"/simple",
        ]
    ),
    re.IGNORECASE,
)
"""Where somebody happened to work, and on which errand: no business of a reader."""


def test_no_word_of_the_workplace_is_in_the_project():
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if FOREIGN.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_the_lock_names_every_dependency_exactly_once_and_no_host():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {canonical(re.split(r"[<>=!~\[; ]", each)[0]) for each in wanted}
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = [re.fullmatch(r"([\w.-]+)==[\w.+!]+", line) for line in lines]
    assert all(locked), [line for line, match in zip(lines, locked, strict=True) if not match]
    pinned = [canonical(match[1]) for match in locked if match]
    assert len(pinned) == len(set(pinned))
    assert names - set(pinned) == set()
    assert "lictor" not in pinned


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
