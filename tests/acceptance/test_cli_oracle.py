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

from lictor.cli.main import run

from . import consul

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.slow,
    pytest.mark.skipif(not consul.BINARY.exists(), reason="no Consul binary to compare with"),
]

MASKS = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"((?:Create|Modify|Lock)Index\"?:? *)\d+"), r"\1<n>"),
    (re.compile(r"\w+day, \d\d-\w\w\w-\d\d \d\d:\d\d:\d\d UTC"), "<instant>"),
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
    # behind a wrong flag both list their flags, each in its own words
    return shown.partition("Usage:\n")[0]


def shown(lines, outcomes):
    """Lines and their outcomes as one text, so that a failure is one diff."""
    parts = [
        f"$ {line}\n{one.stdout}{one.stderr}-> {one.code}"
        for line, one in zip(lines, outcomes, strict=True)
    ]
    return "\n".join(parts).splitlines()


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    directory = tmp_path_factory.mktemp("consul")
    key = subprocess.check_output([consul.BINARY, "keygen"], text=True).strip()
    with consul.server(directory, key=key) as where:
        yield where


@pytest.fixture
def play(address, monkeypatch, capfdbinary, tmp_path):
    """Play one line with both; a line that starts with ``!`` only prepares, with Consul."""
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    monkeypatch.chdir(tmp_path)

    def theirs(words):
        done = subprocess.run(
            [consul.BINARY, *words], capture_output=True, timeout=30, stdin=subprocess.DEVNULL
        )
        return Outcome(done.returncode, masked(done.stdout), masked(done.stderr))

    def ours(words):
        capfdbinary.readouterr()
        code = run(words)
        stdout, stderr = capfdbinary.readouterr()
        return Outcome(code, masked(stdout), masked(stderr))

    def story(text):
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        words = [shlex.split(line.removeprefix("!")) for line in lines]
        expected = [theirs(one) for one in words]
        got = [
            theirs(one) if line.startswith("!") else ours(one)
            for line, one in zip(lines, words, strict=True)
        ]
        difference = difflib.unified_diff(
            shown(lines, expected), shown(lines, got), "theirs", "ours", lineterm="", n=2
        )
        if told := "\n".join(difference):
            pytest.fail(told, pytrace=False)

    return story


def test_flags_are_read_as_go_reads_them(play):
    play("""
        kv get -bogus
        kv get -stale=bad x
        kv get -base64=bad x
        kv get -separator
        kv get ---x
        kv get -=x
        kv get -- -x
        kv get --stale=1 x
        kv get -separator / nosuch
        kv put -flags=-1 x
        kv put -flags=0x1g x
        kv put -flags=99999999999999999999 x
        kv put -flags=1_0 flags
        kv put -flags=017 flags
        kv get -detailed flags
        kv delete flags
        catalog nodes -node-meta=a
    """)


def test_kv(play):
    play("""
        kv put
        kv put a b c
        kv put -cas cli/a b
        kv put -modify-index=3 cli/a b
        kv put -cas -modify-index=1 cli/a b
        kv put -acquire cli/a
        kv put -acquire -session=x cli/a
        kv put cli/a @/nope
        kv put cli/a @
        kv put /x 1
        kv put '' 1
        kv put cli/a 'hello wörld <&>'
        kv put -flags=7 cli/b/c x
        kv put 'cli/sp ace?x=1#y' x
        kv put -base64 cli/d AAEC/w==
        kv put cli/empty
        kv get cli/a
        kv get /cli/a
        kv get cli/d
        kv get cli/empty
        kv get -base64 cli/d
        kv get -detailed cli/b/c
        kv get -detailed -base64 cli/d
        kv get -recurse cli/
        kv get -recurse -base64 cli/
        kv get -recurse -detailed cli/
        kv get -recurse nosuch
        kv get -keys cli/
        kv get -keys -separator= cli/
        kv get -keys -recurse cli/
        kv get -keys nosuch
        kv get -keys a b
        kv get
        kv get ''
        kv get nosuch
        kv get -datacenter=nope cli/a
        kv get -namespace=nope cli/a
        kv put -datacenter=nope cli/a
        kv export cli/
        kv export nosuch
        kv export a b
        kv import
        kv import a b
        kv import []
        kv import {
        kv import @/nope
        kv import '[{"key":"cli/i","flags":3,"value":"aGk="},{"key":"cli/j","value":"*"}]'
        kv get -detailed cli/i
        kv delete
        kv delete a b
        kv delete -cas cli/a
        kv delete -cas -recurse cli/a
        kv delete -cas -modify-index=1 cli/a
        kv delete -modify-index=1 cli/a
        kv delete cli/a
        kv delete cli/a
        kv delete -recurse cli/
        kv delete -recurse cli/
    """)


