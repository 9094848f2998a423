"""The fast lane: never an untrue answer, every order equally often, bounded whatever is asked."""

from collections import Counter
from random import Random

import pytest
from dnslib import DNSRecord
from dnsworld.fixture import row, svc
from dnsworld.world import FixtureRegistry, World, question, short
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lictor.dns.lane import ORDER_USES, Lane, Spread, orders_wanted
from lictor.dns.options import DNSOptions


class Stand:
    """Stands for an answer."""

    def __init__(self):
        self.live = True


class LaneMatchesADict(RuleBasedStateMachine):
    """What the lane gives is what was kept last for that question, as long as it is true."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.may = True
        self.lane = Lane(Random(1), lambda: self.now, lambda: self.may, max_kept=4, max_bytes=4000)
        self.model = {}
        self.facts = [Stand() for _ in range(3)]

    @rule(
        key=st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f" * 600]),
        size=st.integers(1, 1500),
        facts=st.sets(st.integers(0, 2), max_size=2),
        dated=st.booleans(),
    )
    def ask(self, key, size, facts, dated):
        found = self.lane.find(key)
        wire, rests_on, second = self.model.get(key, (None, [], 0))
        true = all(fact.live for fact in rests_on) and second in (0, int(self.now)) and self.may
        assert found is None or (found == wire and true)
        if found is None:
            spread = self.lane.spread(key)
            wire = bytes((size % 251,)) * size
            rests_on = [self.facts[n] for n in facts]
            second = int(self.now) if dated else 0
            self.lane.keep(key, wire, rests_on, second=second, instances=1, spread=spread)
            self.model[key] = (wire, rests_on, second)
            if self.may and len(key) < 500:
                assert self.lane.find(key) == wire

    @rule(which=st.integers(0, 2))
    def a_fact_changes(self, which):
        self.facts[which].live = False
        self.facts[which] = Stand()

    @rule(step=st.sampled_from([0.1, 1.0]))
    def time_passes(self, step):
        self.now += step

    @rule(may=st.booleans())
    def leadership_changes(self, may):
        self.may = may

    @invariant()
    def bounded(self):
        assert len(self.lane) <= 4
        assert self.lane.size_bytes <= 4000
        assert self.lane.size_bytes == sum(kept.cost for kept in self.lane._kept.values())


TestLane = LaneMatchesADict.TestCase
TestLane.settings = settings(derandomize=True, max_examples=40, stateful_step_count=40)


@given(size=st.integers(0, 40), seed=st.integers(0, 99))
@settings(derandomize=True)
def test_every_item_comes_first_equally_often(size, seed):
    spread = Spread(Random(seed))
    items = list(range(size))
    orders = [tuple(spread.order(items)) for _ in range(6 * max(size, 1))]
    assert all(sorted(order) == items for order in orders)
    firsts = Counter(order[0] for order in orders if order)
    assert set(firsts.values()) <= {6}


@pytest.mark.parametrize("size", [2, 3])
def test_few_items_come_in_every_order_equally_often(size):
    spread = Spread(Random(3))
    orders = Counter(tuple(spread.order("xyz"[:size])) for _ in range(60))
    assert set(orders.values()) == {30 if size == 2 else 10}


@pytest.mark.parametrize(
    ("instances", "size", "expected"),
    [(0, 100, 1), (1, 100, 1), (2, 100, 2), (3, 100, 6), (4, 100, 16), (5, 100, 20), (30, 100, 30),
     (500, 100, 64), (500, 8000, 8), (500, 65000, 1)],
)  # fmt: skip
def test_how_many_orders_are_kept(instances, size, expected):
    assert orders_wanted(instances, size) == expected


def perf_world(instances, **settings):
    registry = FixtureRegistry()
    for n in range(instances):
        registry.register(row(f"p{n}", f"10.5.0.{n}", svc("perf", n)))
    return World(registry=registry, **settings)


def served(world, packet, *, tcp=False):
    """As a listener does it: the lane first. Second: whether the lane had it."""
    lane = world.responder.tcp if tcp else world.responder.udp
    kept = lane.find(packet[2:])
    if kept is not None:
        return packet[:2] + kept, True
    return world.send(packet, tcp=tcp), False


@pytest.mark.parametrize("instances", [2, 3, 7])
def test_the_lane_gives_every_instance_first_equally_often(instances):
    world = perf_world(instances)
    packet = question("perf.service.consul", edns=1232)
    draws = 600 * instances
    firsts = Counter()
    for _ in range(draws):
        reply, _ = served(world, packet)
        # the first address of the answer section, whose length is known
        at = len(packet) - 11
        firsts[reply[at + 12 : at + 16]] += 1
    assert len(firsts) == instances
    expected = draws / instances
    squares = sum((count - expected) ** 2 / expected for count in firsts.values())
    assert squares < 30  # chi-squared: one in a hundred thousand for 6 degrees of freedom
    assert world.responder.udp.hits > draws * 0.9


def test_no_order_lasts():
    world = perf_world(30)
    packet = question("perf.service.consul")  # three of thirty at a time
    replies = {served(world, packet)[0] for _ in range(30 * ORDER_USES + 500)}
    assert len(replies) > 40


def test_a_hit_carries_the_new_id_and_evaluates_nothing():
    world = perf_world(1)
    first, hit = served(world, question("perf.service.consul", ident=1))
    assert not hit
    evaluations = world.registry.answers.evaluations
    second, hit = served(world, question("perf.service.consul", ident=2))
    assert hit
    assert (first[:2], second[:2]) == (b"\0\1", b"\0\2")
    assert first[2:] == second[2:]
    assert world.registry.answers.evaluations == evaluations


def test_everything_of_the_question_counts():
    world = perf_world(1)
    served(world, question("perf.service.consul"))
    for other in (
        question("PERF.service.consul"),
        question("perf.service.consul", "AAAA"),
        question("perf.service.consul", rd=False),
        question("perf.service.consul", edns=1232),
    ):
        reply, hit = served(world, other)
        assert not hit
        assert DNSRecord.parse(reply).q.qname == DNSRecord.parse(other).q.qname
    assert not served(world, question("perf.service.consul"), tcp=True)[1]


def test_a_change_of_what_it_rests_on_ends_a_reply():
    world = perf_world(2)
    packet = question("perf.service.consul")
    for _ in range(5):
        served(world, packet)
    assert served(world, packet)[1]
    world.registry.register(row("other", "10.5.1.1", svc("else", 1)))
    assert served(world, packet)[1]
    world.registry.register(row("p0", "10.5.0.100", svc("perf", 1)))
    reply, hit = served(world, packet)
    assert not hit
    assert short(DNSRecord.parse(reply).rr) == ["A 10.5.0.1", "A 10.5.0.100"]


def test_a_denial_is_kept_for_its_second_and_ends_when_the_name_appears():
    world = perf_world(0)
    packet = question("perf.service.consul")
    first, _ = served(world, packet)
    assert served(world, packet) == (first, True)
    world.runtime.clock.advance(1.0)
    second, hit = served(world, packet)
    assert not hit
    assert second != first
    world.registry.register(row("p0", "10.5.0.1", svc("perf", 1)))
    reply, _ = served(world, packet)
    assert short(DNSRecord.parse(reply).rr) == ["A 10.5.0.1"]


def test_nothing_is_repeated_while_the_registry_may_not_answer():
    world = perf_world(1, options=DNSOptions(allow_stale=False))
    packet = question("perf.service.consul")
    served(world, packet)
    world.registry.may = False
    assert not served(world, packet)[1]


def test_a_follower_repeats_while_it_is_not_too_stale():
    world = perf_world(1, options=DNSOptions(max_stale=5.0))
    packet = question("perf.service.consul")
    served(world, packet)
    world.registry.may = False
    world.registry.last_contact = 4.0
    assert served(world, packet)[1]
    world.registry.last_contact = 6.0
    assert not served(world, packet)[1]


def test_a_reply_that_came_too_late_is_not_kept():
    lane = Lane(Random(1), lambda: 0.0, lambda: True)
    fact = Stand()
    fact.live = False
    lane.keep(b"k", b"w", [fact], second=0, instances=1, spread=lane.spread(b"k"))
    assert lane.find(b"k") is None
    assert len(lane) == 0


def test_replies_made_at_the_same_time_are_kept_beside_each_other():
    lane = Lane(Random(1), lambda: 0.0, lambda: True)
    first, second = lane.spread(b"k"), lane.spread(b"k")
    for spread, wire in ((first, b"1"), (second, b"2"), (first, b"3")):
        lane.keep(b"k", wire, [], second=0, instances=2, spread=spread)
    assert {lane.find(b"k") for _ in range(40)} == {b"1", b"2"}


def test_a_flood_of_names_stays_within_bounds():
    world = perf_world(0)
    lane = world.responder.udp
    lane._max_kept = 50
    for n in range(300):
        served(world, question(f"flood{n}.service.consul"))
    assert len(lane) == 50
    assert lane.size_bytes == sum(kept.cost for kept in lane._kept.values())
