"""Intents, tags, events, queries and keys, in small pools in virtual time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.registry.membership import serf_messages
from lictor.registry.membership.config import PoolConfig
from lictor.registry.membership.errors import EventTooLarge, MembershipError
from lictor.registry.membership.events import MemberChange, QueryReceived, UserEvent
from lictor.registry.membership.messages import Alive, Kind, encode
from lictor.registry.membership.serf_messages import JoinIntent, LeaveIntent, UserEventMessage

from .pools import SimulatedPool

STRANGER = ("10.9.9.9", 7946)
USER = bytes((Kind.USER,))


def user_events(node):
    return [event.name for _, event in node.events if isinstance(event, UserEvent)]


def leave(pool, name):
    core = pool[name].serf
    core.intend_to_leave(now=pool.now, done=lambda: None)
    pool.settle(pool[name])
    pool.run(3)
    core.swim.leave(now=pool.now, done=lambda: None)
    pool.settle(pool[name])
    pool.run(3)
    pool.kill(name)


def query(pool, name, what, payload=b"", **options):
    options.setdefault("timeout", 3.0)
    core = pool[name].serf
    pending = core.query(what, payload, now=pool.now, changed=lambda: None, **options)
    pool.settle(pool[name])
    pool.run(options["timeout"] + 0.1)
    assert pending.over
    return pending


def test_members_that_never_met_meet_through_one_that_both_know():
    pool = SimulatedPool(5, joined=False)
    for name in ("n1", "n2", "n3", "n4"):
        pool.exchange(name, "n0")
    pool.run(5)
    alive = dict.fromkeys(pool.nodes, "alive")
    assert all(node.statuses() == alive for node in pool.nodes.values())


def test_a_member_that_says_good_bye_has_left_and_has_not_failed():
    pool = SimulatedPool(5)
    leave(pool, "n2")
    for name in ("n0", "n1", "n3", "n4"):
        assert pool[name].statuses()["n2"] == "left"
        assert pool[name].changes(MemberChange.FAILED) == []
        assert pool[name].changes(MemberChange.LEAVE) == ["n2"]


def test_force_leave_turns_failed_into_left_everywhere_and_prune_forgets():
    pool = SimulatedPool(5)
    for name, prune, expected in (("n3", False, "left"), ("n4", True, None)):
        pool.kill(name)
        pool.run(60)
        assert pool["n1"].statuses()[name] == "failed"
        pool["n0"].serf.force_leave(name, prune=prune, now=pool.now, done=lambda: None)
        pool.settle(pool["n0"])
        pool.run(3)
        assert [pool[n].statuses().get(name) for n in ("n0", "n1", "n2")] == [expected] * 3


def test_a_living_member_objects_to_being_forced_out():
    pool = SimulatedPool(4)
    pool.run(1)
    pool["n0"].serf.force_leave("n2", prune=False, now=pool.now, done=lambda: None)
    pool.settle(pool["n0"])
    pool.run(5)
    assert all(node.statuses()["n2"] == "alive" for node in pool.nodes.values())


@given(order=st.permutations([(3, True), (5, False), (7, True), (9, False)]))
def test_the_latest_intent_wins_whatever_the_order(order):
    pool = SimulatedPool(2)
    roster = pool["n0"].serf.roster
    for ltime, leaving in order:
        if leaving:
            roster.leave_intent(LeaveIntent(ltime, "n1"), now=pool.now)
        else:
            roster.join_intent(JoinIntent(ltime, "n1"), now=pool.now)
    assert pool["n0"].statuses()["n1"] == "alive"


def test_failed_members_are_forgotten_after_their_time():
    pool = SimulatedPool(3, config=PoolConfig(reconnect_timeout=100.0))
    pool.kill("n2")
    pool.run(60)
    assert pool["n0"].statuses()["n2"] == "failed"
    pool.run(120)
    assert "n2" not in pool["n0"].statuses()
    assert pool["n0"].changes(MemberChange.REAP) == ["n2"]


def test_new_tags_reach_everybody():
    pool = SimulatedPool(4)
    pool["n1"].serf.describe({"role": "db"}, now=pool.now)
    pool.settle(pool["n1"])
    pool.run(3)
    for node in pool.nodes.values():
        assert node.serf.roster.by_name["n1"].member.tags == {"role": "db"}
        assert node.changes(MemberChange.UPDATE) == ["n1"]


def test_tags_that_do_not_fit_are_refused():
    pool = SimulatedPool(1)
    with pytest.raises(MembershipError, match="exceeds limit of 512 bytes"):
        pool["n0"].serf.describe({"a": "x" * 600}, now=pool.now)


def test_a_user_event_is_told_once_to_everybody():
    pool = SimulatedPool(6)
    pool["n1"].serf.user_event("deploy", b"1", coalesce=False, now=pool.now)
    pool.settle(pool["n1"])
    pool.run(5)
    assert all(user_events(node) == ["deploy"] for node in pool.nodes.values())


def test_a_replayed_user_event_is_told_once():
    pool = SimulatedPool(2)
    content = USER + serf_messages.encode(UserEventMessage(4, "deploy", b"1"))
    for _ in range(50):
        pool["n0"].serf.receive(content, STRANGER, now=pool.now)
    pool.settle(pool["n0"])
    pool.run(3)
    assert user_events(pool["n0"]) == ["deploy"]
    assert len(pool["n0"].serf.event_queue) <= 1


def test_who_joins_late_is_told_old_events_only_if_it_wants():
    pool = SimulatedPool(2)
    pool["n0"].serf.user_event("old", b"", coalesce=False, now=pool.now)
    pool.settle(pool["n0"])
    pool.run(10)
    pool.add("wants")
    pool.exchange("wants", "n0")
    pool.add("ignores").serf.ignoring_old_events = True
    pool.exchange("ignores", "n0")
    pool["ignores"].serf.ignoring_old_events = False
    pool["n0"].serf.user_event("new", b"", coalesce=False, now=pool.now)
    pool.settle(pool["n0"])
    pool.run(10)
    assert user_events(pool["wants"]) == ["old", "new"]
    assert user_events(pool["ignores"]) == ["new"]


def test_an_event_that_does_not_fit_is_refused():
    pool = SimulatedPool(1)
    with pytest.raises(EventTooLarge, match="limit of 512 bytes before encoding"):
        pool["n0"].serf.user_event("x", b"y" * 512, coalesce=False, now=pool.now)


@pytest.mark.parametrize("relay_factor", [0, 2])
def test_a_query_gathers_acks_and_answers(relay_factor):
    pool = SimulatedPool(5)
    core = pool["n0"].serf
    pending = core.query(
        "load",
        b"q",
        now=pool.now,
        changed=lambda: None,
        ack=True,
        relay_factor=relay_factor,
        timeout=4.0,
    )
    pool.settle(pool["n0"])
    pool.run(2)
    for node in pool.nodes.values():
        (received,) = [event for _, event in node.events if isinstance(event, QueryReceived)]
        node.serf.respond(received, node.serf.name.encode(), now=pool.now)
        pool.settle(node)
    pool.run(1)
    assert pending.acks == set(pool.nodes)
    assert pending.responses == {name: name.encode() for name in pool.nodes}


def test_only_those_that_the_filters_let_through_are_asked():
    pool = SimulatedPool(3)
    pool["n1"].serf.describe({"role": "db"}, now=pool.now)
    pool.settle(pool["n1"])
    assert query(pool, "n0", "a", ack=True, tags={"role": "^d"}).acks == {"n1"}
    assert query(pool, "n0", "b", ack=True, nodes=("n2", "n0")).acks == {"n0", "n2"}


def test_an_answer_after_the_deadline_is_refused():
    pool = SimulatedPool(2)
    query(pool, "n0", "late", timeout=1.0)
    pool.run(2)  # it came to n1 a little later, and so does its end
    received = next(event for _, event in pool["n1"].events if isinstance(event, QueryReceived))
    with pytest.raises(MembershipError, match="past the deadline"):
        pool["n1"].serf.respond(received, b"", now=pool.now)


def test_round_trip_times_are_estimated():
    pool = SimulatedPool(4, latency=(0.010, 0.010))
    pool.run(120)
    one, other = (pool[name].serf.coordinates.coordinate for name in ("n1", "n2"))
    assert one.distance(other) == pytest.approx(0.020, rel=0.3)


@settings(max_examples=300)
@given(content=st.binary(max_size=200), kind=st.integers(0, 13), inner=st.integers(0, 10))
def test_garbage_is_dropped_and_leaves_nothing_behind(content, kind, inner):
    pool = SimulatedPool(2)
    core = pool["n0"].serf
    for message in (content, bytes((kind,)) + content, USER + bytes((inner,)) + content):
        core.receive(message, STRANGER, now=pool.now)
    pool.settle(pool["n0"])
    assert pool["n0"].dropped
    assert set(pool["n0"].statuses()) == {"n0", "n1"}


def test_strangers_cannot_fill_our_memory():
    pool = SimulatedPool(1, config=PoolConfig(max_members=50))
    core = pool["n0"].serf
    own = core.swim.own
    for number in range(200):
        alive = Alive(1, f"x{number}", b"\x0a\x09\x09\x09", 7946, own.meta, own.vsn)
        core.receive(encode(alive), STRANGER, now=pool.now)
    for number in range(6000):
        intent = serf_messages.encode(JoinIntent(5, f"y{number}"))
        core.receive(USER + intent, STRANGER, now=pool.now)
    assert len(core.swim.peers) == 50
    assert len(core.roster._intents) <= 4096
    assert len(core.intent_queue) <= pool.config.queue_depth
