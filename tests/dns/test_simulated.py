"""The shipped server in a simulated world: idle connections, timeouts and lost packets, at once."""

import asyncio

from dnslib import RCODE, DNSRecord
from dnsworld.world import question, shared_registry
from prometheus_client import CollectorRegistry

from lictor.dns.metrics import DNSMetrics
from lictor.dns.options import DNSOptions
from lictor.dns.server import DNSServer
from lictor.raft.simulation import World


class Talker(asyncio.Protocol, asyncio.DatagramProtocol):
    """Collects what it is told, over either transport."""

    def __init__(self):
        self.told = asyncio.Queue()
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.told.put_nowait(data[2:])

    def datagram_received(self, data, addr):
        self.told.put_nowait(data)

    def connection_lost(self, exc):
        self.lost.set()


def server_on(host, **settings):
    return DNSServer(
        DNSOptions(),
        runtime=host.runtime,
        registry=shared_registry(),
        node_name="n1",
        datacenter="dc1",
        metrics=DNSMetrics(CollectorRegistry()),
        **settings,
    )


def test_over_both_transports_and_the_idle_are_closed_after_eight_seconds():
    async def story(ours, theirs):
        server = server_on(ours)
        _, port = await server.serve("0.0.0.0", 0)
        network = theirs.runtime.network
        _, datagrams = await network.connect_datagrams(Talker, ours.address, port)
        datagrams.transport.sendto(question("web.service.consul"))
        assert len(DNSRecord.parse(await datagrams.told.get()).rr) == 2

        _, stream = await network.connect_stream(Talker, ours.address, port, timeout=1.0)
        packet = question("many.service.consul")
        began = theirs.clock.now()
        stream.transport.write(len(packet).to_bytes(2) + packet)
        assert len(DNSRecord.parse(await stream.told.get()).rr) == 30
        await stream.lost.wait()
        assert 8.0 <= theirs.clock.now() - began < 8.2
        await server.close()

    with World(seed=3) as world:
        world.run(story(world.host("a"), world.host("b")))


def test_a_recursor_that_is_not_there_costs_its_timeout_and_no_more():
    async def story(ours, theirs):
        server = server_on(ours, recursors=["10.99.0.1", "10.99.0.2"])
        _, port = await server.serve("0.0.0.0", 0)
        _, client = await theirs.runtime.network.connect_datagrams(Talker, ours.address, port)
        began = theirs.clock.now()
        client.transport.sendto(question("www.example.com"))
        reply = DNSRecord.parse(await client.told.get())
        assert reply.header.rcode == RCODE.SERVFAIL
        assert 4.0 <= theirs.clock.now() - began < 4.2
        await server.close()

    with World(seed=4) as world:
        world.run(story(world.host("a"), world.host("b")))


def test_closing_ends_what_waits():
    async def story(ours, theirs):
        server = server_on(ours, recursors=["10.99.0.1"])
        _, port = await server.serve("0.0.0.0", 0)
        network = theirs.runtime.network
        _, stream = await network.connect_stream(Talker, ours.address, port, timeout=1.0)
        packet = question("www.example.com")
        stream.transport.write(len(packet).to_bytes(2) + packet)
        await theirs.clock.sleep(0.1)
        began = theirs.clock.now()
        await server.close()
        await stream.lost.wait()
        assert theirs.clock.now() - began < 0.1
        assert stream.told.empty()

    with World(seed=5) as world:
        world.run(story(world.host("a"), world.host("b")))
