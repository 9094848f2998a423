"""Our command line beside Consul's, against one real server: same words, same exit codes.

A story is a list of command lines. Consul's binary plays it, then ours, from the same state; after
each line, stdout, stderr and exit code must be the same but for what differs by nature (indexes,
identifiers, instants).
"""

from __future__ import annotations

import difflib
import re
import shlex
import subprocess
from dataclasses import dataclass

import pytest

from acceptance import consul
from lictor.cli.main import run

MASKS = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"((?:Create|Modify|Lock)Index\"?:? *)\d+"), r"\1<n>"),
    (re.compile(r"\w+day, \d\d-\w\w\w-\d\d \d\d:\d\d:\d\d UTC"), "<instant>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?"), "<instant>"),
    (re.compile(r"[0-9a-f]{64}|(?<=Hash\": \")[^\"]+"), "<hash>"),
    (re.compile(r"((?:Create|Modify) Index: +|reset index: )\d+"), r"\1<n>"),
    (re.compile(r"unverified\.\S+:"), "unverified:"),
    (re.compile(r"(Size         )\d+|(Index        )\d+|(to index )\d+"), r"\1\2\3<n>"),
    (re.compile(r"\d+-\d+-\d{13}"), "<snapshot>"),
    (re.compile(r"lookup (\S+) on \S+:"), r"lookup \1:"),
]


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str


def masked(text: bytes) -> str:
    shown = text.decode(errors="surrogateescape")
    for pattern, replacement in MASKS:
        shown = pattern.sub(replacement, shown)
    # help, and the list of flags behind a wrong one, are in each one's own words
    return re.sub(r"Usage:.*", "Usage", shown, flags=re.DOTALL)


def shown(lines, outcomes):
    """Lines and their outcomes as one text, so that a failure is one diff."""
    parts = [
        f"$ {line}\n{one.stdout}{one.stderr}-> {one.code}"
        for line, one in zip(lines, outcomes, strict=True)
    ]
    return "\n".join(parts).splitlines()


@pytest.fixture(scope="session")
def key():
    return subprocess.check_output([consul.BINARY, "keygen"], text=True).strip()


@pytest.fixture(scope="session")
def address(tmp_path_factory, key):
    with consul.server(tmp_path_factory.mktemp("consul"), key=key) as where:
        yield where


@pytest.fixture(scope="session")
def guarded(tmp_path_factory, key):
    """A server with ACLs; the value is its address and a token that may do everything."""
    acl = 'acl { enabled = true default_policy = "deny" }'
    with consul.server(tmp_path_factory.mktemp("guarded"), key=key, more=acl) as where:
        made = subprocess.check_output(
            [consul.BINARY, "acl", "bootstrap", f"-http-addr={where}"], text=True
        )
        yield where, re.search(r"SecretID: +(\S+)", made)[1]


def theirs(words):
    done = subprocess.run(
        [consul.BINARY, *words], capture_output=True, timeout=30, stdin=subprocess.DEVNULL
    )
    return Outcome(done.returncode, masked(done.stdout), masked(done.stderr))


@pytest.fixture
def story(capfdbinary, monkeypatch, tmp_path):
    """Play lines with both. ``!`` only prepares, for each of them; ``+`` prepares once for both."""
    monkeypatch.chdir(tmp_path)

    def ours(words):
        capfdbinary.readouterr()
        code = run(words)
        stdout, stderr = capfdbinary.readouterr()
        return Outcome(code, masked(stdout), masked(stderr))

    def play(text):
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        words = [shlex.split(line.lstrip("!+")) for line in lines]
        expected = [theirs(one) for one in words]
        got = []
        for line, one, outcome in zip(lines, words, expected, strict=True):
            got.append(outcome if line[0] == "+" else theirs(one) if line[0] == "!" else ours(one))
        difference = difflib.unified_diff(
            shown(lines, expected), shown(lines, got), "theirs", "ours", lineterm="", n=2
        )
        if told := "\n".join(difference):
            pytest.fail(told, pytrace=False)

    return play


@pytest.fixture
def play(address, story, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    return story


@pytest.fixture
def play_guarded(guarded, story, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", guarded[0])
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", guarded[1])
    return story
