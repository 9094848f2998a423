"""What clients of a cluster see is linearizable, by lease and by read index, whatever fails."""

import asyncio

import pytest

from lictor.raft.errors import OutcomeUnknown, RaftError
from lictor.raft.linearizability import Act, Operation, find_violation

from .test_cluster import story

KEYS = 12
CLIENTS = 8
ROUNDS = 8


class Clients:
    """They read and write a few registers through any member, and note what they see."""

    def __init__(self, cluster, world):
        self.cluster, self.world = cluster, world
        self.history = []
        self.leases = 0
        self.done = False

    async def run(self, client):
        rng = self.world.rng
        number = 0
        while not self.done:
            number += 1
            key = f"k{rng.randrange(KEYS)}"
            if rng.random() < 0.4:
                await self.write(key, f"{client}.{number}")
            else:
                await self.read(key, rng.choice(sorted(self.cluster.nodes)))
            await asyncio.sleep(rng.uniform(0.02, 0.1))

    def note(self, act, key, value, invoked, *, returned):
        self.history.append(
            Operation(key=key, act=act, value=value, invoked=invoked, returned=returned)
        )

    async def write(self, key, value):
        invoked, leader = self.world.now, self.cluster.leader()
        try:
            if leader is None:
                return
            await asyncio.wait_for(leader.propose(f"{key}={value}".encode()), 0.5)
        except (OutcomeUnknown, TimeoutError):
            self.note(Act.WRITE, key, value, invoked, returned=None)
        except RaftError:
            return  # it was refused: surely nothing happened
        else:
            self.note(Act.WRITE, key, value, invoked, returned=self.world.now)

    async def read(self, key, name):
        invoked = self.world.now
        node, ledger = self.cluster.nodes[name], self.cluster.ledgers[name]
        if node.has_lease():
            self.leases += 1
        else:
            try:
                await asyncio.wait_for(node.read_index(), 0.2)
            except (RaftError, TimeoutError):
                return
        values = [data.decode() for _, data in ledger.commands]
        found = [value for value in values if value.startswith(f"{key}=")]
        value = found[-1].partition("=")[2] if found else None
        self.note(Act.READ, key, value, invoked, returned=self.world.now)


async def trouble(cluster, world):
    """One member after the other crashes or is cut off."""
    rng, names = world.rng, sorted(cluster.nodes)
    for _ in range(ROUNDS):
        leader = cluster.leader()
        leading = [each for each in names if cluster.nodes[each] is leader]
        name = rng.choice(leading or names)  # who leads can do most harm
        if rng.random() < 0.4:
            world.crash(name)
            del cluster.nodes[name]
            await asyncio.sleep(rng.uniform(0.1, 2.0))
            await cluster.start(name)
        else:
            other = rng.choice([each for each in names if each != name])
            world.partition([name]) if rng.random() < 0.5 else world.cut(name, other)
            await asyncio.sleep(rng.uniform(1.0, 4.0))
            world.heal()
        await asyncio.sleep(rng.uniform(0.1, 1.0))


async def play(cluster, world):
    clients = Clients(cluster, world)
    tasks = [asyncio.ensure_future(clients.run(number)) for number in range(CLIENTS)]
    await trouble(cluster, world)
    clients.done = True
    await asyncio.wait_for(asyncio.gather(*tasks), 30.0)
    assert clients.leases > 5
    assert len(clients.history) > 50
    violation = find_violation(clients.history)
    assert violation is None, violation


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 30))
def test_what_clients_see_is_linearizable(seed):
    story(seed, play, drift=0.04, snapshot_threshold=40, trailing_logs=10)
