"""The server over loopback sockets."""

import asyncio
import contextlib

import pytest
from dnslib import DNSRecord
from dnsworld.loopback import HandClock, loopback_runtime
from dnsworld.world import FixtureRegistry, flags, question, shared_registry, short
from prometheus_client import CollectorRegistry

from lictor.dns.metrics import DNSMetrics
from lictor.dns.options import DNSOptions
from lictor.dns.server import IDLE_TIMEOUT, DNSServer
from lictor.registry.errors import NoLeader


class Client(asyncio.DatagramProtocol):
    def __init__(self):
        self.replies = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.replies.put_nowait(data)

    async def ask(self, packet):
        self.transport.sendto(packet)
        return await self.replies.get()


@contextlib.asynccontextmanager
async def udp_client(address):
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(Client, remote_addr=address)
    try:
        yield client
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def tcp_client(address):
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_frame(reader):
    size = int.from_bytes(await reader.readexactly(2))
    return await reader.readexactly(size)


def frame(packet):
    return len(packet).to_bytes(2) + packet


@contextlib.asynccontextmanager
async def serving(*, clock=None, registry=None, **settings):
    server = DNSServer(
        settings.pop("options", DNSOptions()),
        runtime=loopback_runtime(clock=clock),
        registry=registry or shared_registry(),
        node_name="n1",
        datacenter="dc1",
        metrics=DNSMetrics(CollectorRegistry()),
        **settings,
    )
    address = await server.serve("127.0.0.1", 0)
    try:
        yield server, address
    finally:
        await server.close()


async def test_answers_over_udp():
    async with serving() as (_, address), udp_client(address) as client:
        reply = DNSRecord.parse(await client.ask(question("web.service.consul", "SRV")))
    assert len(reply.rr) == 2
    assert reply.header.id == 0x1234


async def test_answers_over_tcp_in_a_pipeline_cut_anywhere():
    names = ["web.service.consul", "foo.node.consul", "many.service.consul"]
    stream = b"".join(frame(question(name, ident=n)) for n, name in enumerate(names))
    async with serving() as (_, address), tcp_client(address) as (reader, writer):
        for cut in range(0, len(stream), 7):
            writer.write(stream[cut : cut + 7])
            await asyncio.sleep(0)
        replies = [DNSRecord.parse(await read_frame(reader)) for _ in names]
    assert [reply.header.id for reply in replies] == [0, 1, 2]
    assert [len(reply.rr) for reply in replies] == [2, 1, 30]


async def test_a_malformed_packet_gets_no_answer_and_stops_nobody():
    async with serving() as (_, address), udp_client(address) as client:
        client.transport.sendto(b"\0" * 11)
        client.transport.sendto(question("web.service.consul")[:2] + b"\x81" + b"\0" * 20)
        reply = DNSRecord.parse(await client.ask(question("foo.node.consul", ident=9)))
    assert reply.header.id == 9


async def test_an_idle_connection_is_closed():
    clock = HandClock()
    async with serving(clock=clock) as (_, address), tcp_client(address) as (reader, writer):
        writer.write(frame(question("web.service.consul")))
        await read_frame(reader)
        clock.advance(IDLE_TIMEOUT - 1)
        writer.write(frame(question("web.service.consul")))
        await read_frame(reader)
        clock.advance(IDLE_TIMEOUT - 1)
        writer.write(frame(question("web.service.consul")))
        await read_frame(reader)
        clock.advance(IDLE_TIMEOUT + 0.1)
        assert await reader.read() == b""


async def test_a_connection_that_only_trickles_is_closed_too():
    clock = HandClock()
    async with serving(clock=clock) as (_, address), tcp_client(address) as (reader, writer):
        writer.write(frame(question("web.service.consul")))
        await read_frame(reader)
        for _ in range(3):
            writer.write(b"\1")
            await asyncio.sleep(0)
            clock.advance(IDLE_TIMEOUT / 2)
        assert await reader.read() == b""


async def test_more_connections_than_allowed_are_refused(monkeypatch):
    monkeypatch.setattr("lictor.dns.server.MAX_CONNECTIONS", 1)
    async with serving() as (_, address), tcp_client(address) as (reader, writer):
        writer.write(frame(question("web.service.consul")))
        await read_frame(reader)
        async with tcp_client(address) as (second, _):
            with contextlib.suppress(ConnectionError):
                assert await second.read() == b""
        writer.write(frame(question("web.service.consul")))
        await read_frame(reader)


async def test_a_peer_that_does_not_read_is_not_read_from():
    async with serving() as (server, address), tcp_client(address) as (reader, writer):
        many = frame(question("many.service.consul", "SRV"))
        asked = 2000
        writer.write(many * asked)
        for _ in range(asked):
            await read_frame(reader)
        assert len(server._connections) == 1


async def test_without_a_leader_answers_may_be_stale():
    registry = FixtureRegistry()
    registry.error = NoLeader("No cluster leader")
    registry.may = False
    async with serving(registry=registry) as (_, address), udp_client(address) as client:
        for _ in range(20):
            packet = question("web.service.consul", edns=1232)
            reply = DNSRecord.parse(await client.ask(packet))
            assert len(reply.rr) == 2
    assert registry.reads == ["stale"] * 2  # once for each order; the fast lane has the rest


@pytest.mark.parametrize(
    ("options", "contact"),
    [(DNSOptions(allow_stale=False), 0.0), (DNSOptions(max_stale=5.0), 5.5)],
    ids=["not allowed", "too stale"],
)
async def test_without_a_leader_a_question_waits_seven_seconds_for_one(options, contact):
    registry = FixtureRegistry()
    registry.error = NoLeader("No cluster leader")
    registry.may = False
    registry.last_contact = contact
    clock = HandClock()
    async with (
        serving(registry=registry, options=options, clock=clock) as (_, address),
        udp_client(address) as client,
    ):
        asking = asyncio.ensure_future(client.ask(question("web.service.consul", edns=1232)))
        started = clock.now()
        while not asking.done():
            await asyncio.sleep(0)
            clock.advance(0.01)
        waited = clock.now() - started
        failed = DNSRecord.parse(asking.result())

        registry.error = None
        registry.may = True
        answered = DNSRecord.parse(await client.ask(question("web.service.consul", edns=1232)))
    assert waited >= 7.0
    assert set(registry.reads) == {"default"}
    assert (failed.header.rcode, flags(failed)) == (2, "qr aa rd")
    assert not failed.rr
    assert not failed.auth
    assert len(answered.rr) == 2


async def test_a_change_shows_in_the_next_answer():
    registry = FixtureRegistry()
    async with serving(registry=registry) as (_, address), udp_client(address) as client:

        async def addresses():
            return short(DNSRecord.parse(await client.ask(question("web.service.consul"))).rr)

        for _ in range(4):
            assert await addresses() == ["A 10.0.0.1", "A 10.9.9.9"]
        registry.deregister("foo", "web")
        assert await addresses() == ["A 10.9.9.9"]
        registry.deregister("bar", "web")
        assert await addresses() == []


async def test_settings_change_while_serving():
    async with serving() as (server, address), udp_client(address) as client:
        packet = question("web.service.consul")
        assert DNSRecord.parse(await client.ask(packet)).rr[0].ttl == 0
        server.configure(DNSOptions(service_ttl={"web": 9.0}), ())
        assert DNSRecord.parse(await client.ask(packet)).rr[0].ttl == 9
        with pytest.raises(ValueError, match="nonsense"):
            server.configure(DNSOptions(), ["nonsense"])
        assert DNSRecord.parse(await client.ask(packet)).rr[0].ttl == 9
