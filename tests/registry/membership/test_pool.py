"""The shipped pool, driver and all, in a simulated world."""

from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from lictor.raft.simulation import World
from lictor.registry.membership.config import PoolConfig
from lictor.registry.membership.errors import JoinFailed, UnknownMember
from lictor.registry.membership.events import MemberEvent, UserEvent
from lictor.registry.membership.keyring import Keyring
from lictor.registry.membership.pool import Pool

KEY = b"k" * 32


class Cluster:
    def __init__(self, world, size, *, key=None):
        self.world = world
        self.events = {}
        self.registries = {}
        self.pools = {}
        for number in range(size):
            self.make(f"n{number}", key)

    def make(self, name, key=None):
        host = self.world.host(name)
        self.events[name] = []
        self.registries[name] = CollectorRegistry()
        self.pools[name] = Pool(
            PoolConfig(),
            host.runtime,
            name=name,
            tags={"role": "node"},
            keyring=Keyring([key]) if key else None,
            address=host.address,
            port=8301,
            events=self.events[name].append,
            registry=self.registries[name],
        )

    async def on(self, name, work):
        return await self.world.host(name).spawn(work)

    async def form(self):
        first = next(iter(self.pools.values()))
        for name, pool in self.pools.items():
            await self.on(name, pool.start())
            if pool is not first:
                assert await self.on(name, pool.join([first.address[0]])) == 1
        await self.world.hosts["n0"].clock.sleep(3)

    def statuses(self, name):
        return {member.name: str(member.status) for member in self.pools[name].members()}


@asynccontextmanager
async def formed(world, size, **options):
    cluster = Cluster(world, size, **options)
    await cluster.form()
    yield cluster
    for name, pool in cluster.pools.items():
        await cluster.on(name, pool.close())


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_a_pool_forms_talks_and_sees_a_member_leave(key):
    async def story():
        async with formed(world, 4, key=key) as cluster:
            assert cluster.statuses("n3") == {f"n{number}": "alive" for number in range(4)}
            cluster.pools["n1"].user_event("deploy", b"1")
            answers = await cluster.on("n2", cluster.pools["n2"].query("up", ack=True))
            assert answers.acks == ("n0", "n1", "n2", "n3")
            for events in cluster.events.values():
                assert [each.name for each in events if isinstance(each, UserEvent)] == ["deploy"]
            await cluster.on("n3", cluster.pools["n3"].leave())
            assert cluster.statuses("n0")["n3"] == "left"
            assert cluster.pools["n0"].stats()["encrypted"] == str(key is not None).lower()

    with World(seed=1) as world:
        world.run(story())


def test_a_host_that_crashes_has_failed_and_is_back_when_it_starts_again():
    async def story():
        async with formed(world, 4) as cluster:
            world.crash("n2")
            await world.hosts["n0"].clock.sleep(40)
            assert cluster.statuses("n0")["n2"] == "failed"
            await cluster.on("n0", cluster.pools["n0"].force_leave("n2"))
            assert cluster.statuses("n0")["n2"] == "left"
            cluster.make("n2")
            await cluster.on("n2", cluster.pools["n2"].start())
            await cluster.on("n2", cluster.pools["n2"].join([cluster.pools["n1"].address[0]]))
            await world.hosts["n0"].clock.sleep(5)
            for name in cluster.pools:
                assert set(cluster.statuses(name).values()) == {"alive"}

    with World(seed=2) as world:
        world.run(story())


def test_pools_of_different_keys_do_not_hear_each_other():
    async def story():
        async with formed(world, 2, key=KEY) as cluster:
            cluster.make("stranger", b"x" * 32)
            stranger = cluster.pools["stranger"]
            await cluster.on("stranger", stranger.start())
            with pytest.raises(JoinFailed):
                await cluster.on("stranger", stranger.join([cluster.pools["n0"].address[0]]))
            assert set(cluster.statuses("n0")) == {"n0", "n1"}
            dropped = cluster.registries["n0"].get_sample_value(
                "lictor_membership_dropped_total", {"pool": "lan", "reason": "no key fits"}
            )
            assert dropped == 1

    with World(seed=3) as world:
        world.run(story())


def test_errors_are_told_in_consuls_words():
    async def story():
        async with formed(world, 1) as cluster:
            pool = cluster.pools["n0"]
            nobody = f"{pool.address[0]}:9"
            with pytest.raises(JoinFailed) as refused:
                await cluster.on("n0", pool.join([nobody]))
            assert str(refused.value) == (
                f"1 error occurred:\n\t* Failed to join {nobody}: "
                f"dial tcp {nobody}: connect: connection refused\n\n"
            )
            with pytest.raises(UnknownMember, match="No node found with name 'x'"):
                await cluster.on("n0", pool.force_leave("x"))
            assert any(isinstance(event, MemberEvent) for event in cluster.events["n0"])

    with World(seed=4) as world:
        world.run(story())
