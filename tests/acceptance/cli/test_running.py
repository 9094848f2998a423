"""Commands that run commands: watch and lock."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from acceptance import consul

pytestmark = consul.MARKS


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
        assert watch.wait(timeout=30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_lock_that_is_interrupted_ends_its_child_and_is_given_back(address, monkeypatch, number):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    script = "trap 'echo told; exit 1' TERM; echo held; sleep 60 & wait"
    held = subprocess.Popen(
        [*both_ways("ours")[1], "lock", "stopped", script], stdout=subprocess.PIPE, text=True
    )
    with held:
        assert held.stdout.readline() == "held\n"
        held.send_signal(number)
        assert held.stdout.readline() == "told\n"
        assert held.wait(timeout=30) == 0
    keys = subprocess.check_output([consul.BINARY, "kv", "get", "-keys", "stopped"], text=True)
    assert keys == ""
