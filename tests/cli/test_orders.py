"""The commands that ask one agent for one thing."""

import json

import pytest

COORDINATE = {"Vec": [0.0, 0.003], "Error": 1.0, "Adjustment": -0.5, "Height": 1e-5}
SELF = {"Config": {"NodeName": "n1", "Datacenter": "dc1"}}


def test_join_counts_who_answered(lictor, agent, reply):
    agent.answers |= {"PUT /v1/agent/join/a": b"", "PUT /v1/agent/join/b": reply(500, b"no")}
    outcome = lictor("join", "a", "b")
    assert (outcome.code, outcome.stdout) == (
        0,
        "Successfully joined cluster by contacting 1 nodes.\n",
    )
    assert outcome.stderr == "Error joining address 'b': Unexpected response code: 500 (no)\n"
    outcome = lictor("join", "-wan", "b")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.endswith("\nFailed to join any nodes.\n")
    assert agent.requests[-1] == "PUT /v1/agent/join/b?wan=1"


@pytest.mark.parametrize(
    ("words", "request_line", "said"),
    [
        (["leave"], "PUT /v1/agent/leave", "Graceful leave complete\n"),
        (["reload"], "PUT /v1/agent/reload", "Configuration reload triggered\n"),
        (["force-leave", "n2"], "PUT /v1/agent/force-leave/n2", ""),
        (["force-leave", "-prune", "-wan", "n2"], "PUT /v1/agent/force-leave/n2?prune=1&wan=1", ""),
    ],
)
def test_orders(lictor, agent, words, request_line, said):
    agent.answers[request_line] = b""
    outcome = lictor(*words)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, said, "")
    assert agent.requests == [request_line]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["join"], "At least one address to join must be specified."),
        (["force-leave"], "A single node name must be specified to force leave."),
        (["rtt"], "One or two node names must be specified"),
        (["event"], "Event name must be specified"),
        (["event", "-name=x", "a", "b"], "Too many command line arguments."),
    ],
)
def test_misuse_shows_the_help(lictor, agent, words, said):
    outcome = lictor(*words)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith(f"{said}\n\nUsage: lictor {words[0]} ")


def test_leave_with_words_helps_on_stdout(lictor, agent):
    outcome = lictor("leave", "x")
    assert (outcome.code, outcome.stderr) == (1, "Error found unexpected args: [x]\n")
    assert outcome.stdout.startswith("Usage: lictor leave [options]")


def test_monitor_copies_the_log(lictor, agent):
    agent.answers["GET /v1/agent/monitor"] = b"one\ntwo\n"
    outcome = lictor("monitor", "-log-level=debug", "-log-json")
    assert outcome.stdout.startswith("one\ntwo\n\nRemote side ended the monitor!")
    assert agent.requests == ["GET /v1/agent/monitor?logjson=true&loglevel=debug"]


def test_keygen_makes_a_new_key_each_time(lictor):
    keys = {lictor("keygen").stdout for _ in range(3)}
    assert {len(key) for key in keys} == {45}
    assert len(keys) == 3


RINGS = [
    {
        "WAN": True,
        "Datacenter": "dc1",
        "Keys": {"b": 1, "a": 2},
        "PrimaryKeys": {"a": 2},
        "NumNodes": 2,
    },
    {
        "WAN": False,
        "Datacenter": "dc1",
        "Segment": "s",
        "Keys": {"a": 3},
        "PrimaryKeys": {"a": 3},
        "NumNodes": 3,
    },
]


def test_keyring_lists_by_pool(lictor, agent):
    agent.answers["GET /v1/operator/keyring"] = [RINGS]
    assert lictor("keyring", "-list").stdout == (
        "==> Gathering installed encryption keys...\n"
        "\nWAN:\n  a [2/2]\n  b [1/2]\n\ndc1 (LAN) [s]:\n  a [3/3]\n"
    )
    assert "  b [" not in lictor("keyring", "-list-primary").stdout
    assert json.loads(lictor("keyring", "-list", "-format=json").stdout) == RINGS


