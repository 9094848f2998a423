import asyncio
from pathlib import Path

import pytest
from aiohttp import BaseConnector, ClientSession, web
from aiohttp.client_proto import ResponseHandler

from lictor.raft.messages import HardState
from lictor.raft.simulation import Stalled, World

from .machines import Ledger, entries, make_node


class Recorder(asyncio.Protocol):
    """Keeps what it is told; echoes if asked to."""

    def __init__(self, *, echo=False):
        self.echo = echo
        self.told = []
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.told.append(data)
        if self.echo:
            self.transport.write(data)

    def eof_received(self):
        self.told.append(None)

    def connection_lost(self, exc):
        self.error = exc
        self.lost.set()

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")


async def connected(a, b, *, echo=False):
    far = []

    def accept():
        far.append(Recorder(echo=echo))
        return far[-1]

    listener = await b.runtime.network.serve_stream(accept, "0.0.0.0", 0)
    _, near = await a.runtime.network.connect_stream(
        Recorder, b.address, listener.address[1], timeout=1.0
    )
    await a.clock.sleep(0.01)
    return near, far[0]


def test_an_hour_passes_at_once():
    with World() as world:
        world.run(world.host("a").clock.sleep(3_600.0), limit=4_000.0)
        assert world.now == pytest.approx(3_600.0)


def test_clocks_differ_by_skew_and_rate():
    with World() as world:
        fast = world.host("fast", skew=100.0, rate=2.0)
        began = fast.clock.now()
        world.run(fast.clock.sleep(10.0))
        assert fast.clock.now() - began == pytest.approx(10.0)
        assert world.now == pytest.approx(5.0)
        assert began == 100.0


def test_waiting_for_an_event_ends_at_its_time():
    with World() as world:
        clock = world.host("a").clock

        async def story():
            event = asyncio.Event()
            assert not await clock.wait(event, until=clock.now() + 5.0)
            event.set()
            assert await clock.wait(event, until=clock.now())

        world.run(story())
        assert world.now == pytest.approx(5.0)


def test_a_deadlock_is_noticed():
    with World() as world:

        async def story():
            await asyncio.get_running_loop().create_future()

        with pytest.raises((Stalled, TimeoutError)):
            world.run(story(), limit=10.0)


def test_streams_keep_their_order_and_both_ends_hear_the_end():
    with World(seed=3) as world:
        a, b = world.host("a"), world.host("b")

        async def story():
            near, far = await connected(a, b, echo=True)
            for number in range(20):
                near.transport.write(b"%d." % number)
            await a.clock.sleep(1.0)
            near.transport.close()
            await far.lost.wait()
            return near, far

        near, far = world.run(story())
        sent = b"".join(b"%d." % number for number in range(20))
        assert b"".join(near.told) == sent
        assert b"".join(far.told[:-1]) == sent
        assert (far.told[-1], far.error, near.error) == (None, None, None)
        assert far.transport.get_extra_info("peername")[0] == a.address


def test_a_slow_reader_pauses_the_writer():
    with World() as world:
        a, b = world.host("a"), world.host("b")

        async def story():
            near, far = await connected(a, b)
            far.transport.pause_reading()
            near.transport.set_write_buffer_limits(high=1_000, low=100)
            near.transport.writelines([b"x" * 900, b"y" * 900])
            await a.clock.sleep(1.0)
            assert near.told == ["pause"]
            assert near.transport.get_write_buffer_size() == 1_800
            far.transport.resume_reading()
            await a.clock.sleep(1.0)
            assert near.told == ["pause", "resume"]
            assert sum(map(len, far.told)) == 1_800

        world.run(story())


def test_nobody_listens_and_nobody_answers():
    with World() as world:
        a, b = world.host("a"), world.host("b")

        async def connect(timeout):
            await a.runtime.network.connect_stream(Recorder, b.address, 80, timeout=timeout)

        with pytest.raises(ConnectionRefusedError):
            world.run(connect(1.0))
        world.partition([a])
        began = world.now
        with pytest.raises(TimeoutError):
            world.run(connect(3.0))
        assert world.now - began == pytest.approx(3.0)


def test_loopback_is_not_reached_from_outside():
    with World() as world:
        a, b = world.host("a"), world.host("b")

        async def story():
            listener = await b.runtime.network.serve_stream(Recorder, "127.0.0.1", 80)
            assert listener.address == ("127.0.0.1", 80)
            await b.runtime.network.connect_stream(Recorder, "localhost", 80, timeout=1.0)
            with pytest.raises(ConnectionRefusedError):
                await a.runtime.network.connect_stream(Recorder, "b", 80, timeout=1.0)
            with pytest.raises(OSError, match="taken"):
                await b.runtime.network.serve_stream(Recorder, "127.0.0.1", 80)

        world.run(story())


def test_bytes_wait_for_a_partition_to_heal_but_not_for_ever():
    with World() as world:
        a, b = world.host("a"), world.host("b")

        async def story():
            near, far = await connected(a, b)
            world.partition([a], [b])
            near.transport.write(b"late")
            await a.clock.sleep(5.0)
            assert far.told == []
            world.heal()
            await a.clock.sleep(0.1)
            assert far.told == [b"late"]
            world.cut(a, b)
            near.transport.write(b"never")
            await near.lost.wait()
            assert isinstance(near.error, TimeoutError)

        world.run(story())


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = []

    def datagram_received(self, data, addr):
        self.got.append((data, addr))


