"""What the table of oracle cases does not reach: tables that cover, names that do not fit."""

import pytest
from dnslib import DNSRecord
from dnsworld.fixture import row, svc
from dnsworld.world import FixtureRegistry, World, question, short

from lictor.dns import zone as zones
from lictor.dns.options import DNSOptions
from lictor.dns.records import parse_ip, texts_of_meta
from lictor.dns.resolver import RESOLVE


def test_every_lookup_is_resolved():
    lookups = {
        one
        for one in vars(zones).values()
        if isinstance(one, type) and issubclass(one, zones.Lookup) and one is not zones.Lookup
    }
    assert set(RESOLVE) == lookups


ZONE = zones.Zone(("consul",), ("corp", "example"), "dc1")
SRV = 33


def parse(name, qtype=1):
    return zones.parse(tuple(name.split(".")), qtype, ZONE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web.service.consul", zones.ServiceLookup("web")),
        ("web.service.corp.example", zones.ServiceLookup("web")),
        ("a.b.web.service.dc2.consul", zones.ServiceLookup("web", "a.b", "dc2")),
        ("web.service.dc2.dc.consul", zones.ServiceLookup("web", "", "dc2")),
        ("_web._tcp.service.consul", zones.ServiceLookup("web")),
        ("_web._http.service.dc2.consul", zones.ServiceLookup("web", "http", "dc2")),
        ("web.connect.consul", zones.ServiceLookup("web", connect=True)),
        ("web.ingress.dc2.consul", zones.IngressLookup("web", "dc2")),
        ("web.virtual.consul", zones.VirtualLookup("web")),
        ("q.query.consul", zones.QueryLookup("q")),
        ("q.with.dots.query.dc2.consul", zones.QueryLookup("q.with.dots", "dc2")),
        ("_q.x._tcp.query.consul", zones.QueryLookup("q.x")),
        ("a.b.node.consul", zones.NodeLookup("a.b")),
        ("0a000001.addr.consul", zones.AddrLookup(parse_ip("10.0.0.1"))),
        ("1.0.0.10.in-addr.arpa", zones.ReverseLookup("10.0.0.1")),
        ("01.0.0.10.in-addr.arpa", zones.ReverseLookup("")),
        ("256.0.0.10.in-addr.arpa", zones.ReverseLookup("")),
        ("in-addr.arpa", zones.ReverseLookup("")),
        ("web.service.example", zones.OutOfZone()),
        ("fooconsul", zones.OutOfZone()),
        ("web.service.x.dc.y.peer.consul", zones.NO_SUCH_NAME),
        ("web.service.x.peer.consul", zones.NO_SUCH_NAME),
        ("q.query.a.b.consul", zones.NO_SUCH_NAME),
        ("web.consul", zones.NO_SUCH_NAME),
    ],
)
def test_names_are_read_from_the_right(name, expected):
    assert parse(name) == expected


def test_the_service_label_may_be_left_out_for_srv_only():
    assert parse("_web._tcp.dc2.consul", SRV) == zones.ServiceLookup("web", "", "dc2")
    assert parse("_web._tcp.dc2.consul") == zones.NO_SUCH_NAME


def world_of(*bodies, **settings):
    registry = FixtureRegistry()
    for body in bodies:
        registry.register(body)
    return World(registry=registry, **settings)


def test_a_node_name_that_is_no_domain_name_is_reached_by_address():
    world = world_of(
        row("x" * 64, "10.6.0.1", svc("long", 5), NodeMeta={"a": "b"}),
        row("a..b", "10.6.0.2", svc("dots", 5)),
    )
    reply = world.ask("long.service.consul", "SRV")
    assert short(reply.rr) == ["SRV 1 1 5 0a060001.addr.dc1.consul."]
    assert short(reply.ar) == ["A 10.6.0.1"]
    assert short(world.ask("dots.service.consul", "SRV").rr) == [
        "SRV 1 1 5 0a060002.addr.dc1.consul."
    ]
    assert world.ask("1.0.6.10.in-addr.arpa", "PTR").header.rcode == 2


