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
import sys
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


def test_membership(play, address):
    play("""
        join
        join 127.0.0.1:1 127.0.0.1:2
        join -http-addr=127.0.0.1:1 x y
        leave x
        leave -http-addr=127.0.0.1:1
        force-leave
        force-leave x
        force-leave x y
        force-leave -prune x
        force-leave -http-addr=127.0.0.1:1 x
        reload
        reload -http-addr=127.0.0.1:1
        monitor -log-level=bad
        monitor -http-addr=127.0.0.1:1
    """)


def test_keyring(play, address, tmp_path):
    second = subprocess.check_output([consul.BINARY, "keygen"], text=True).strip()
    play(f"""
        keyring
        keyring -list
        keyring -list-primary
        keyring -list -local-only
        keyring -list -relay-factor=7
        keyring -list -use=x
        keyring -install=x
        keyring -install=x -local-only
        keyring -use=x
        keyring -remove=x
        keyring -list -http-addr=127.0.0.1:1
        keyring -install={second}
        keyring -remove={second}
    """)


def test_maint(play):
    play("""
        !services register -name=mm
        maint
        maint -enable -disable
        maint -reason=x
        maint -disable -reason=x
        maint -service=x
        maint -enable -service=x
        maint -enable -reason=testing
        maint -enable -service=mm -reason="a b"
        maint
        maint -disable
        maint -disable -service=mm
        maint -http-addr=127.0.0.1:1
        maint -enable -http-addr=127.0.0.1:1
        maint -disable -service=mm -http-addr=127.0.0.1:1
        maint x
        !services deregister -id=mm
    """)


def test_rtt(play):
    play("""
        rtt
        rtt a b c
        rtt n1
        rtt n1 n1
        rtt n1 zz
        rtt zz yy
        rtt -wan n1.dc1 n1.dc1
        rtt -wan n1
        rtt -wan zz.dc1 n1.dc1
        rtt -wan n1.dc1 n1.dc7
        rtt -http-addr=127.0.0.1:1 n1 n1
        rtt -http-addr=127.0.0.1:1 n1
    """)


def test_event(play):
    play("""
        event
        event -name=x
        event -name=x pay
        event -name=x a b
        event -name=x -tag=t
        event -name=x -service=[
        event -name=x -node=(
        event -name=x -node=*
        event -name=x -http-addr=127.0.0.1:1
    """)


def test_operator(play):
    play("""
        operator raft list-peers
        operator raft list-peers -stale x
        operator raft list-peers -http-addr=127.0.0.1:1
        operator raft remove-peer
        operator raft remove-peer -address=x -id=y
        operator raft remove-peer -address=x
        operator raft remove-peer -id=y
        operator raft remove-peer -id=y -http-addr=127.0.0.1:1
        operator autopilot get-config
        operator autopilot get-config -http-addr=127.0.0.1:1
        operator autopilot set-config
        operator autopilot set-config -cleanup-dead-servers=false -max-trailing-logs=99
        operator autopilot set-config -last-contact-threshold=1m30s -server-stabilization-time=5s
        operator autopilot set-config -min-quorum=3
        operator autopilot get-config
        operator autopilot set-config -cleanup-dead-servers=x
        operator autopilot set-config -max-trailing-logs=x
        operator autopilot set-config -last-contact-threshold=x
        operator autopilot set-config -last-contact-threshold=200ms -server-stabilization-time=10s
        operator autopilot set-config -cleanup-dead-servers=true -max-trailing-logs=250
        operator autopilot set-config -min-quorum=0
        operator autopilot get-config
    """)


ENTRIES = {
    "sd.hcl": 'Kind = "service-defaults"\nName = "lweb"\nProtocol = "http"\n',
    "sr.json": """{"kind":"service-resolver","name":"lweb","connect_timeout":"7s",
        "subsets":{"v1":{"filter":"Service.Meta.version == v1"}},
        "failover":{"*":{"datacenters":["dc2"]}}}""",
    "pd.hcl": """kind = "proxy-defaults"
        name = "global"
        config { local_connect_timeout_ms = 1000  handshake_timeout_ms = 10000 }
        mesh_gateway { mode = "local" }
        expose { checks = true
          paths = [{ path = "/m", local_path_port = 1, listener_port = 2, protocol = "http" }]
        }""",
    "ig.hcl": """Kind = "ingress-gateway"
        Name = "ig"
        TLS { Enabled = true }
        Listeners = [{ Port = 8080
          Protocol = "http"
          Services = [{ Name = "lweb"
            Hosts = ["a.b"] }] }]""",
    "bogus.json": '{"kind":"bogus"}',
    "nokind.json": '{"name":"bogus"}',
    "key.json": '{"kind":"service-defaults","name":"x","Bad":1}',
    "cut.json": '{"kind":"service-defaults","name":"x"',
    "word.hcl": "kind\n",
    "duration.json": '{"kind":"service-resolver","name":"x","connect_timeout":"zz"}',
    "splits.json": '{"kind":"service-splitter","name":"x","splits":[]}',
    "empty.json": "",
}


