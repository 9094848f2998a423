import json

import pytest

from lictor.cli.acl.finding import merged, node_identities, service_identities
from lictor.cli.errors import Failure

ACCESSOR = "6a253114-3a2e-4bd0-9a52-7e6f4d8a1c00"
TOKEN = {
    "AccessorID": ACCESSOR,
    "SecretID": "secret",
    "Description": "d",
    "Policies": [{"ID": "p1", "Name": "one"}],
    "ServiceIdentities": [{"ServiceName": "web", "Datacenters": ["dc1", "dc2"]}],
    "NodeIdentities": [{"NodeName": "n1", "Datacenter": "dc1"}],
    "Local": False,
    "CreateTime": "2026-11-23T05:16:03.46Z",
    "Hash": "AAE=",
    "CreateIndex": 3,
    "ModifyIndex": 4,
    "FromTheFuture": {"kept": True},
}


def test_a_token_is_laid_out(lictor, agent):
    agent.answers["PUT /v1/acl/bootstrap"] = TOKEN | {
        "Policies": [],
        "ExpirationTime": "2026-11-24T00:00:00Z",
    }
    assert lictor("acl", "bootstrap").stdout == (
        f"AccessorID:       {ACCESSOR}\n"
        "SecretID:         secret\n"
        "Description:      d\n"
        "Local:            false\n"
        "Create Time:      2026-11-23 05:16:03.46 +0000 UTC\n"
        "Expiration Time:  2026-11-24 00:00:00 +0000 UTC\n"
        "Service Identities:\n"
        "   web (Datacenters: dc1, dc2)\n"
        "Node Identities:\n"
        "   n1 (Datacenter: dc1)\n"
        "\n"
    )


def test_meta_shows_the_hash_in_hex(lictor, agent):
    agent.answers[f"GET /v1/acl/token/{ACCESSOR}"] = TOKEN
    shown = lictor("acl", "token", "read", f"-id={ACCESSOR}", "-meta").stdout
    assert "Hash:             0001\nCreate Index:     3\nModify Index:     4\n" in shown


def test_json_begins_with_the_indexes(lictor, agent):
    agent.answers["GET /v1/acl/token/self"] = TOKEN
    shown = json.loads(lictor("acl", "token", "read", "-self", "-format=json").stdout)
    assert shown == TOKEN
    assert list(shown)[:3] == ["CreateIndex", "ModifyIndex", "AccessorID"]


def test_a_list_hides_the_secrets(lictor, agent):
    agent.answers["GET /v1/acl/tokens"] = [[TOKEN]]
    shown = lictor("acl", "token", "list").stdout
    assert "secret" not in shown
    assert "Legacy:           false\n" in shown


def test_create_sends_what_the_flags_grant(lictor, agent):
    agent.answers |= {
        "GET /v1/acl/policies": [[{"ID": "abcd", "Name": "x"}, {"ID": "b", "Name": "y"}]],
        "PUT /v1/acl/token": TOKEN,
    }
    words = [
        "-policy-id=ab",
        "-policy-name=p",
        "-service-identity=web:dc1,dc2",
        "-node-identity=n:dc1",
    ]
    assert (
        lictor("acl", "token", "create", *words, "-role-name=r", "-local", "-expires-ttl=90m").code
        == 0
    )
    assert json.loads(agent.bodies["PUT /v1/acl/token"]) == {
        "Local": True,
        "Policies": [{"Name": "p"}, {"ID": "abcd"}],
        "Roles": [{"Name": "r"}],
        "ServiceIdentities": [{"ServiceName": "web", "Datacenters": ["dc1", "dc2"]}],
        "NodeIdentities": [{"NodeName": "n", "Datacenter": "dc1"}],
        "ExpirationTTL": "1h30m0s",
    }


@pytest.mark.parametrize(
    ("words", "policies", "services"),
    [
        (["-policy-name=new"], [{"Name": "new"}], []),
        (["-merge-policies", "-policy-name=new"], [*TOKEN["Policies"], {"Name": "new"}], []),
        (["-append-policy-name=new"], [*TOKEN["Policies"], {"Name": "new"}], []),
        (["-append-policy-name=one"], TOKEN["Policies"], []),
        (
            ["-append-service-identity=db"],
            [],
            [*TOKEN["ServiceIdentities"], {"ServiceName": "db"}],
        ),
    ],
)
def test_an_update_replaces_or_adds_and_keeps_what_it_does_not_know(
    lictor, agent, words, policies, services
):
    path = f"/v1/acl/token/{ACCESSOR}"
    agent.answers |= {f"GET {path}": TOKEN, f"PUT {path}": TOKEN}
    assert lictor("acl", "token", "update", f"-id={ACCESSOR}", *words).code == 0
    sent = json.loads(agent.bodies[f"PUT {path}"])
    assert (sent["Policies"], sent["ServiceIdentities"]) == (policies, services)
    assert sent["FromTheFuture"] == {"kept": True}


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("zz", "Error determining token ID: No such token ID with prefix: zz\n"),
        ("a", "Error determining token ID: Partial token ID is not unique\n"),
    ],
)
def test_the_start_of_an_id_must_mean_one(lictor, agent, start, said):
    agent.answers["GET /v1/acl/tokens"] = [[{"AccessorID": "ab"}, {"AccessorID": "ac"}]]
    assert lictor("acl", "token", "delete", f"-id={start}").stderr == said


