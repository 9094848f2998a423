"""Whole clusters of shipped agents in a simulated world: gossip, Raft, calls and HTTP together."""

from __future__ import annotations

import asyncio

import pytest
from test_simulated_agent import Client, nothing

from lictor.cli.start import start_agent
from lictor.raft.simulation import World
from lictor.registry.config import load

SEEDS = ["s0", "s1", "s2"]


def config_of(host, *, server=True):
    flags = {
        "server": server,
        "data_dir": "/data",
        "bind_addr": host.address,
        "client_addr": host.address,
        "retry_join": SEEDS,
        "retry_interval": "1s",
        "autopilot.server_stabilization_time": "1s",
    }
    if server:
        flags["bootstrap_expect"] = 3
    return load(
        flags=flags, read=nothing, names=nothing, hostname=host.name, rng=host.runtime.rng
    ).config


async def start(world, name, *, server=True):
    host = world.host(name)
    config = config_of(host, server=server)
    return await host.spawn(
        start_agent(config, host.runtime, storage=lambda _: host.disk.storage())
    )


async def eventually(what, *, within=60.0):
    """Let time pass until ``what`` holds."""
    for _ in range(int(within / 0.1)):
        if await what():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came to hold")


def client_of(world, name):
    return Client(world, world.host(name).address)


async def put(client, key, value):
    """Whether the write was acknowledged; nothing is known of one that was not."""
    try:
        return (await client.http("PUT", f"/v1/kv/{key}", value))[1] == b"true"
    except (OSError, AssertionError):
        return False


async def leader_of(agents):
    """The one that leads among those that live."""

    async def there_is_one():
        return any(agent.server.raft.is_leader for agent in agents.values())

    await eventually(there_is_one)
    return next(name for name, agent in agents.items() if agent.server.raft.is_leader)


async def formed(world):
    agents = {}
    for name in SEEDS:
        world.host(name)
    for name in reversed(SEEDS):
        agents[name] = await start(world, name)
    await leader_of(agents)
    return agents


def test_three_servers_and_a_client_form_a_cluster_in_virtual_time():
    async def story(world):
        agents = await formed(world)
        agents["c"] = await start(world, "c", server=False)
        for name in (*SEEDS, "c"):
            client = client_of(world, name)
            assert await put(client, f"from/{name}", name.encode())

        async def all_are_in_the_catalogue():
            _, body = await client_of(world, "s0").http("GET", "/v1/catalog/nodes")
            return all(f'"Node":"{name}"'.encode() in body for name in (*SEEDS, "c"))

        await eventually(all_are_in_the_catalogue)
        for agent in agents.values():
            await agent.close()

    with World(seed=1) as world:
        world.run(story(world))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_acknowledged_write_is_lost_when_leaders_crash(seed):
    async def story(world):
        agents = await formed(world)
        acknowledged = {}
        running = True

        async def write(name):
            number = 0
            while running:
                number += 1
                key = f"w/{name}/{number}"
                if await put(client_of(world, name), key, key.encode()):
                    acknowledged[key] = key.encode()
                else:
                    await asyncio.sleep(0.05)

        writers = [asyncio.ensure_future(write(name)) for name in SEEDS]
        for _ in range(3):
            await asyncio.sleep(world.rng.uniform(0.2, 2.0))
            fallen = await leader_of(agents)
            del agents[fallen]
            world.crash(fallen)
            await leader_of(agents)
            await asyncio.sleep(world.rng.uniform(0.0, 1.0))
            agents[fallen] = await start(world, fallen)
        running = False
        await asyncio.gather(*writers)
        await leader_of(agents)
        assert len(acknowledged) > 20
        for name in SEEDS:
            client = client_of(world, name)
            for key, value in acknowledged.items():
                assert await client.http("GET", f"/v1/kv/{key}?raw&consistent") == (200, value)
        for agent in agents.values():
            await agent.close()

    with World(seed=seed) as world:
        world.run(story(world))


def test_a_server_that_never_had_a_leader_has_nothing_to_be_stale():
    async def story(world):
        for name in SEEDS:
            world.host(name)
        alone = await start(world, "s0")
        for path in ("/v1/catalog/nodes?stale", "/v1/catalog/nodes"):
            status, body = await client_of(world, "s0").http("GET", path)
            assert (status, body) == (500, b"No cluster leader")
        await alone.close()

    with World(seed=1) as world:
        world.run(story(world))


def test_a_leader_that_is_cut_off_acknowledges_nothing():
    async def story(world):
        agents = await formed(world)
        old = await leader_of(agents)
        world.host("client")  # on the old leader's side
        world.partition([old, "client"])

        async def stepped_down():
            return not agents[old].server.raft.is_leader

        cut_off = client_of(world, old)
        assert not await put(cut_off, "lost", b"1")
        await eventually(stepped_down)
        world.heal()
        assert await put(cut_off, "found", b"1")
        for agent in agents.values():
            await agent.close()

    with World(seed=5) as world:
        world.run(story(world))
