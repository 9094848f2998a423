"""Questions: what they answer, in which order, and what wakes whoever waits."""

import asyncio

import pytest

from lictor.registry import queries
from lictor.registry.answers import Answers, encode_json
from lictor.registry.commands import DeregisterEntity, RegisterEntity, SetKey
from lictor.registry.errors import Refused
from lictor.registry.queries import (
    ASK,
    RESULTS,
    AddressOwner,
    ChecksInState,
    Filtered,
    FindAddress,
    ListKeys,
    ListNodes,
    NameKeys,
    NameServices,
    NodeChecks,
    NodeServices,
    Question,
    ReadKey,
    ServiceChecks,
    ServiceHealth,
    ServiceInstances,
)
from lictor.registry.records import Connect

from .test_apply import Log, check, node, service


@pytest.fixture
def log():
    made = Log()
    made.do(RegisterEntity(node("b", meta={"rack": "1"}), service=service("web", tags=("V1", "x"))))
    made.do(RegisterEntity(node("A"), service=service("web", id="w2", tags=("v1",))))
    made.do(
        RegisterEntity(
            node("A"),
            service=service("Web", id="w1"),
            checks=(check("A", "serfHealth"), check("A", "c", service_id="w1", status="warning")),
        )
    )
    return made


def value(log, question):
    return log.answers.get(question).value


def test_every_question_has_a_row():
    declared = {
        kind
        for kind in vars(queries).values()
        if isinstance(kind, type) and issubclass(kind, Question) and kind is not Question
    }
    assert set(ASK) == declared
    assert set(RESULTS) == declared - {Filtered}


def test_instances_come_by_node_and_id_in_any_letter_case(log):
    rows = value(log, ServiceInstances("WEB"))
    assert [(row.node, row.service_id) for row in rows] == [("A", "w1"), ("A", "w2"), ("b", "web")]


def test_tags_are_compared_in_any_case_and_all_count(log):
    assert len(value(log, ServiceInstances("web", tags=("v1",)))) == 2
    assert len(value(log, ServiceInstances("web", tags=("v1", "X")))) == 1
    assert value(log, ServiceInstances("web", tags=("",))) == []


def test_node_metadata_filters(log):
    assert len(value(log, ServiceInstances("web", node_meta=(("rack", "1"),)))) == 1
    assert [n.name for n in value(log, ListNodes((("rack", "1"),)))] == ["b"]
    assert list(value(log, NameServices((("rack", "2"),)))) == []


def test_each_spelling_of_a_service_is_listed_with_its_tags(log):
    assert value(log, NameServices()) == {"Web": [], "web": ["V1", "x", "v1"]}


def test_health_joins_node_checks_first_and_passing_takes_all_of_them(log):
    health = value(log, ServiceHealth("web"))
    assert [[c.check_id for c in entry.checks] for entry in health] == [
        ["serfHealth", "c"],
        ["serfHealth"],
        [],
    ]
    passing = value(log, ServiceHealth("web", passing=True))
    assert [entry.service.id for entry in passing] == ["w2", "web"]


def test_lists_show_no_tags_as_an_empty_list(log):
    assert b'"Tags":[]' in log.answers.get(ServiceHealth("web")).body
    assert b'"ServiceTags":[]' in log.answers.get(ServiceChecks("web")).body


def test_mesh_instances_are_found_by_what_they_stand_for(log):
    log.do(RegisterEntity(node("b"), service=service("own", connect=Connect(native=True))))
    assert [r.service_id for r in value(log, ServiceInstances("own", connect=True))] == ["own"]
    assert value(log, ServiceInstances("web", connect=True)) == []


def test_checks_by_node_service_and_state(log):
    assert [c.check_id for c in value(log, NodeChecks("a"))] == ["c", "serfHealth"]
    assert [c.check_id for c in value(log, ServiceChecks("web"))] == ["c"]
    assert [c.check_id for c in value(log, ChecksInState("warning"))] == ["c"]
    assert len(value(log, ChecksInState("any"))) == 2


def test_an_unknown_node_is_null(log):
    assert log.answers.get(NodeServices("nope")).body == b"null"


def test_key_names_are_cut_after_the_first_separator(log):
    for key in ("foo", "foo/a/x", "foo/a/y", "foobar"):
        log.do(SetKey(key, b""))
    assert value(log, NameKeys("foo", "/")) == ["foo", "foo/", "foobar"]
    assert value(log, NameKeys("foo/", "/")) == ["foo/a/"]
    assert value(log, NameKeys("foo/")) == ["foo/a/x", "foo/a/y"]


def test_addresses_are_found_nodes_first(log):
    log.do(RegisterEntity(node("c", address="10.7.7.7"), service=service("s", address="10.8.8.8")))
    assert value(log, FindAddress("10.7.7.7")) == AddressOwner("c")
    assert value(log, FindAddress("10.8.8.8")) == AddressOwner("c", "s")
    assert value(log, FindAddress("10.250.0.1")) is None
    log.do(RegisterEntity(node("mapped", address="::ffff:10.0.0.54")))
    assert value(log, FindAddress("10.0.0.54")) == AddressOwner("mapped")


def test_json_is_escaped_and_sorted_as_go_does():
    assert encode_json({"b": "<&>", "a": "\u2028"}) == (
        b'{"a":"\\u2028","b":"\\u003c\\u0026\\u003e"}'
    )


@pytest.mark.parametrize(
    "question",
    [ServiceHealth("web"), NameServices(), NodeServices("b"), ServiceInstances("web")],
)
async def test_a_watcher_is_woken_by_its_own_change(log, question):
    answer = log.answers.get(question)
    changed = answer.changed()
    log.do(SetKey("unrelated", b""))
    assert not changed.is_set()
    log.do(DeregisterEntity("b", service_id="web"))
    assert changed.is_set()
    assert log.answers.get(question).index > answer.index
    await asyncio.sleep(0)


def test_a_thousand_askers_cost_one_evaluation_and_one_encoding(log):
    before = log.answers.evaluations, log.answers.encodings
    bodies = {id(log.answers.get(ServiceHealth("web")).body) for _ in range(1000)}
    assert len(bodies) == 1
    assert (log.answers.evaluations, log.answers.encodings) == (before[0] + 1, before[1] + 1)


def test_answers_are_bounded_and_watched_ones_stay(log):
    answers = Answers(log.state, max_answers=10)
    watched = answers.get(ReadKey("watched"))
    watched.watchers += 1
    for number in range(100):
        answers.get(ReadKey(str(number)))
    assert len(answers) <= 10
    assert watched.live


def test_big_bodies_push_out_the_oldest(log):
    answers = Answers(log.state, max_bytes=5_000)
    for name in "abcd":
        log.do(SetKey(name, b"x" * 1000))
    kept = [answers.get(ListKeys(name)) for name in "abcd"]
    for answer in kept:
        assert answer.body
    assert [answer.live for answer in kept] == [False, True, True, True]


def test_an_expression_keeps_what_it_holds_true_of(log):
    kept = value(log, Filtered(ServiceHealth("web"), 'Service.ID == "w2"'))
    assert [entry.service.id for entry in kept] == ["w2"]
    of_node = value(log, Filtered(NodeServices("A"), "Service == Web"))
    assert list(of_node.services) == ["w1"]
    assert value(log, Filtered(NodeServices("nope"), "Service == Web")) is None
    with pytest.raises(Refused, match="Selector"):
        value(log, Filtered(ListNodes(), "Bogus == 1"))
