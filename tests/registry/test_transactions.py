"""Transactions: every step or none, and what each failure says."""

import pytest

from lictor.registry.commands import (
    ApplyOperations,
    CheckOperation,
    CreateSession,
    KeyOperation,
    NodeOperation,
    RegisterEntity,
    ServiceOperation,
    SetKey,
)
from lictor.registry.queries import ReadOperations
from lictor.registry.state.operations import GetNode

from .test_apply import SESSION, Log, check, node, service, session


@pytest.fixture
def log():
    made = Log()
    made.do(RegisterEntity(node("n1")))
    made.do(SetKey("a", b"1"))
    return made


def run(log, *steps):
    return log.do(ApplyOperations(steps))


def texts(settled):
    return [(error.op_index, error.what) for error in settled.errors]


def test_all_steps_share_one_index(log):
    settled = run(
        log,
        KeyOperation("set", "b", b"2"),
        NodeOperation("set", node("n2")),
        ServiceOperation("set", "n2", service("web")),
        CheckOperation("set", check("n2", "c", service_id="web")),
    )
    assert [next(iter(found)) for found in settled.results] == ["KV", "Node", "Service", "Check"]
    assert {next(iter(found.values())).modify_index for found in settled.results} == {3}
    assert log.state.checks.rows["n2", "c"].service_name == "web"


def test_one_failure_undoes_every_step_and_all_failures_are_told(log):
    log.do(CreateSession(session(SESSION, "n1", node_checks=None)))
    before = log.state.kv.memory(), dict(log.state.nodes.rows)
    settled = run(
        log,
        KeyOperation("set", "b", b"2"),
        KeyOperation("lock", "a", b"", session=SESSION),
        KeyOperation("cas", "a", index=77),
        NodeOperation("delete", node("n1")),
        KeyOperation("get", "none"),
    )
    assert settled.results is None
    assert texts(settled) == [
        (2, 'failed to set key "a", index is stale'),
        (4, 'key "none" doesn\'t exist'),
    ]
    assert log.state.kv.memory()[0] == before[0][0]
    assert log.state.nodes.rows == before[1]
    assert list(log.state.kv.rows) == ["a"]
    assert log.state.kv.rows["a"].session == ""
    assert log.state.lock_delays == {}
    assert log.touched == set()
    assert not log.state.history.of("kv", "a")


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (KeyOperation("bogus", "a"), 'unknown KV verb "bogus"'),
        (KeyOperation("lock", "a"), "missing session"),
        (
            KeyOperation("unlock", "a", session=SESSION),
            'failed to unlock key "a", lock isn\'t held, or is held by another session',
        ),
        (
            KeyOperation("check-index", "a", index=1),
            'failed index check for key "a", current modify index 2 != 1',
        ),
        (
            KeyOperation("check-session", "a", session="abc"),
            'failed session check for key "a", current session "" != "abc"',
        ),
        (KeyOperation("check-not-exists", "a"), 'key "a" exists'),
        (KeyOperation("delete-cas", "a", index=1), 'failed to delete key "a", index is stale'),
        (NodeOperation("bogus", node("n1")), 'unknown Node verb "bogus"'),
        (NodeOperation("cas", node("n1")), 'failed to set node "n1", index is stale'),
        (ServiceOperation("set", "zz", service("web")), "Missing node registration"),
        (
            ServiceOperation("delete-cas", "n1", service("web", modify_index=3)),
            'failed to delete service "web" on node "n1", index is stale',
        ),
        (CheckOperation("set", check("n1", "c", service_id="x")), "Missing service registration"),
        (CheckOperation("get", check("n1", "c")), 'check "c" on node "n1" doesn\'t exist'),
    ],
)
def test_a_step_that_fails_says_why(log, step, what):
    assert texts(run(log, step)) == [(0, what)]


def test_steps_that_write_answer_no_value_and_deletions_nothing(log):
    settled = run(
        log,
        KeyOperation("set", "b", b"2"),
        KeyOperation("get", "b"),
        KeyOperation("delete", "a"),
        KeyOperation("get-tree", ""),
    )
    assert [found["KV"].value for found in settled.results] == [None, b"2", b"2"]


def test_a_reading_transaction_is_a_question_that_its_records_wake(log):
    question = ReadOperations((KeyOperation("get", "a"), GetNode("", "N1")))
    first = log.answers.get(question)
    assert [next(iter(found)) for found in first.value.results] == ["KV", "Node"]
    log.do(SetKey("other", b""))
    assert log.answers.get(question) is first
    log.do(SetKey("a", b"2"))
    assert log.answers.get(question).value.results[0]["KV"].value == b"2"