@pytest.mark.parametrize(
    ("flag", "method"), [("install", "POST"), ("use", "PUT"), ("remove", "DELETE")]
)
def test_keyring_changes(lictor, agent, flag, method):
    agent.answers[f"{method} /v1/operator/keyring"] = b""
    outcome = lictor("keyring", f"-{flag}=k", "-relay-factor=2")
    assert outcome.code == 0
    assert outcome.stdout.startswith("==> ")
    assert json.loads(agent.bodies[f"{method} /v1/operator/keyring?relay-factor=2"]) == {"Key": "k"}


def test_maint_lists_what_is_in_maintenance(lictor, agent):
    agent.answers |= {
        "GET /v1/agent/self": SELF,
        "GET /v1/agent/checks": {
            "_node_maintenance": {"CheckID": "_node_maintenance", "Notes": "disks"},
            "_service_maintenance:w": {"CheckID": "_service_maintenance:w", "Notes": "deploy"},
            "other": {"CheckID": "other", "Notes": "x"},
        },
    }
    assert lictor("maint").stdout == (
        "Node:\n  Name:   n1\n  Reason: disks\n\nService:\n  ID:     w\n  Reason: deploy\n\n"
    )


def test_maint_begins_and_ends(lictor, agent):
    agent.answers |= {"PUT /v1/agent/maintenance": b"", "PUT /v1/agent/service/maintenance/w": b""}
    assert lictor("maint", "-enable", "-reason=a b").stdout == "Node maintenance is now enabled\n"
    said = lictor("maint", "-disable", "-service=w").stdout
    assert said == 'Service maintenance is now disabled for "w"\n'
    assert agent.requests == [
        "PUT /v1/agent/maintenance?enable=true&reason=a+b",
        "PUT /v1/agent/service/maintenance/w?enable=false",
    ]


def test_rtt_is_measured_in_coordinates(lictor, agent):
    placed = [
        {"Node": "n1", "Coord": COORDINATE},
        {"Node": "n2", "Coord": COORDINATE | {"Vec": [0.004, 0.0]}},
    ]
    agent.answers |= {"GET /v1/agent/self": SELF, "GET /v1/coordinate/nodes": [placed]}
    # 5 ms between them, 0.02 ms of height; the adjustment would make it negative: left out
    assert (
        lictor("rtt", "n2").stdout == "Estimated n2 <-> n1 rtt: 5.020 ms (using LAN coordinates)\n"
    )
    assert lictor("rtt", "n1", "n3").stderr == 'Could not find a coordinate for node "n3"\n'


def test_rtt_between_datacenters(lictor, agent):
    areas = [
        {
            "Datacenter": "dc1",
            "AreaID": "wan",
            "Coordinates": [{"Node": "n1", "Coord": COORDINATE}],
        },
        {
            "Datacenter": "dc2",
            "AreaID": "wan",
            "Coordinates": [{"Node": "n1", "Coord": COORDINATE}],
        },
    ]
    agent.answers |= {"GET /v1/agent/self": SELF, "GET /v1/coordinate/datacenters": [areas]}
    said = lictor("rtt", "-wan", "n1.dc2").stdout
    assert said == "Estimated n1.dc2 <-> n1.dc1 rtt: 0.020 ms (using WAN coordinates)\n"


def test_event_sends_its_payload(lictor, agent):
    agent.answers |= {
        "GET /v1/agent/self": SELF,
        "PUT /v1/event/fire/deploy": {"ID": "e1", "Name": "deploy"},
    }
    assert lictor("event", "-name=deploy", "-service=^web$", "v7").stdout == "Event ID: e1\n"
    assert agent.bodies["PUT /v1/event/fire/deploy?service=%5Eweb%24"] == b"v7"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[", "missing closing ]: `[`"),
        ("(a", "missing closing ): `(a`"),
        ("*", "missing argument to repetition operator: `*`"),
    ],
)
def test_a_bad_pattern_is_refused_in_the_words_of_go(lictor, agent, pattern, said):
    outcome = lictor("event", "-name=x", f"-node={pattern}")
    assert outcome.stderr == f"Failed to compile node filter regexp: error parsing regexp: {said}\n"