def test_the_agent_cannot_be_reached(play):
    play("""
        kv get -http-addr=127.0.0.1:1 x
        kv get -keys -http-addr=127.0.0.1:1 x
        kv get -recurse -http-addr=http://localhost:1 x
        kv get -http-addr=unix:///nope x
        kv get -http-addr=nosuch.invalid x
        kv get -http-addr=bad://127.0.0.1:1 x
        kv get -token-file=/nope x
        kv get -ca-file=/nope x
        kv get -client-cert=/nope x
        kv get -client-cert=/nope -client-key=/nope x
        kv put -http-addr=127.0.0.1:1 x
        kv delete -http-addr=127.0.0.1:1 x
        kv delete -recurse -http-addr=127.0.0.1:1 x
        kv export -http-addr=127.0.0.1:1 x
        kv import -http-addr=127.0.0.1:1 '[{"key":"a"}]'
        members -http-addr=127.0.0.1:1
        info -http-addr=127.0.0.1:1
        catalog datacenters -http-addr=127.0.0.1:1
        catalog nodes -http-addr=127.0.0.1:1
        catalog nodes -service=x -http-addr=127.0.0.1:1
        catalog services -http-addr=127.0.0.1:1
        catalog services -node=x -http-addr=127.0.0.1:1
        services register -http-addr=127.0.0.1:1 -name=x
        services deregister -http-addr=127.0.0.1:1 -id=x
        intention get -http-addr=127.0.0.1:1 a b
        intention check -http-addr=127.0.0.1:1 a b
        intention match -http-addr=127.0.0.1:1 a
        intention delete -http-addr=127.0.0.1:1 a b
        intention create -replace -http-addr=127.0.0.1:1 a b
    """)


def test_an_agent_without_tls(play, address):
    play(f"kv get -http-addr=https://{address} x")


def test_members(play):
    play("""
        members
        members -detailed
        members -wan
        members -status=left
        members -status=al
        members -segment=x
        members surplus
    """)


def test_info_has_the_same_sections(play, address, capfdbinary, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    theirs = subprocess.check_output([consul.BINARY, "info"], text=True)
    assert run(["info"]) == 0
    ours = capfdbinary.readouterr()[0].decode()
    # the numbers move between the two calls
    keys = re.compile(r"^(\S+:|\t\S+ =)", re.MULTILINE)
    assert keys.findall(ours) == keys.findall(theirs)


def test_catalog(play):
    play("""
        !services register -name=tagged -tag=z -tag=a
        catalog datacenters
        catalog datacenters x
        catalog nodes
        catalog nodes -detailed
        catalog nodes -near=_agent
        catalog nodes -node-meta=a=b
        catalog nodes -filter='Node == x'
        catalog nodes -filter=bad
        catalog nodes -service=consul
        catalog nodes -service=consul -detailed
        catalog nodes -service=nosuch
        catalog nodes x
        catalog services
        catalog services -tags
        catalog services -node=n1
        catalog services -node=n1 -tags
        catalog services -node=nosuch
        catalog services -node-meta=a=b
        catalog services x y
        !services deregister -id=tagged
    """)


SERVICES_HCL = """
service {
  name = "hweb"
  id = "hweb1"
  port = 80
  tags = ["a", "b"]
  meta { x = "y" }
  check {
    id = "c1"
    ttl = "10s"
  }
}
"""
SERVICES_JSON = """{"services":[{"name":"s1","port":1,"checks":[{"id":"x","ttl":"10s"}]},
 {"name":"s2","id":"s2-1","weights":{"passing":3,"warning":1}}],"service":{"name":"s3"}}"""


def test_services(play, tmp_path):
    (tmp_path / "s.hcl").write_text(SERVICES_HCL)
    (tmp_path / "m.json").write_text(SERVICES_JSON)
    (tmp_path / "t.txt").write_text("x")
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "key.json").write_text('{"service":{"name":"q","bogus":1}}')
    (tmp_path / "noname.json").write_text('{"service":{"id":"t"}}')
    play("""
        services register
        services register -id=x
        services register -port=8 -address=1.2.3.4
        services register -name=x -id=x s.hcl
        services register /nope.json
        services register t.txt
        services register empty.json
        services register bad.json
        services register key.json
        services register noname.json
        services register s.hcl
        catalog services -tags
        services register m.json
        services deregister m.json s.hcl
        services register -name=cli-web -port=8080 -tag=a -tag=b -meta=x=y -address=1.2.3.4
        services register -name=cli-web -tagged-address=lan=1.2.3.4:5
        services register -name=cli-web -tagged-address=lan=1.2.3.4
        services register -name=cli-web -tagged-address=lan
        services register -port=x -name=y
        services deregister
        services deregister -id=x m.json
        services deregister -id=nosuch
        services deregister -id=cli-web
        services deregister noname.json
    """)


def test_intentions(play):
    play("""
        intention create
        intention create a
        intention create a b c
        intention create -allow -deny cli-a cli-b
        intention create -deny -meta=x=y -meta=a=b cli-a cli-b
        intention get cli-a cli-b
        intention create cli-a cli-b
        intention create -replace cli-a cli-b
        intention create a/b/c cli-b
        intention create 'we*' cli-b
        intention create '*' cli-b
        intention create -file /nope
        intention create -file
        intention get
        intention get a b c
        intention get cli-a cli-b
        intention get cli-a cli-zz
        intention get zz
        intention check
        intention check cli-a cli-b
        intention check cli-q cli-z
        intention match
        intention match a b
        intention match cli-b
        intention match -source cli-a
        intention match -source -destination cli-a
        intention delete
        intention delete a b c
        intention delete zz
        intention delete 11111111-2222-3333-4444-555555555555
        intention delete cli-a cli-zz
        intention delete cli-a cli-b
        intention delete '*' cli-b
    """)