def test_an_address_that_is_nothing_is_left_out():
    world = world_of(
        row("bad", "not..a name", svc("badaddr", 5)),
        row("none", "", svc("noaddr", 5)),
        row("zone", "fe80::1%eth0", svc("scoped", 5)),
    )
    for name in ("badaddr", "noaddr", "scoped"):
        for qtype in ("A", "SRV"):
            reply = world.ask(f"{name}.service.consul", qtype)
            assert (reply.header.rcode, len(reply.auth)) == (0, 1 - len(reply.rr))
            assert name == "scoped" or not reply.rr
    for node in ("bad", "none"):
        assert world.ask(f"{node}.node.consul").rr == []


def test_an_ipv4_address_in_ipv6_clothes_is_an_a_record():
    world = world_of(row("mapped", "::ffff:10.6.0.3", svc("mapped", 5)))
    assert short(world.ask("mapped.service.consul").rr) == ["A 10.6.0.3"]
    reply = world.ask("mapped.service.consul", "AAAA")
    assert (reply.rr, len(reply.auth)) == ([], 1)


def test_metadata_longer_than_a_character_string_is_cut():
    world = world_of(row("meta", "10.6.0.4", NodeMeta={"k": "v" * 400}))
    record = world.ask("meta.node.consul", "TXT").rr[0]
    assert record.rdata.data == [b"k=" + b"v" * 253]


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("color", "blue", "color=blue"),
        ("equation", "a=4", "equation=a=4"),
        ("a=a", "true", "a`=a=true"),
        ("a\\=a", "false", "a\\`=a=false"),
        ("=", "\\=", "`==\\="),
        ("string", '"Cat"', 'string="Cat"'),
        ("string2", "`abc`", "string2=``abc``"),
        ("novalue", "", "novalue="),
        ("a b", "c d", "a b=c d"),
        ("abc ", "123 ", "abc` =123 "),
        (" lead", "x", "` lead=x"),
    ],
)
def test_metadata_is_quoted_as_rfc_1464_shows(key, value, text):
    (record,) = texts_of_meta(b"\0", 0, {key: value})
    assert record.head == bytes((len(text),)) + text.encode()


def test_names_that_are_not_text_are_just_unknown():
    packet = question("x.service.consul").replace(b"\1x", b"\1\xff")
    reply = World().send(packet)
    assert reply[3] & 0xF == 3
    assert packet[12:20] == reply[12:20]


def test_ns_names_are_lower_cased_and_plain():
    server = svc("consul", 8300)
    world = world_of(row("N1-Up", "127.0.0.2", server), row("bad_node", "127.0.0.3", server))
    names = {str(record.rdata) for record in world.ask("consul", "NS").rr}
    assert names == {"n1.node.dc1.consul.", "n1-up.node.dc1.consul."}
    assert short(world.ask("2.0.0.127.in-addr.arpa", "PTR").rr) == ["PTR N1-Up.node.dc1.consul."]


def test_at_most_three_servers_are_named_and_not_always_the_same():
    server = svc("consul", 8300)
    world = world_of(*(row(f"s{n}", f"10.6.1.{n}", server) for n in range(6)))
    seen = set()
    for _ in range(40):
        reply = world.ask("consul", "NS")
        assert len(reply.rr) == len(reply.ar) == 3
        seen |= {str(record.rdata) for record in reply.rr}
    assert len(seen) == 7


def test_truncation_keeps_one_answer_at_least():
    world = World(options=DNSOptions(udp_answer_limit=0))
    assert len(world.ask("many.service.consul").rr) == 1
    name = ".".join(["l" * 60] * 3)
    world = world_of(*(row(f"{name}.n{n}", f"10.6.2.{n}", svc("wide", n)) for n in range(9)))
    packet = question("wide.service.consul", "SRV", edns=600)
    reply = DNSRecord.parse(world.send(packet))
    assert 1 <= len(reply.rr) < 9
    assert len(world.send(packet)) <= 600
