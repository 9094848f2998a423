"""Several members, the shipped driver and transport, in a simulated world."""

import asyncio

import pytest

from lictor.raft.config import RaftConfig
from lictor.raft.errors import NotLeader, OutcomeUnknown, RaftError, StorageError
from lictor.raft.membership import Change, ChangeKind, ChangeSet, Configuration
from lictor.raft.node import Node
from lictor.raft.simulation import World
from lictor.raft.transport import PeerTransport

from .machines import Ledger

PORT = 8300


class Cluster:
    """Servers on hosts ``n1``, ``n2``, ...; the first one bootstraps, the others are added."""

    def __init__(self, world, **config):
        self.world = world
        self.config = config
        self.nodes: dict[str, Node] = {}
        self.ledgers: dict[str, Ledger] = {}
        self.acknowledged: list[bytes] = []
        self.acknowledged_index = 0

    async def start(self, name):
        host = self.world.host(name)
        address = f"{host.address}:{PORT}"
        transport = PeerTransport(host.runtime, cluster="test", address=address)
        self.ledgers[name] = Ledger()
        node = self.nodes[name] = Node(
            config=RaftConfig(**{"bootstrap": name == "n1", "address": address, **self.config}),
            runtime=host.runtime,
            storage=host.disk.storage(),
            machine=self.ledgers[name],
            transport=transport,
        )

        async def begin():
            await transport.serve("0.0.0.0", PORT)
            await node.start()

        await host.spawn(begin())
        return node

    async def form(self, count):
        await self.start("n1")
        for number in range(2, count + 1):
            name = f"n{number}"
            node = await self.start(name)
            address = f"{self.world.host(name).address}:{PORT}"
            await self.change(ChangeKind.ADD_VOTER, node.node_id, address)
        await self.settle()

    async def change(self, kind, member, address=""):
        leader = self.leader()
        leader.introduce(member, address)
        return await leader.propose_change(ChangeSet((Change(kind, member, address),)))

    def leader(self):
        leaders = [node for node in self.nodes.values() if node.is_leader]
        return max(leaders, key=lambda node: node.term, default=None)

    async def led(self, *, without=(), limit=20.0):
        """The leader, as soon as there is one among those that are not in ``without``."""
        until = self.world.now + limit
        while self.world.now < until:
            leader = self.leader()
            if leader is not None and leader not in [self.nodes[name] for name in without]:
                return leader
            await asyncio.sleep(0.01)
        raise AssertionError(f"no leader after {limit} s")

    async def write(self, data):
        """Propose until it is acknowledged; each attempt has its own command."""
        for attempt in range(1_000):
            command = b"%s.%d" % (data, attempt)
            try:
                leader = await self.led()
                index = await asyncio.wait_for(leader.propose(command), 5.0)
            except (RaftError, TimeoutError):
                await asyncio.sleep(0.05)
            else:
                self.acknowledged.append(command)
                self.acknowledged_index = max(self.acknowledged_index, index)
                return
        raise AssertionError("it was never acknowledged")

    async def watch_reads(self):
        """At every instant at most one lease, and no read that is older than what was promised."""
        while True:
            await asyncio.sleep(0.002)
            holders = [node for node in self.nodes.values() if node.has_lease()]
            assert len(holders) <= 1, "two leases at once"
            for node in holders:
                assert node.applied_index >= self.acknowledged_index, "a stale lease read"

    async def read(self, rng):
        """A linearizable read anywhere."""
        promised = self.acknowledged_index
        try:
            node = rng.choice(list(self.nodes.values()))
            index = await asyncio.wait_for(node.read_index(), 10.0)
        except (RaftError, TimeoutError):
            return  # a member that crashed answers nobody
        assert index >= promised, "a stale read"

    async def settle(self, limit=30.0):
        """Let everybody apply the same."""
        until = self.world.now + limit
        while self.world.now < until:
            indexes = {node.applied_index for node in self.nodes.values()}
            leader = self.leader()
            if len(indexes) == 1 and leader and indexes == {leader.last_index}:
                return
            await asyncio.sleep(0.05)
        raise AssertionError({name: node.applied_index for name, node in self.nodes.items()})

    def check(self):
        ledgers = [ledger.commands for ledger in self.ledgers.values()]
        assert all(commands == ledgers[0] for commands in ledgers)
        applied = [data for _, data in ledgers[0]]
        assert len(applied) == len(set(applied))
        assert set(self.acknowledged) <= set(applied)


