import json

import pytest

from lictor.cli import watch as watch_module

SELF = {"Config": {}}


def entry(value):
    return [
        {
            "Key": "k",
            "Value": value,
            "ModifyIndex": 1,
            "CreateIndex": 1,
            "LockIndex": 0,
            "Flags": 0,
        }
    ]


@pytest.fixture
def key(agent, reply):
    """Canned answers for one key: pairs of a value (None: no such key) and an index."""

    def answer(*steps):
        replies = []
        for value, index in steps:
            status, body = (404, b"") if value is None else (200, json.dumps(entry(value)).encode())
            replies.append(reply(status, body, {"X-Consul-Index": str(index)}))
        agent.answers |= {"GET /v1/agent/self": SELF, "GET /v1/kv/k": replies}

    return answer


def test_without_a_child_the_value_is_printed_once(lictor, key):
    key(("dg==", 7))
    shown = lictor("watch", "-type=key", "-key=/k").stdout
    assert list(json.loads(shown)) == [
        "Key",
        "CreateIndex",
        "ModifyIndex",
        "LockIndex",
        "Flags",
        "Value",
        "Session",
    ]
    assert shown.startswith('{\n    "Key": "k",\n')


def test_a_child_is_run_once_for_each_change(lictor, key, agent, tmp_path):
    key(("MQ==", 5), ("MQ==", 5), ("MQ==", 6), ("Mg==", 7), (None, 8), ("Mw==", 3))
    log = tmp_path / "log"
    child = f"cat >> {log}; echo $CONSUL_INDEX >> {log}; test $CONSUL_INDEX != 3"
    outcome = lictor("watch", "-type=key", "-key=k", child)
    assert (outcome.code, outcome.stderr) == (1, "Error executing handler: exit status 1\n")
    lines = log.read_text().splitlines()
    assert [json.loads(one) and json.loads(one)["Value"] for one in lines[::2]] == [
        "MQ==",
        "Mg==",
        None,
        "Mw==",
    ]
    assert lines[1::2] == ["5", "7", "8", "3"]
    # each question waits behind the index last seen
    assert [one.partition("index=")[2] for one in agent.requests[1:]] == [
        "",
        "5",
        "5",
        "6",
        "7",
        "8",
    ]


def test_a_failure_is_retried_later_and_later(lictor, agent, reply, monkeypatch):
    pauses = []
    monkeypatch.setattr(watch_module, "pause", pauses.append)
    fault = reply(500, b"No cluster leader")
    good = reply(200, b"{}", {"X-Consul-Index": "3"})
    agent.answers |= {"GET /v1/agent/self": SELF, "GET /v1/catalog/services": [fault] * 7 + [good]}
    outcome = lictor("watch", "-type=services")
    assert (outcome.code, outcome.stdout) == (0, "{}\n")
    assert pauses == [5, 20, 45, 80, 125, 180, 180]
    first = outcome.stderr.splitlines()[0]
    assert first == 'Watch errored: type=services error="Unexpected response code: 500" retry=5s'


def test_an_answer_without_an_index_is_not_asked_for_again_at_once(
    lictor, agent, reply, monkeypatch
):
    pauses = []
    monkeypatch.setattr(watch_module, "pause", pauses.append)
    good = reply(200, b"{}", {"X-Consul-Index": "3"})
    agent.answers |= {
        "GET /v1/agent/self": SELF,
        "GET /v1/catalog/services": [reply(200, b"{}"), good],
    }
    assert lictor("watch", "-type=services").code == 0
    assert pauses == [5]


@pytest.mark.parametrize(
    ("words", "request_line"),
    [
        (["-type=nodes"], "GET /v1/catalog/nodes"),
        (["-type=service", "-service=web"], "GET /v1/health/service/web"),
        (
            ["-type=service", "-service=web", "-tag=a", "-tag=b", "-passingonly=true"],
            "GET /v1/health/service/web?passing=1&tag=a&tag=b",
        ),
        (["-type=checks"], "GET /v1/health/state/any"),
        (["-type=checks", "-state=critical"], "GET /v1/health/state/critical"),
        (["-type=checks", "-service=web"], "GET /v1/health/checks/web"),
        (["-type=event", "-name=deploy"], "GET /v1/event/list?name=deploy"),
        (["-type=keyprefix", "-prefix=a/"], "GET /v1/kv/a/?recurse="),
    ],
)
def test_each_type_asks_its_own_question(lictor, agent, reply, words, request_line):
    agent.answers |= {
        "GET /v1/agent/self": SELF,
        request_line: reply(200, b"[]", {"X-Consul-Index": "3"}),
    }
    assert lictor("watch", *words).stdout == "[]\n"
    assert agent.requests[-1] == request_line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Watch type must be specified"),
        (["-type=bogus"], "Unsupported watch type: bogus"),
        (["-type=key"], "Must specify a single key to watch"),
        (["-type=service", "-tag=x"], "Must specify a single service to watch"),
        (["-type=services", "-key=x"], "Invalid parameters: [key]"),
        (["-type=checks", "-service=a", "-state=b"], "Cannot specify service and state"),
        (
            ["-type=service", "-service=a", "-passingonly=x"],
            'Failed to parse passingonly flag: strconv.ParseBool: parsing "x": invalid syntax',
        ),
        (["-type=connect_leaf"], "Type connect_leaf is not supported in the CLI tool"),
    ],
)
def test_what_cannot_be_watched_is_refused(lictor, agent, words, said):
    outcome = lictor("watch", *words)
    assert outcome.code == 1
    assert outcome.stderr.splitlines()[0] == said
    assert agent.requests == []


def test_a_child_that_cannot_be_started(lictor, key):
    key(("dg==", 7))
    outcome = lictor("watch", "-type=key", "-key=k", "-shell=false", "/nope")
    assert outcome.stderr == "Error starting handler: fork/exec /nope: no such file or directory\n"
