"""Keys, members and the catalogue, and what is said when nobody answers."""

from __future__ import annotations

import re
import subprocess

from acceptance import consul
from lictor.cli.main import run

pytestmark = consul.MARKS


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