def story(seed, tell, *, members=3, drift=0.0, **config):
    with World(seed=seed) as world:
        for number in range(1, members + 1):  # clocks that run fast and slow, from anywhere
            rate = 1.0 + drift * (number % 3 - 1)
            world.host(f"n{number}", skew=100.0 * number, rate=rate)
        cluster = Cluster(world, **config)

        async def play():
            await cluster.form(members)
            await tell(cluster, world)

        world.run(play())
        return world.digest


def test_three_members_form_a_cluster_and_agree():
    async def tell(cluster, world):
        for number in range(20):
            await cluster.write(b"%d" % number)
        await cluster.settle()
        cluster.check()
        leader = cluster.leader()
        assert len(leader.configuration.voters) == 3
        assert len(leader.configuration.addresses) == 3
        followers = [node for node in cluster.nodes.values() if node is not leader]
        assert {node.leader_id for node in followers} == {leader.node_id}
        assert all(node.last_contact() < 1.0 for node in followers)
        with pytest.raises(NotLeader) as refusal:
            followers[0].propose(b"x")
        assert refusal.value.leader == leader.node_id

    story(1, tell)


def test_another_leads_when_the_leader_crashes_and_it_comes_back():
    async def tell(cluster, world):
        await cluster.write(b"before")
        world.crash("n1")
        del cluster.nodes["n1"]
        cluster.ledgers.pop("n1")
        began = world.now
        leader = await cluster.led()
        assert world.now - began < 4.0
        await cluster.write(b"meanwhile")
        await cluster.start("n1")
        await cluster.write(b"after")
        await cluster.settle()
        cluster.check()
        assert cluster.leader() is leader  # the one that returns disturbs nobody

    story(2, tell)


def test_a_leader_that_is_cut_off_loses_its_lease_before_another_leads():
    async def tell(cluster, world):
        old = cluster.leader()
        assert await old.read_index() == old.applied_index
        assert old.has_lease()
        pending = []
        world.partition(["n1"])
        pending.append(old.propose(b"lost"))
        while not any(node.is_leader for node in cluster.nodes.values() if node is not old):
            holders = [node for node in cluster.nodes.values() if node.has_lease()]
            assert len(holders) <= 1
            await asyncio.sleep(0.005)
        assert not old.has_lease()
        await asyncio.sleep(2.0)
        assert not old.is_leader  # it has lost its quorum
        assert isinstance(
            (await asyncio.gather(*pending, return_exceptions=True))[0], OutcomeUnknown
        )
        await cluster.write(b"new")
        world.heal()
        await cluster.settle()
        cluster.check()

    story(3, tell)


def test_a_follower_reads_what_was_acknowledged_before():
    async def tell(cluster, world):
        leader = cluster.leader()
        follower = next(node for node in cluster.nodes.values() if node is not leader)
        index = await leader.propose(b"x")
        assert await follower.read_index() >= index
        assert follower.applied_index >= index
        reads = await asyncio.gather(*[follower.read_index() for _ in range(50)])
        assert min(reads) >= index

    story(4, tell)


def test_a_read_without_a_quorum_fails_in_time():
    async def tell(cluster, world):
        world.partition(["n1"], ["n2"], ["n3"])
        began = world.now
        with pytest.raises(NotLeader):
            await cluster.nodes["n1"].read_index()
        assert world.now - began < 7.0

    story(5, tell)


def test_leadership_is_handed_over_on_request():
    async def tell(cluster, world):
        old, new = cluster.nodes["n1"], cluster.nodes["n2"]
        await old.read_index()
        assert old.has_lease()
        old.transfer(new.node_id)
        assert not old.has_lease()
        await cluster.led(without=["n1", "n3"])
        assert new.is_leader
        await cluster.write(b"x")
        await cluster.settle()
        cluster.check()

    story(6, tell)


def test_a_leader_that_is_stopped_hands_over_first():
    async def tell(cluster, world):
        old = cluster.nodes.pop("n1")
        cluster.ledgers.pop("n1")
        began = world.now
        await old.close()
        leader = await cluster.led()
        assert leader is not old
        assert world.now - began < 0.5  # nobody had to wait for an election timeout
        await cluster.write(b"x")
        await cluster.settle()
        cluster.check()

    story(10, tell)


def test_servers_that_know_each_other_begin_a_cluster_together():
    with World(seed=12) as world:
        cluster = Cluster(world, bootstrap=False)

        async def play():
            names = ("n1", "n2", "n3")
            nodes = [await cluster.start(name) for name in names]
            addresses = {
                node.node_id: f"{world.host(name).address}:{PORT}"
                for name, node in zip(names, nodes, strict=True)
            }
            voters = tuple(sorted(addresses))
            configuration = Configuration(voters, addresses=tuple(sorted(addresses.items())))
            for node in nodes:
                await node.bootstrap(configuration)
            await cluster.write(b"x")
            await cluster.settle()
            cluster.check()
            with pytest.raises(StorageError, match="already"):
                await nodes[0].bootstrap(configuration)

        world.run(play())


