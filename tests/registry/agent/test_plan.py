"""Anti-entropy plans: whatever the catalogue holds, one plan mends it and the next is empty."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.registry.agent.definitions import (
    CheckRules,
    ServiceDefinition,
    health_check,
    node_service,
)
from lictor.registry.agent.local import Local, LocalService
from lictor.registry.agent.plan import Catalog, note, plan
from lictor.registry.agent.sync import scale
from lictor.registry.commands import SERVER, DeregisterEntity, Entry, RegisterEntity, encode
from lictor.registry.machine import Machine
from lictor.registry.queries import NodeChecks, NodeServices
from lictor.registry.records import Node

NODE = Node(
    id="11111111-2222-3333-4444-555555555555",
    name="N1",
    address="10.0.0.1",
    datacenter="dc1",
    tagged_addresses={"lan": "10.0.0.1"},
    meta={"consul-network-segment": ""},
    create_index=0,
    modify_index=0,
)
NAMES = ("a", "b", "consul")

services = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "port": st.integers(0, 1),
        "tags": st.sampled_from([None, (), ("t",)]),
        "meta": st.sampled_from([None, {}, {"k": "v"}]),
        "address": st.sampled_from(["", "10.0.0.9"]),
    }
)
checks = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["x", "y", "z", "serfHealth"]),
        "service": st.sampled_from(["", "a", "b"]),
        "status": st.sampled_from(["passing", "critical"]),
    }
)
content = st.tuples(st.lists(services, max_size=3), st.lists(checks, max_size=4))


def local_of(said):
    local = Local("N1")
    for each in said[0]:
        if each["name"] != "consul":
            record = node_service(ServiceDefinition(**each))
            local.add_service(LocalService(record=record), now=0.0)
    for each in said[1]:
        if each["id"] != "serfHealth" and (
            not each["service"] or each["service"] in local.services
        ):
            found = local.services[each["service"]].record if each["service"] else None
            rules = CheckRules(status=each["status"])
            local.add_check(
                health_check(each["id"], rules, "ttl", node="N1", service=found), rules, now=0.0
            )
    return local


class World:
    """A real catalogue."""

    def __init__(self):
        self.machine = Machine()
        self.index = 0

    def do(self, command):
        self.index += 1
        (result,) = self.machine.apply([(self.index, encode(Entry(1, SERVER, command)))])
        assert not isinstance(result, Exception), result

    def fill(self, said):
        known = set()
        for each in said[0]:
            known.add(each["name"])
            self.do(RegisterEntity(NODE, node_service(ServiceDefinition(**each))))
        for each in said[1]:
            if not each["service"] or each["service"] in known:
                record = health_check(
                    each["id"], CheckRules(status=each["status"]), "", node="N1", service=None
                )
                record = msgspec.structs.replace(record, service_id=each["service"])
                self.do(RegisterEntity(NODE, None, (record,)))

    def catalog(self):
        found = self.machine.answers.get(NodeServices("N1")).value
        held = self.machine.answers.get(NodeChecks("N1")).value
        return Catalog(
            node=found.node if found else None,
            services=dict(found.services) if found else {},
            checks={check.check_id: check for check in held},
        )


@settings(max_examples=150, derandomize=True, deadline=None)
@given(ours=content, theirs=content)
def test_one_plan_mends_the_catalogue_and_the_next_is_empty(ours, theirs):
    local, world = local_of(ours), World()
    world.fill(theirs)
    image = world.catalog()
    kept = {name for name in ("consul",) if name in image.services}
    serf = image.checks.get("serfHealth")
    for command in plan(NODE, local, image):
        world.do(command)
        note(image, command)
    assert plan(NODE, local, world.catalog()) == []
    assert plan(NODE, local, image) == []
    after = world.catalog()
    assert set(after.services) == set(local.services) | kept
    assert set(after.checks) - {"serfHealth"} == set(local.checks)
    if serf is not None and serf.service_id in {"", *local.services}:
        assert after.checks["serfHealth"] == serf


def test_an_empty_agent_still_registers_its_node():
    assert plan(NODE, Local("N1"), Catalog()) == [RegisterEntity(NODE, skip_node_update=False)]


def test_what_an_agent_knows_of_itself_wins_over_the_catalogue():
    stale = msgspec.structs.replace(NODE, meta={"old": "1"}, create_index=3, modify_index=3)
    assert plan(NODE, Local("N1"), Catalog(node=stale)) == [RegisterEntity(NODE)]
    fresh = msgspec.structs.replace(NODE, create_index=3, modify_index=3)
    assert plan(NODE, Local("N1"), Catalog(node=fresh)) == []


def test_a_services_checks_go_with_it():
    world = World()
    world.fill(([{"name": "a"}], [{"id": "x", "service": "a", "status": "passing"}]))
    assert plan(NODE, Local("N1"), world.catalog()) == [DeregisterEntity("N1", service_id="a")]


@pytest.mark.parametrize(
    ("nodes", "factor"), [(1, 1), (128, 1), (129, 2), (256, 2), (257, 3), (8192, 7)]
)
def test_big_clusters_sync_less_often(nodes, factor):
    assert scale(nodes) == factor