def test_config(play, tmp_path):
    for name, text in ENTRIES.items():
        (tmp_path / name).write_text(text)
    play("""
        config read
        config read -kind=service-defaults
        config read -kind=service-defaults -name=x
        config list
        config list -kind=bogus
        config list -kind=service-defaults
        config write
        config write a b
        config write /nope
        config write sd.hcl
        config write sr.json
        config write pd.hcl
        config write ig.hcl
        config read -kind=service-defaults -name=lweb
        config read -kind=proxy-defaults -name=global
        config read -kind=ingress-gateway -name=ig
        config list -kind=service-defaults
        config write -cas sd.hcl
        config write -cas -modify-index=1 sd.hcl
        config write -modify-index=1 sd.hcl
        config write bogus.json
        config write nokind.json
        config write key.json
        config write cut.json
        config write word.hcl
        config write splits.json
        config write empty.json
        config write -http-addr=127.0.0.1:1 sd.hcl
        config read -http-addr=127.0.0.1:1 -kind=service-defaults -name=lweb
        config list -http-addr=127.0.0.1:1 -kind=service-defaults
        config delete
        config delete -kind=service-defaults
        config delete -kind=bogus -name=x
        config delete -kind=service-defaults -name=nosuch
        config delete -kind=service-defaults -name=lweb
        config delete -http-addr=127.0.0.1:1 -kind=service-defaults -name=lweb
        config delete -kind=ingress-gateway -name=ig
        config delete -kind=service-resolver -name=lweb
        config delete -kind=proxy-defaults -name=global
        config delete -kind=service-defaults -name=lweb
    """)


def test_snapshot(play, tmp_path):
    (tmp_path / "junk").write_text("junk")
    play("""
        snapshot save
        snapshot save a b
        snapshot save /nope/x
        snapshot save x.snap
        snapshot save x.snap
        snapshot save -http-addr=127.0.0.1:1 y.snap
        snapshot inspect
        snapshot inspect a b
        snapshot inspect /nope
        snapshot inspect x.snap
        snapshot inspect junk
        snapshot restore
        snapshot restore a b
        snapshot restore /nope
        snapshot restore junk
        snapshot restore -http-addr=127.0.0.1:1 x.snap
    """)
    (tmp_path / "cut").write_bytes((tmp_path / "x.snap").read_bytes()[:400])
    play("""
        snapshot inspect cut
        snapshot restore cut
        snapshot restore x.snap
    """)


def test_watch(play):
    # what a service or a check looks like is the server's to say; ours prints that as it is
    play("""
        !kv put wk v
        !kv put wk2 v
        watch
        watch -type=bogus
        watch -type=key
        watch -type=key -key=nosuch
        watch -http-addr=127.0.0.1:1 -type=key -key=nosuch
        watch -type=key -key=wk
        watch -type=key -key=wk -prefix=x
        watch -type=keyprefix
        watch -type=keyprefix -prefix=wk
        watch -type=keyprefix -prefix=nosuch/
        watch -type=services
        watch -type=nodes
        watch -type=service
        watch -type=service -service=nosuch
        watch -type=service -service=consul -tag=x -passingonly=true
        watch -type=checks -state=critical
        watch -type=checks -service=consul
        watch -type=checks -service=consul -state=passing
        watch -type=event -name=nosuch
        watch -type=services -key=x
        watch -type=services -passingonly=x
        watch -type=services -passingonly
        watch -type=connect_roots
        watch -type=key -key=wk 'cat; exit 3'
        watch -type=key -key=wk 'echo $CONSUL_INDEX | tr 0-9 N; exit 1'
        watch -type=key -key=wk -shell=false sh -c 'cat; exit 4'
        watch -type=key -key=wk -shell=false /nope
        watch -type=key -key=nosuch 'cat; kill -9 $$'
        !kv delete -recurse wk
    """)


