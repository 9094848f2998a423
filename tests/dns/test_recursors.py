"""Recursors: relayed questions, and aliases that lead to somebody else's names."""

import asyncio
import contextlib
import struct

import pytest
from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnsworld.fixture import row, svc
from dnsworld.loopback import HandClock
from dnsworld.world import FixtureRegistry, flags, question, short

from lictor.dns.names import from_text
from lictor.dns.options import DNSOptions
from lictor.dns.recursors import Recursors, parse_recursor
from lictor.dns.wire import parse_reply

from .test_server import frame, read_frame, serving, tcp_client, udp_client

ZONE = [f"www.example.com. 300 IN A 192.0.2.{n}" for n in range(1, 10)]


class Upstream(asyncio.DatagramProtocol):
    """A name server that answers ``www.example.com``, or misbehaves."""

    def __init__(self, mood="ok"):
        self.mood = mood
        self.asked = []
        self.was_asked = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def answer(self, packet):
        self.asked.append(packet)
        request = DNSRecord.parse(packet)
        reply = request.reply(ra=1, aa=0)
        if self.mood == "servfail":
            reply.header.rcode = RCODE.SERVFAIL
        elif self.mood == "nxdomain":
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            reply.add_answer(*RR.fromZone("www.example.com. 60 IN CNAME real.example.com."))
            for line in ZONE:
                reply.add_answer(*RR.fromZone(line.replace("www", "real")))
        return reply.pack()

    def datagram_received(self, data, addr):
        self.was_asked.set()
        if self.mood == "silent":
            self.asked.append(data)
        elif self.mood == "forged":
            self.asked.append(data)
            self.transport.sendto(bytes((data[0] ^ 1,)) + self.answer(data)[1:], addr)
            other = question("www.example.org", ident=int.from_bytes(data[:2]))
            self.transport.sendto(self.answer(other), addr)
            self.transport.sendto(b"\0", addr)
            self.mood = "ok"
            self.transport.sendto(self.answer(data), addr)
        elif self.mood == "nonsense":
            self.asked.append(data)
            self.transport.sendto(data[:2] + b"\x81\x80\0\1\0\5\0\0\0\0" + data[12:], addr)
        else:
            self.transport.sendto(self.answer(data), addr)

    async def stream(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            writer.write(frame(self.answer(await read_frame(reader))))
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def upstreams(*moods):
    loop = asyncio.get_running_loop()
    started = []
    closing = []
    for mood in moods:
        one = Upstream(mood)
        server = await asyncio.start_server(one.stream, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(
            lambda one=one: one, local_addr=("127.0.0.1", port)
        )
        one.address = f"127.0.0.1:{port}"
        started.append(one)
        closing += [server, transport]
    try:
        yield started
    finally:
        for one in closing:
            one.close()


def addresses(servers):
    return [one.address for one in servers]


async def turning(clock, work):
    """The result of ``work``, while time flies."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0.001)
        clock.advance(0.1)
    return task.result()


async def test_a_question_is_relayed_as_it_is_and_so_is_the_reply():
    packet = question("www.example.com", edns=4096, rd=False, options=b"\0\x0a\0\x08cookies!")
    async with (
        upstreams("ok") as (one,),
        serving(recursors=[one.address]) as (_, address),
        udp_client(address) as client,
    ):
        reply = await client.ask(packet)
        assert one.asked == [packet]
        assert reply == one.answer(packet)


async def test_over_tcp_it_is_relayed_over_tcp():
    async with (
        upstreams("ok") as (one,),
        serving(recursors=[one.address]) as (_, address),
        tcp_client(address) as (reader, writer),
    ):
        one.transport.close()
        packet = question("www.example.com")
        writer.write(frame(packet))
        assert await read_frame(reader) == one.answer(packet)


async def test_only_yes_and_no_are_final():
    clock = HandClock()
    async with (
        upstreams("servfail", "silent", "nxdomain", "ok") as servers,
        serving(recursors=addresses(servers), clock=clock) as (_, address),
        udp_client(address) as client,
    ):
        reply = DNSRecord.parse(await turning(clock, client.ask(question("www.example.com"))))
    assert reply.header.rcode == RCODE.NXDOMAIN
    assert [len(one.asked) for one in servers] == [1, 1, 1, 0]


async def test_when_all_fail_the_client_is_told_after_the_timeouts():
    clock = HandClock()
    async with (
        upstreams("servfail", "silent") as servers,
        serving(recursors=addresses(servers), clock=clock) as (_, address),
        udp_client(address) as client,
    ):
        started = clock.now()
        packet = question("www.example.com", edns=1232)
        reply = DNSRecord.parse(await turning(clock, client.ask(packet)))
        assert 2.0 <= clock.now() - started < 4.0
    assert (reply.header.rcode, flags(reply)) == (RCODE.SERVFAIL, "qr rd ra")
    assert [QTYPE[record.rtype] for record in reply.ar] == ["OPT"]


async def test_a_forged_reply_is_ignored():
    async with (
        upstreams("forged") as (one,),
        serving(recursors=[one.address]) as (_, address),
        udp_client(address) as client,
    ):
        packet = question("www.example.com")
        assert await client.ask(packet) == one.answer(packet)


async def test_reverse_names_that_nobody_has_are_relayed():
    async with (
        upstreams("nxdomain") as (one,),
        serving(recursors=[one.address]) as (_, address),
        udp_client(address) as client,
    ):
        reply = await client.ask(question("200.200.200.10.in-addr.arpa", "PTR"))
        assert DNSRecord.parse(reply).header.rcode == RCODE.NXDOMAIN
        reply = DNSRecord.parse(await client.ask(question("1.0.0.10.in-addr.arpa", "PTR")))
    assert len(one.asked) == 1
    assert flags(reply) == "qr aa rd ra"


async def test_our_names_are_never_relayed():
    async with (
        upstreams("ok") as (one,),
        serving(recursors=[one.address]) as (_, address),
        udp_client(address) as client,
    ):
        reply = DNSRecord.parse(await client.ask(question("nosuch.service.consul")))
    assert reply.header.rcode == RCODE.NXDOMAIN
    assert flags(reply) == "qr aa rd ra"
    assert one.asked == []


async def test_an_alias_of_a_service_is_chased_with_the_services_ttl():
    options = DNSOptions(service_ttl={"*": 7.0}, node_ttl=9.0)
    async with (
        upstreams("ok") as (one,),
        serving(recursors=[one.address], options=options) as (_, address),
        udp_client(address) as client,
    ):
        plain = DNSRecord.parse(await client.ask(question("extsvc.service.consul")))
        edns = DNSRecord.parse(await client.ask(question("extsvc.service.consul", edns=4096)))
        srv = DNSRecord.parse(await client.ask(question("extsvc.service.consul", "SRV")))
        node = DNSRecord.parse(await client.ask(question("ext.node.consul")))
    chain = ["CNAME real.example.com.", "CNAME www.example.com."]
    assert short(plain.rr) == ["A 192.0.2.1", *chain]
    assert {record.ttl for record in plain.rr} == {7}
    assert flags(plain) == "qr aa rd ra"
    assert len(edns.rr) == 11
    assert (short(srv.rr), len(srv.ar)) == (["SRV 1 1 443 www.example.com."], 5)
    assert len(node.rr) == 11
    assert {record.ttl for record in node.rr} == {9, 60, 300}
    asked = DNSRecord.parse(one.asked[0])
    assert (str(asked.q.qname), QTYPE[asked.q.qtype]) == ("www.example.com.", "A")
    assert flags(asked) == "rd"
    assert not asked.ar


@pytest.mark.parametrize("mood", ["servfail", "nonsense"])
async def test_a_chase_that_fails_leaves_the_alias(mood):
    async with (
        upstreams(mood, "ok") as servers,
        serving(recursors=addresses(servers)) as (_, address),
        udp_client(address) as client,
    ):
        reply = DNSRecord.parse(await client.ask(question("extsvc.service.consul", edns=4096)))
    # the first that replies at all decides, even by failing; nonsense is no reply
    expected = 1 if mood == "servfail" else 11
    assert len(reply.rr) == expected


async def test_questions_past_the_limit_are_refused_at_once(monkeypatch):
    monkeypatch.setattr("lictor.dns.server.MAX_WAITING", 1)
    async with (
        upstreams("silent") as (one,),
        serving(recursors=[one.address]) as (_, address),
        udp_client(address) as first,
        udp_client(address) as second,
    ):
        first.transport.sendto(question("www.example.com"))
        await one.was_asked.wait()
        reply = DNSRecord.parse(await second.ask(question("www.example.net")))
        assert (reply.header.rcode, flags(reply)) == (RCODE.SERVFAIL, "qr rd ra")
        ours = DNSRecord.parse(await second.ask(question("web.service.consul")))
        assert len(ours.rr) == 2


async def test_one_connection_waits_for_a_bounded_number_and_goes_on_later(monkeypatch):
    monkeypatch.setattr("lictor.dns.server.MAX_PIPELINED", 2)
    async with (
        upstreams("ok") as (one,),
        serving(recursors=[one.address]) as (_, address),
        tcp_client(address) as (reader, writer),
    ):
        writer.writelines(frame(question("www.example.com", ident=n)) for n in range(9))
        idents = {int.from_bytes((await read_frame(reader))[:2]) for _ in range(9)}
    assert idents == set(range(9))


async def test_many_names_in_one_answer_are_chased_boundedly():
    registry = FixtureRegistry()
    for n in range(40):
        registry.register(row(f"x{n}", "10.9.9.1", svc("spread", n, Address=f"h{n}.example.org")))
    async with (
        upstreams("nxdomain") as (one,),
        serving(recursors=[one.address], registry=registry) as (_, address),
        tcp_client(address) as (reader, writer),
    ):
        writer.write(frame(question("spread.service.consul", "SRV")))
        reply = DNSRecord.parse(await read_frame(reader))
    assert len(reply.rr) == 40
    assert len(one.asked) == 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", 53)),
        ("10.0.0.1:5353", ("10.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_recursors_are_addresses_with_or_without_port(text, expected):
    assert parse_recursor(text) == expected


@pytest.mark.parametrize("text", ["", "dns.example", "10.0.0.1:0", "10.0.0.1:x", "[::1]x", "1:2:3"])
def test_other_recursors_are_refused(text):
    with pytest.raises(ValueError, match=r"not appear|no port|invalid literal"):
        parse_recursor(text)


def test_the_order_of_recursors():
    from dnsworld.loopback import loopback_runtime

    texts = [f"10.0.0.{n}" for n in range(1, 6)] + ["10.0.0.1:53"]
    runtime = loopback_runtime()
    fixed = Recursors(texts, runtime, timeout=2.0)
    assert fixed._order() == [(f"10.0.0.{n}", 53) for n in range(1, 6)]
    mixed = Recursors(texts, runtime, timeout=2.0, strategy="random")
    assert len({tuple(mixed._order()) for _ in range(20)}) > 5


def test_an_upstream_reply_is_read_with_its_compression():
    upstream = Upstream()
    message = parse_reply(upstream.answer(question("www.example.com")))
    assert message.rcode == 0
    assert message.answers[0].names == (from_text("real.example.com"),)
    assert [record.head for record in message.answers[1:]] == [
        struct.pack("BBBB", 192, 0, 2, n) for n in range(1, 10)
    ]
