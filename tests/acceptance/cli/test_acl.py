"""Tokens, policies, roles, auth methods and binding rules."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from acceptance import consul
from lictor.cli.main import run

pytestmark = consul.MARKS


ID = "11111111-2222-3333-4444-5555555555"


def test_acl_setup(play_guarded):
    play_guarded("""
        acl bootstrap
        acl bootstrap -http-addr=127.0.0.1:1
        acl set-agent-token
        acl set-agent-token default
        acl set-agent-token bogus x
        acl set-agent-token a b c
        acl set-agent-token default x
        acl set-agent-token agent x
        acl set-agent-token master x
        acl set-agent-token replication x
        acl set-agent-token default ''
        acl set-agent-token agent ''
        acl set-agent-token -http-addr=127.0.0.1:1 default x
    """)


def test_acl_without_acls(play):
    play("""
        acl bootstrap
        acl policy list
        acl token list
    """)


def test_acl_policies(play_guarded, tmp_path):
    (tmp_path / "r.hcl").write_text('key_prefix "" { policy = "read" }\n')
    play_guarded(f"""
        acl policy create
        acl policy create -name=p1 -description=desc -rules=@r.hcl -valid-datacenter=dc1
        acl policy create -name=p1 -rules=@r.hcl
        acl policy create -name=p2 -rules='node_prefix "" {{ policy = "read" }}' -meta
        acl policy create -name=p3 -rules=bad
        acl policy create -name=p3 -rules=@/nope
        acl policy create -name=p3 -format=json
        acl policy create -name=p9 -valid-datacenter=dc1 -valid-datacenter=dc2
        acl policy create -http-addr=127.0.0.1:1 -name=p3
        acl policy read
        acl policy read -name=p1
        acl policy read -name=p1 -meta
        acl policy read -name=p1 -format=json
        acl policy read -name=nope
        acl policy read -id=zz
        acl policy read -id={ID}00
        acl policy read -id=00000000
        acl policy read -http-addr=127.0.0.1:1 -id=p1
        acl policy update
        acl policy update -name=p1
        acl policy update -id=zz
        acl policy update -id={ID}00
        acl policy update -name=p1 -description=new
        acl policy update -name=p1 -no-merge
        acl policy update -name=p1 -rules=@r.hcl -valid-datacenter=dc1 -format=json
        acl policy delete
        acl policy delete -name=p3
        acl policy delete -name=p3
        acl policy delete -id=zz
        acl policy delete -id={ID}00
        acl policy delete -http-addr=127.0.0.1:1 -id={ID}00
        acl policy delete -name=p1
        acl policy delete -name=p2
        acl policy delete -name=p9
    """)
    play_guarded("""
        +acl policy create -name=l1 -valid-datacenter=dc1 -description=d
        +acl policy create -name=l2
        acl policy list
        acl policy list -meta
        acl policy list -format=json
        acl policy list -http-addr=127.0.0.1:1
    """)
    play_guarded("""
        +acl policy delete -name=l1
        +acl policy delete -name=l2
    """)


def test_acl_roles(play_guarded):
    play_guarded(f"""
        !acl policy create -name=p1
        !acl policy create -name=p2
        acl role create
        acl role create -name=r1
        acl role create -name=r1 -description=rd -policy-name=p1 \
            -service-identity=web:dc1 -service-identity=db -node-identity=n1:dc1
        acl role create -name=r1 -policy-name=p1
        acl role create -name=r2 -policy-id=zz
        acl role create -name=r2 -policy-name=p1 -meta
        acl role create -name=r3 -policy-name=p1 -format=json
        acl role create -http-addr=127.0.0.1:1 -name=x -service-identity=x
        acl role read
        acl role read -name=r1
        acl role read -name=nope
        acl role read -id=zz
        acl role read -id={ID}00
        acl role read -http-addr=127.0.0.1:1 -name=x
        acl role list -http-addr=127.0.0.1:1
        acl role update
        acl role update -id=zz
        acl role update -id={ID}00
        acl role update -id={ID}00 -no-merge
        acl role delete
        acl role delete -id=zz
        acl role delete -name=r1
        acl role delete -name=r2
        acl role delete -name=r3
        acl role delete -name=r3
        acl role delete -http-addr=127.0.0.1:1 -id={ID}00
        !acl policy delete -name=p1
        !acl policy delete -name=p2
    """)
    play_guarded("""
        +acl role create -name=l1 -service-identity=web -node-identity=n1:dc1 -description=d
        +acl role create -name=l2 -service-identity=db:dc1,dc2
        acl role list
        acl role list -meta
        acl role list -format=json
    """)
    play_guarded("""
        +acl role delete -name=l1
        +acl role delete -name=l2
    """)


def test_acl_tokens(play_guarded):
    play_guarded(f"""
        !acl policy create -name=p1
        !acl policy create -name=p2
        acl token create
        acl token create -description=td -policy-name=p1 -policy-name=p2 \
            -service-identity=web:dc1,dc2 -service-identity=db -node-identity=n1:dc1 \
            -expires-ttl=1h
        acl token create -local -service-identity=web:dc1
        acl token create -policy-name=nope
        acl token create -policy-id=zz
        acl token create -role-name=nope
        acl token create -role-id=zz
        acl token create -service-identity=a:b:c
        acl token create -node-identity=a
        acl token create -expires-ttl=x
        acl token create -policy-name=p1 -format=json
        acl token create -policy-name=p1 -meta -accessor={ID}56 -secret={ID}57
        acl token create -policy-name=p1 -http-addr=127.0.0.1:1
        acl token read
        acl token read -id={ID}56
        acl token read -id=11111111
        acl token read -id={ID}56 -meta
        acl token read -id={ID}56 -format=json
        acl token read -self -token={ID}57
        acl token read -id=zz
        acl token read -id=anonymous
        acl token read -id={ID}50
        acl token read -http-addr=127.0.0.1:1 -id=x
        acl token read -http-addr=127.0.0.1:1 -self
        acl token list -http-addr=127.0.0.1:1
        acl token update
        acl token update -id={ID}56 -description=yy -policy-name=p1
        acl token update -id={ID}56 -merge-policies -policy-name=p2 \
            -merge-service-identities -service-identity=api -merge-node-identities \
            -node-identity=n2:dc1
        acl token update -id={ID}56 -merge-policies -policy-name=p2 \
            -merge-service-identities -service-identity=api
        acl token update -id={ID}56 -description=xx
        acl token update -id={ID}56 -format=json
        acl token update -id=zz
        acl token update -id={ID}50
        acl token clone
        acl token clone -id={ID}56
        acl token clone -id={ID}56 -description=cloned -format=json
        acl token clone -id=zz
        acl token clone -id={ID}50
        acl token delete
        acl token delete -id=zz
        acl token delete -id=11111111
        acl token delete -id={ID}56
        acl token delete -id=anonymous
        acl token delete -http-addr=127.0.0.1:1 -id={ID}56
        !acl policy delete -name=p1
        !acl policy delete -name=p2
    """)


@pytest.mark.parametrize("flags", [[], ["-meta"]])
def test_acl_token_list(play_guarded, capfdbinary, flags):
    # in no particular order, as the server gives them; where 1.8 should list node identities it
    # lists service identities once more
    words = ["acl", "token", "list", *flags]
    expected = subprocess.check_output([consul.BINARY, *words])
    expected = re.sub(rb"(Service Identities:\n( .*\n)+)\1", rb"\1", expected)
    assert run(words) == 0
    ours = re.sub(rb"Node Identities:\n( .*\n)+", b"", capfdbinary.readouterr()[0])
    assert sorted(ours.split(b"\n\n")) == sorted(expected.split(b"\n\n"))


def test_acl_token_list_in_json(play_guarded, capfdbinary):
    words = ["acl", "token", "list", "-format=json"]
    expected = subprocess.check_output([consul.BINARY, *words])
    assert run(words) == 0
    ours = json.loads(capfdbinary.readouterr()[0])
    by_id = {one["AccessorID"]: json.dumps(one) for one in ours}
    assert by_id == {one["AccessorID"]: json.dumps(one) for one in json.loads(expected)}


def test_acl_methods_and_binding_rules(play_guarded, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    config = {"JWTValidationPubKeys": [pem], "BoundIssuer": "me", "ClaimMappings": {"sub": "name"}}
    (tmp_path / "jwt.json").write_text(json.dumps(config))
    (tmp_path / "word").write_text("x")
    (tmp_path / "empty").write_text("")
    play_guarded(f"""
        acl auth-method create
        acl auth-method create -type=jwt
        acl auth-method create -type=jwt -name=j1 -config=@jwt.json -description=d \
            -display-name=D -max-token-ttl=1h -token-locality=local
        acl auth-method create -type=jwt -name=j2 -config={{
        acl auth-method create -type=bogus -name=j2
        acl auth-method create -type=kubernetes -name=k1
        acl auth-method create -type=kubernetes -name=k -kubernetes-host=h
        acl auth-method create -type=kubernetes -name=k -kubernetes-host=h -kubernetes-ca-cert=c
        acl auth-method create -http-addr=127.0.0.1:1 -name=x -type=jwt
        acl auth-method read
        acl auth-method read -name=j1
        acl auth-method read -name=j1 -meta
        acl auth-method read -name=nope
        acl auth-method read -name=j1 -format=json
        acl auth-method read -http-addr=127.0.0.1:1 -name=x
        acl auth-method list
        acl auth-method list -meta
        acl auth-method list -http-addr=127.0.0.1:1
        acl auth-method update
        acl auth-method update -name=j1 -description=dd
        acl auth-method update -name=j1 -no-merge
        acl auth-method update -name=nope -description=dd
        acl binding-rule create
        acl binding-rule create -method=j1
        acl binding-rule create -method=j1 -bind-type= -bind-name=y
        acl binding-rule create -method=j1 -bind-type=service \
            -bind-name='x-${{value.name}}' -selector='value.name==web' -description=bd
        acl binding-rule create -method=nope -bind-type=service -bind-name=x
        acl binding-rule create -method=j1 -bind-type=bogus -bind-name=x
        acl binding-rule create -http-addr=127.0.0.1:1 -method=x -bind-name=y
        acl binding-rule read
        acl binding-rule read -id=zz
        acl binding-rule read -id={ID}00
        acl binding-rule list
        acl binding-rule list -method=j1 -meta
        acl binding-rule list -method=j1 -format=json
        acl binding-rule list -http-addr=127.0.0.1:1
        acl binding-rule update
        acl binding-rule update -id=zz
        acl binding-rule update -id={ID}00
        acl binding-rule delete
        acl binding-rule delete -id=zz
        acl binding-rule delete -id={ID}00
        acl binding-rule delete -http-addr=127.0.0.1:1 -id={ID}00
        acl auth-method delete
        acl auth-method delete -name=j1
        acl auth-method delete -name=j1
        acl auth-method delete -http-addr=127.0.0.1:1 -name=x
        login
        login -method=x
        login -method=x -bearer-token-file=/nope -token-sink-file=s
        login -method=x -bearer-token-file=word -token-sink-file=s
        login -method=x -bearer-token-file=word -token-sink-file=s x
        login -method=x -bearer-token-file=empty -token-sink-file=s
        login -http-addr=127.0.0.1:1 -method=x -bearer-token-file=word -token-sink-file=s
        logout
        logout x
        logout -http-addr=127.0.0.1:1
    """)
