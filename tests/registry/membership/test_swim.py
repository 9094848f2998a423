"""Who is alive, in small pools in virtual time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.registry.membership import suspicion
from lictor.registry.membership.config import PoolConfig
from lictor.registry.membership.events import MemberChange
from lictor.registry.membership.messages import Alive, Dead, State, Suspect, encode

from .pools import SimulatedPool

seeds = st.integers(0, 2**32)


def others(pool, *names):
    return [node for name, node in pool.nodes.items() if node.alive and name not in names]


@settings(max_examples=15)
@given(seed=seeds, size=st.integers(2, 8))
def test_nobody_dies_while_nothing_is_lost(seed, size):
    pool = SimulatedPool(size, seed=seed)
    pool.run(40)
    for node in pool.nodes.values():
        assert node.changes(MemberChange.FAILED) == []
        assert node.serf.swim.prober.awareness.score == 0


@settings(max_examples=15)
@given(seed=seeds, size=st.integers(3, 8))
def test_a_dead_member_is_found_within_the_bound(seed, size):
    pool = SimulatedPool(size, seed=seed)
    pool.run(5)
    pool.kill("n0")
    config = pool.config
    # SWIM, section 4.3: each member is probed once in each round, so within two rounds at most
    found = (2 * size + config.awareness_max_multiplier) * config.probe_interval
    least = suspicion.shortest(config.suspicion_mult, size, config.probe_interval)
    bound = found + least * config.suspicion_max_timeout_mult + 2.0
    assert pool.run(
        bound,
        until=lambda: all("n0" in node.changes(MemberChange.FAILED) for node in others(pool)),
    )
    assert all(node.changes(MemberChange.FAILED) == ["n0"] for node in others(pool))


@given(seed=seeds)
@settings(max_examples=15)
def test_a_member_that_is_alive_refutes_what_is_said_of_it(seed):
    pool = SimulatedPool(4, seed=seed)
    pool.run(3)
    accused = pool["n2"].serf.swim
    before = accused.own.incarnation
    accusation = encode(Suspect(before, "n2", "n1"))
    pool["n0"].serf.receive(accusation, ("10.0.0.2", 7946), now=pool.now)
    pool.settle(pool["n0"])
    assert pool["n0"].serf.swim.peers.by_name["n2"].state is State.SUSPECT
    pool.run(40)
    assert accused.own.incarnation > before
    for node in pool.nodes.values():
        assert node.changes(MemberChange.FAILED) == []
        assert node.serf.swim.peers.by_name["n2"].state is State.ALIVE


def test_a_member_declared_dead_by_mistake_comes_back():
    pool = SimulatedPool(4)
    pool.run(3)
    verdict = encode(Dead(pool["n2"].serf.swim.own.incarnation, "n2", "n1"))
    pool["n0"].serf.receive(verdict, ("10.0.0.2", 7946), now=pool.now)
    pool.settle(pool["n0"])
    pool.run(20)
    assert all(node.statuses()["n2"] == "alive" for node in pool.nodes.values())


def test_an_accusation_of_an_older_incarnation_is_not_believed():
    pool = SimulatedPool(3)
    accused = pool["n2"].serf
    accused.describe({"role": "new"}, now=pool.now)
    pool.settle(pool["n2"])
    pool.run(3)
    old = encode(Suspect(accused.swim.own.incarnation - 1, "n2", "n1"))
    pool["n0"].serf.receive(old, ("10.0.0.2", 7946), now=pool.now)
    assert pool["n0"].serf.swim.peers.by_name["n2"].state is State.ALIVE


def test_a_one_way_fault_is_no_death_while_others_can_reach_the_member():
    pool = SimulatedPool(6)
    pool.run(2)
    pool.cut.add(frozenset(("n0", "n1")))
    pool.run(60)
    assert all(not node.changes(MemberChange.FAILED) for node in pool.nodes.values())


def test_two_halves_meet_again_after_a_partition():
    config = PoolConfig(reconnect_interval=5.0)
    pool = SimulatedPool(6, config=config)
    pool.run(2)
    halves = (("n0", "n1", "n2"), ("n3", "n4", "n5"))
    pool.cut |= {frozenset((one, other)) for one in halves[0] for other in halves[1]}
    pool.run(60)
    assert pool["n0"].statuses()["n4"] == "failed"
    pool.cut.clear()
    alive = dict.fromkeys(pool.nodes, "alive")
    assert pool.run(
        120, until=lambda: all(node.statuses() == alive for node in pool.nodes.values())
    )


def test_a_name_is_not_taken_from_a_living_member():
    pool = SimulatedPool(3)
    thief = pool.add("n9")
    pool.exchange("n9", "n0")
    state = thief.serf.swim.own.snapshot()
    stolen = Alive(50, "n1", state.addr, state.port, state.meta, state.vsn)
    held = pool["n0"].serf.swim.peers.by_name["n1"].address
    pool["n0"].serf.receive(encode(stolen), ("10.0.0.4", 7946), now=pool.now)
    assert pool["n0"].serf.swim.peers.by_name["n1"].address == held


def test_an_idle_member_is_woken_by_its_probes_alone():
    pool = SimulatedPool(2)
    pool.run(10)
    woken = []
    core = pool["n0"].serf
    advance = core.advance
    core.advance = lambda *, now: (woken.append(now), advance(now=now))
    pool.run(60)
    # a probe, its two timers, now and then a push-pull, reaping and reconnecting
    assert len(woken) <= 60 * 3.5


@pytest.mark.parametrize(
    ("confirmations", "expected"),
    [(0, 30.0), (1, 14.227), (2, 5.0), (3, 5.0)],
)
def test_confirmations_shorten_a_suspicion(confirmations, expected):
    one = suspicion.Suspicion("a", awaited=2, least=5.0, most=30.0, now=0.0)
    for number in range(confirmations):
        one.confirm(f"b{number}")
    assert one.deadline() == pytest.approx(expected, abs=0.01)


def test_the_same_accuser_counts_once():
    one = suspicion.Suspicion("a", awaited=2, least=5.0, most=30.0, now=0.0)
    assert not one.confirm("a")
    assert one.confirm("b")
    assert not one.confirm("b")


@pytest.mark.slow
def test_five_hundred_members_find_twenty_failures_and_invent_none():
    pool = SimulatedPool(500, seed=11, loss=0.05)
    pool.run(5)
    killed = {f"n{number * 23}" for number in range(20)}
    for name in killed:
        pool.kill(name)
    living = others(pool)
    assert pool.run(
        60,
        until=lambda: all(killed <= set(node.changes(MemberChange.FAILED)) for node in living),
        every=1.0,
    )
    assert all(set(node.changes(MemberChange.FAILED)) == killed for node in living)
