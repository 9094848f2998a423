import json

import pytest


def member(name, *, role="consul", status=1, **tags):
    tags = {"role": role, "build": "1.8.7:x", "vsn": "2", "dc": "dc1", **tags}
    return {"Name": name, "Addr": "10.0.0.1", "Port": 8301, "Tags": tags, "Status": status}


@pytest.fixture
def three(agent):
    agent.answers["GET /v1/agent/members"] = [
        [member("b"), member("c", role="node", status=4), member("a", role="node", segment="s")]
    ]
    return agent


def test_servers_come_first(lictor, three):
    assert lictor("members").stdout == (
        "Node  Address        Status  Type    Build  Protocol  DC   Segment\n"
        "b     10.0.0.1:8301  alive   server  1.8.7  2         dc1  <all>\n"
        "c     10.0.0.1:8301  failed  client  1.8.7  2         dc1  <default>\n"
        "a     10.0.0.1:8301  alive   client  1.8.7  2         dc1  s\n"
    )
    assert three.requests == ["GET /v1/agent/members?segment=_all"]


def test_details_list_all_tags(lictor, three):
    lines = lictor("members", "-detailed", "-wan").stdout.splitlines()
    assert lines[2] == (
        "c     10.0.0.1:8301  failed  build=1.8.7:x,dc=dc1,role=node,segment=<default>,vsn=2"
    )
    assert three.requests == ["GET /v1/agent/members?segment=_all&wan=1"]


def test_a_status_chooses(lictor, three):
    assert [line[0] for line in lictor("members", "-status=fail|left").stdout.splitlines()] == [
        "N",
        "c",
    ]
    shown = json.loads(lictor("members", "-status=failed", "-format=json").stdout)
    assert [one["Name"] for one in shown] == ["c"]
    outcome = lictor("members", "-status=left")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (2, "", "")
    assert lictor("members", "-status=[").stderr.startswith("Failed to compile status regexp: ")


def test_info_is_sorted(lictor, agent):
    agent.answers["GET /v1/agent/self"] = {
        "Stats": {"raft": {"term": "2"}, "agent": {"z": "1", "a": "2"}}
    }
    assert lictor("info").stdout == "agent:\n\ta = 2\n\tz = 1\nraft:\n\tterm = 2\n"