def test_datagrams_arrive_with_their_source_or_are_lost():
    with World(seed=1, loss=0.5) as world:
        a, b = world.host("a"), world.host("b")

        async def story():
            _, _, server = await b.runtime.network.serve_datagrams(Datagrams, "0.0.0.0", 53)
            transport, client = await a.runtime.network.connect_datagrams(Datagrams, "b", 53)
            for _ in range(200):
                transport.sendto(b"q")
            await a.clock.sleep(1.0)
            return server, client

        server, _ = world.run(story())
        assert 60 < len(server.got) < 140
        assert server.got[0][1][0] == a.address


def test_a_crash_stops_everything_and_resets_the_other_end():
    with World() as world:
        a, b = world.host("a"), world.host("b")
        ticks = []

        async def tick():
            while True:
                await b.clock.sleep(1.0)
                ticks.append(world.now)

        async def story():
            near, far = await connected(a, b)
            b.spawn(tick())
            await a.clock.sleep(3.5)
            old = b.runtime
            world.crash("b")
            await near.lost.wait()
            await a.clock.sleep(10.0)
            assert isinstance(near.error, ConnectionResetError)
            assert not far.lost.is_set()
            assert len(ticks) == 3
            with pytest.raises(OSError, match="down"):
                await old.network.connect_stream(Recorder, a.address, 1, timeout=1.0)

        world.run(story())


def test_a_crash_loses_what_is_not_synced():
    with World(seed=5) as world:
        a = world.host("a")
        a.disk.delay = (1.0, 1.0)
        storage = a.disk.storage()

        async def story():
            await a.disk.run(lambda: storage.open(new_node_id=3))
            await a.disk.run(lambda: storage.save(HardState(1, 0, 0), entries(1, [1])))
            a.spawn(a.disk.run(lambda: storage.save(None, entries(2, [1]))))
            await a.clock.sleep(0.5)
            a.disk._rng.seed(1)  # chance keeps nothing
            world.crash(a)
            return await a.disk.run(lambda: storage.open(new_node_id=4))

        recovered = world.run(story())
        assert (recovered.node_id, len(recovered.entries)) == (3, 1)


def test_files_survive_a_crash_and_a_full_disk_refuses():
    with World() as world:
        disk = world.host("a").disk
        disk.write_atomic(Path("/data/x/one"), b"1")
        disk.write_atomic(Path("/data/two"), b"2")
        world.crash("a")
        assert disk.read(Path("/data/x/one")) == b"1"
        assert disk.names(Path("/data")) == ["two", "x"]
        disk.capacity = 4
        with pytest.raises(OSError, match="no space"):
            disk.write_atomic(Path("/data/three"), b"333")
        disk.remove(Path("/data/two"))
        with pytest.raises(FileNotFoundError):
            disk.read(Path("/data/two"))


class Connector(BaseConnector):
    """aiohttp's client on a simulated network."""

    def __init__(self, network):
        super().__init__()
        self._network = network

    async def _create_connection(self, req, traces, timeout):
        _, protocol = await self._network.connect_stream(
            lambda: ResponseHandler(self._loop), req.url.host, req.url.port, timeout=5.0
        )
        return protocol


def test_aiohttp_serves_and_asks_in_virtual_time():
    with World() as world:
        a, b = world.host("a"), world.host("b")

        async def slow(request):
            await b.clock.sleep(30.0)
            return web.Response(text=f"hello {request.query['who']} {request.remote}")

        async def serve():
            app = web.Application()
            app.router.add_get("/", slow)
            runner = web.AppRunner(app)
            await runner.setup()
            await b.runtime.network.serve_stream(runner.server, "0.0.0.0", 8500)

        async def ask():
            async with ClientSession(connector=Connector(a.runtime.network)) as session:
                for _ in range(2):  # the second one on the kept connection
                    async with session.get("http://b:8500/?who=you") as response:
                        assert await response.text() == f"hello you {a.address}"

        async def story():
            await b.spawn(serve())
            await a.spawn(ask())

        world.run(story())
        assert 60.0 < world.now < 61.0


def history(seed):
    """A single voter under load that crashes twice."""
    with World(seed=seed) as world:
        host = world.host("a")

        async def live(ledger, count):
            node = make_node(host.disk.storage(), ledger, runtime=host.runtime)
            await node.start()
            for number in range(count):
                await node.propose(b"%d" % number)

        async def story():
            for _ in range(2):
                host.spawn(live(Ledger(), 10_000))
                await asyncio.sleep(world.rng.uniform(0.05, 0.2))
                world.crash(host)
            ledger = Ledger()
            await host.spawn(live(ledger, 1))
            return len(ledger.commands)

        return world.run(story()), world.digest


def test_one_seed_gives_one_history():
    assert history(1) == history(1)
    assert history(1) != history(2)