def test_who_lags_far_behind_is_sent_a_snapshot():
    async def tell(cluster, world):
        world.crash("n3")
        del cluster.nodes["n3"]
        cluster.ledgers.pop("n3")
        for number in range(200):
            await cluster.write(b"%d" % number)
        assert cluster.leader().snapshot_index > 100
        node = await cluster.start("n3")
        await cluster.settle()
        cluster.check()
        assert cluster.ledgers["n3"].restored == 1
        assert node.snapshot_index > 100

    story(7, tell, snapshot_threshold=50, trailing_logs=10)


def test_a_removed_member_stops_disturbing():
    async def tell(cluster, world):
        removed = cluster.nodes.pop("n3")
        cluster.ledgers.pop("n3")
        await cluster.change(ChangeKind.REMOVE, removed.node_id)
        term = cluster.leader().term
        await asyncio.sleep(20.0)
        assert (cluster.leader().term, removed.is_leader) == (term, False)
        await cluster.write(b"x")
        await cluster.settle()
        cluster.check()

    story(8, tell)


def test_a_leader_that_removes_itself_steps_down():
    async def tell(cluster, world):
        old = cluster.leader()
        await cluster.change(ChangeKind.REMOVE, old.node_id)
        new = await cluster.led(without=["n1"])
        assert new is not old
        await asyncio.sleep(1.0)
        assert old.role == "follower"
        assert len(new.configuration.voters) == 2

    story(9, tell)


async def storm(cluster, world):
    """Writers all the time; crashes, partitions and returns as chance wills."""
    names = list(cluster.nodes)
    rng = world.rng
    done = False

    async def write(writer):
        number = 0
        while not done:
            number += 1
            await cluster.write(b"%d.%d" % (writer, number))
            await asyncio.sleep(rng.uniform(0.0, 0.05))

    async def read():
        while not done:
            await cluster.read(rng)
            await asyncio.sleep(rng.uniform(0.0, 0.1))

    writers = [asyncio.ensure_future(write(writer)) for writer in range(3)]
    writers += [asyncio.ensure_future(read()) for _ in range(2)]
    watch = asyncio.ensure_future(cluster.watch_reads())
    for _ in range(8):
        name = rng.choice(names)
        if rng.random() < 0.5:
            world.crash(name)
            del cluster.nodes[name]
            await asyncio.sleep(rng.uniform(0.1, 3.0))
            await cluster.start(name)
        else:
            if rng.random() < 0.5:
                world.partition([name])
            else:
                world.cut(name, rng.choice([other for other in names if other != name]))
            await asyncio.sleep(rng.uniform(0.1, 5.0))
            world.heal()
        if watch.done():
            watch.result()
    done = True
    watch.cancel()
    await asyncio.wait_for(asyncio.gather(*writers), 60.0)
    await cluster.settle()
    cluster.check()
    assert len(cluster.acknowledged) > 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_nothing_acknowledged_is_lost_in_a_storm(seed):
    members = 3 + 2 * (seed % 2)
    story(seed, storm, members=members, drift=0.04, snapshot_threshold=40, trailing_logs=10)


def test_a_member_whose_disk_fails_ends_and_the_others_go_on():
    async def tell(cluster, world):
        old = cluster.nodes.pop("n1")
        cluster.ledgers.pop("n1")
        world.host("n1").disk.failure = OSError(5, "input/output error")
        outcome = await asyncio.gather(old.propose(b"x"), return_exceptions=True)
        assert isinstance(outcome[0], OutcomeUnknown)
        assert isinstance(await old.failed, StorageError)
        await cluster.write(b"y")
        await cluster.settle()
        cluster.check()
        await old.close()

    story(13, tell)


def test_a_slow_disk_delays_writes_but_not_heartbeats():
    async def tell(cluster, world):
        leader = cluster.leader()
        world.host("n1").disk.delay = (3.0, 3.0)
        world.host("n2").disk.delay = (3.0, 3.0)
        began = world.now
        await cluster.write(b"x")
        assert world.now - began > 2.9
        assert cluster.leader() is leader

    story(14, tell)


@pytest.mark.slow
def test_one_seed_gives_one_storm():
    assert story(11, storm) == story(11, storm)