def test_lock(play):
    play("""
        lock
        lock p
        lock -n=0 p ls
        lock -timeout=bad p ls
        lock -n=bad p ls
        lock -http-addr=127.0.0.1:1 p ls
        lock -verbose lk 'env | grep CONSUL_LOCK; echo hi'
        lock -verbose -n=2 lk2 'echo hi'
        lock lk 'exit 5'
        lock -child-exit-code lk 'exit 5'
        lock -shell=false lk /nope
        lock -shell=false -child-exit-code lk /nope
        lock -shell=false lk echo a 'b  c'
        lock lk echo a 'b  c'
        lock lk cat
        lock /lead 'echo hi'
        !kv put other/.lock x
        lock -timeout=2s other 'echo hi'
        lock -n=2 -timeout=2s other 'echo hi'
        !kv delete other/.lock
        kv get -keys -separator= ''
    """)


def both_ways(other):
    """A command line of ours or theirs that holds a lock while the other is tried."""
    ours = [sys.executable, "-m", "lictor.cli.main"]
    return (ours, [consul.BINARY]) if other == "theirs" else ([consul.BINARY], ours)


@pytest.mark.parametrize("second", ["ours", "theirs"])
@pytest.mark.parametrize(
    ("first", "then", "complaint"),
    [
        ("lk", "-timeout=1s lk", "Shutdown triggered or timeout during lock acquisition"),
        ("-n=2 lk", "-n=3 -timeout=1s lk", "semaphore limit conflict (lock: 2, local: 3)"),
        (
            "-n=2 lk",
            "-timeout=1s lk",
            "Lock acquisition failed: Existing key does not match lock use",
        ),
    ],
)
def test_each_respects_the_others_locks(address, monkeypatch, second, first, then, complaint):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    holder, contender = both_ways(second)
    held = subprocess.Popen(
        [*holder, "lock", "-pass-stdin", *first.split(), "echo held; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with held:
        assert held.stdout.readline() == "held\n"
        tried = subprocess.run(
            [*contender, "lock", *then.split(), "echo never"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        held.stdin.close()
        assert held.wait(timeout=30) == 0
    assert (tried.returncode, tried.stdout) == (1, "")
    assert complaint in tried.stderr


def test_a_child_is_told_to_end_when_its_lock_is_lost(address, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    script = "trap 'echo told; exit 1' TERM; echo held; sleep 60 & wait"
    held = subprocess.Popen(
        [*both_ways("ours")[1], "lock", "lost", script], stdout=subprocess.PIPE, text=True
    )
    with held:
        assert held.stdout.readline() == "held\n"
        subprocess.run(
            [consul.BINARY, "kv", "delete", "lost/.lock"], check=True, capture_output=True
        )
        assert held.stdout.readline() == "told\n"
        assert held.wait(timeout=30) == 0


def test_a_watch_runs_its_child_after_each_change(address, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    watch = subprocess.Popen(
        [*both_ways("ours")[1], "watch", "-type=key", "-key=changing", "cat"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with watch:
        assert watch.stdout.readline() == "null\n"
        for value, encoded in (("1", "MQ=="), ("2", "Mg==")):
            subprocess.run(
                [consul.BINARY, "kv", "put", "changing", value], check=True, capture_output=True
            )
            assert f'"Value":"{encoded}"' in watch.stdout.readline()
        subprocess.run([consul.BINARY, "kv", "delete", "changing"], check=True, capture_output=True)
        assert watch.stdout.readline() == "null\n"
        watch.terminate()


CONFIGURATIONS = {
    "ok.hcl": 'data_dir = "/tmp/x"',
    "warned.hcl": 'data_dir = "/tmp/x" server = true bootstrap = true',
    "bogus.hcl": "bogus = 1",
    "port.hcl": 'data_dir = "/tmp/x" ports { http = 99999 }',
    "word.txt": "x",
    "json.conf": '{"data_dir": "/tmp/x"}',
}


def test_validate(play, tmp_path):
    for name, text in CONFIGURATIONS.items():
        (tmp_path / name).write_text(text)
    play("""
        validate
        validate -quiet
        validate nope
        validate ok.hcl
        validate warned.hcl
        validate -quiet warned.hcl
        validate -quiet ok.hcl
        validate bogus.hcl
        validate -quiet bogus.hcl
        validate word.txt
        validate port.hcl
        validate json.conf
        validate -config-format=json json.conf
        validate -config-format=bad json.conf
        validate ok.hcl warned.hcl
        validate -bogus
    """)


def test_debug_refuses_what_makes_no_sense(play):
    play("""
        debug -duration=1s
        debug -interval=1s
        debug -duration=10s
        debug -capture=zz
        debug -http-addr=127.0.0.1:1
        debug -duration=x
    """)