def test_anonymous_is_a_name(lictor, agent):
    path = "/v1/acl/token/00000000-0000-0000-0000-000000000002"
    agent.answers[f"GET {path}"] = TOKEN
    assert lictor("acl", "token", "read", "-id=anonymous").code == 0


def test_a_policys_rules_may_come_from_a_file(lictor, agent, tmp_path):
    (tmp_path / "r.hcl").write_text('operator = "read"')
    agent.answers["PUT /v1/acl/policy"] = {"ID": "i", "Name": "n", "Rules": 'operator = "read"'}
    outcome = lictor("acl", "policy", "create", "-name=n", f"-rules=@{tmp_path}/r.hcl")
    assert outcome.stdout == (
        "ID:           i\nName:         n\nDescription:  \nDatacenters:  \n"
        'Rules:\noperator = "read"\n'
    )
    assert json.loads(agent.bodies["PUT /v1/acl/policy"])["Rules"] == 'operator = "read"'


def test_a_role_is_merged_or_not(lictor, agent):
    role = {
        "ID": ACCESSOR,
        "Name": "r",
        "Description": "d",
        "Policies": [{"ID": "p1", "Name": "one"}],
    }
    path = f"/v1/acl/role/{ACCESSOR}"
    agent.answers |= {f"GET {path}": role, f"PUT {path}": role}
    update = ["acl", "role", "update", f"-id={ACCESSOR}", "-policy-name=two"]
    lictor(*update)
    sent = json.loads(agent.bodies[f"PUT {path}"])
    assert sent["Policies"] == [{"ID": "p1", "Name": "one"}, {"Name": "two"}]
    assert sent["Description"] == "d"
    lictor(*update, "-no-merge", "-name=new")
    sent = json.loads(agent.bodies[f"PUT {path}"])
    assert (sent["Policies"], sent["Name"], sent["Description"]) == ([{"Name": "two"}], "new", "")


def test_an_auth_methods_single_flags_change_its_configuration(lictor, agent):
    method = {"Name": "k", "Type": "kubernetes", "Config": {"Host": "old", "CACert": "c"}}
    agent.answers |= {"GET /v1/acl/auth-method/k": method, "PUT /v1/acl/auth-method/k": method}
    lictor("acl", "auth-method", "update", "-name=k", "-kubernetes-host=new", "-max-token-ttl=60s")
    sent = json.loads(agent.bodies["PUT /v1/acl/auth-method/k"])
    assert sent["Config"] == {"Host": "new", "CACert": "c"}
    assert sent["MaxTokenTTL"] == "1m0s"
    lictor("acl", "auth-method", "update", "-name=k", '-config={"Host":"whole"}')
    assert json.loads(agent.bodies["PUT /v1/acl/auth-method/k"])["Config"] == {"Host": "whole"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["policy", "create"], "Missing require '-name' flag"),
        (["role", "create"], "Missing require '-name' flag"),
        (["auth-method", "create"], "Missing required '-type' flag"),
        (["binding-rule", "create", "-method=m"], "Missing required '-bind-name' flag"),
    ],
)
def test_a_missing_flag_shows_the_help(lictor, agent, words, said):
    outcome = lictor("acl", *words)
    assert outcome.code == 1
    assert outcome.stderr.startswith(f"{said}\nUsage: lictor acl {words[0]} create")


def test_agent_tokens_have_their_own_names_in_the_api(lictor, agent):
    agent.answers["PUT /v1/agent/token/agent_recovery"] = b""
    said = lictor("acl", "set-agent-token", "recovery", "t").stdout
    assert said == 'ACL token "recovery" set successfully\n'
    assert json.loads(agent.bodies["PUT /v1/agent/token/agent_recovery"]) == {"Token": "t"}


@pytest.mark.parametrize("text", ["a:b:c", "a:b:c:d"])
def test_a_malformed_service_identity(text):
    with pytest.raises(Failure, match="Malformed -service-identity"):
        service_identities((text,))


@pytest.mark.parametrize("text", ["a", "a:b:c"])
def test_a_malformed_node_identity(text):
    with pytest.raises(Failure, match="Malformed -node-identity"):
        node_identities((text,))


def test_merging_keeps_order_and_adds_nothing_twice():
    old = [{"ID": "1", "Name": "a"}]
    assert merged(old, [{"Name": "a"}, {"ID": "2"}, {"ID": "2"}], ("ID", "Name")) == [
        *old,
        {"ID": "2"},
    ]


def test_login_writes_the_secret_for_its_owner_alone(lictor, agent, tmp_path):
    (tmp_path / "jwt").write_text("ey\n")
    sink = tmp_path / "sink"
    sink.write_text("old")
    sink.chmod(0o644)
    agent.answers["POST /v1/acl/login"] = {"SecretID": "s3cret"}
    words = [
        "-method=m",
        f"-bearer-token-file={tmp_path}/jwt",
        f"-token-sink-file={sink}",
        "-meta=a=b",
    ]
    outcome = lictor("login", *words)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")
    assert sink.read_text() == "s3cret"
    assert sink.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["jwt", "sink"]
    body = json.loads(agent.bodies["POST /v1/acl/login"])
    assert body == {"AuthMethod": "m", "BearerToken": "ey", "Meta": {"a": "b"}}


def test_logout(lictor, agent):
    agent.answers["POST /v1/acl/logout"] = b""
    assert lictor("logout", "-token=t").code == 0
    assert agent.headers["POST /v1/acl/logout"]["X-Consul-Token"] == "t"
