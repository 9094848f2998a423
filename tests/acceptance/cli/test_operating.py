"""What operators do to agents and servers."""

from __future__ import annotations

import subprocess

from acceptance import consul

pytestmark = consul.MARKS


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


def test_debug_refuses_what_makes_no_sense(play):
    play("""
        debug -duration=1s
        debug -interval=1s
        debug -duration=10s
        debug -capture=zz
        debug -http-addr=127.0.0.1:1
        debug -duration=x
    """)
