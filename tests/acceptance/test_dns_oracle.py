"""The same questions to a real Consul and to us, over the same catalogue: what differs is a bug.

Compared are header flags, rcode and each section as a multiset of records with their TTLs; the SOA
serial, which is the time, is left out. Where a reply picks some of many, only counts are compared.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections import Counter

import pytest
from dnslib import QTYPE, DNSRecord
from dnsworld.fixture import FIXTURE, row, svc
from dnsworld.world import FixtureRegistry, World, question

from acceptance import processes
from lictor.dns.options import DNSOptions, SOAOptions

pytestmark = pytest.mark.skipif(
    processes.consul_binary() is None, reason="no real Consul; see tests/acceptance/get_peers.sh"
)

EXTRA = [
    row("meta2", "10.0.0.50", svc("twice", 1, ID="t1"), NodeMeta={"a": "1"}),
    row("meta2", "10.0.0.50", svc("twice", 2, ID="t2")),
    row("meta2", "10.0.0.50", svc("mixedalias", 3, ID="x1")),
    row("meta2", "10.0.0.50", svc("mixedalias", 3, ID="x2", Address="alias.example.net")),
    row("foo", "10.0.0.1", svc("v4ta", 5, Address="10.7.7.7", TaggedAddresses={
        "lan_ipv4": {"Address": "10.7.7.8", "Port": 6}}), SkipNodeUpdate=True),
    row("sn", "10.0.0.51", svc("up.dotted", 5)),
    row("dns--odd!", "10.0.0.52", svc("odd", 5)),
    row("l" * 60, "10.0.0.53", svc("longnode", 5)),
    row("mapped", "::ffff:10.0.0.54", svc("mapped", 5)),
    row("Trail", "trail.example.com.", svc("trail", 5)),
    row("toalias", "10.0.0.55", svc("tonode", 5, Address="foo.node.consul")),
    row("aliasnode", "foo.node.consul", svc("viaalias", 5)),
    row("aliasloop", "aliasloop.node.consul", svc("vialoop", 5)),
    row("tomany", "10.0.0.56", svc("tomany", 5, Address="many.service.consul")),
    row("weigh", "10.0.0.57", svc("weigh", 5, Weights={"Passing": 7, "Warning": 0})),
    row("weigh", "10.0.0.57", check={"CheckID": "c", "Name": "c", "Status": "warning"}),
    row("strange", "10.0.0.58", svc("strange", 5, Weights={"Passing": 7, "Warning": 5})),
    row("strange", "10.0.0.58", check={"CheckID": "c", "Name": "c", "Status": "warning"}),
    row("strange", "10.0.0.58", check={"CheckID": "d", "Name": "d", "Status": "odd"}),
]  # fmt: skip

SERVICES = [
    "web",
    "extaddr",
    "intc",
    "selfc",
    "loop1",
    "web6",
    "mixed6",
    "extsvc",
    "critsvc",
    "warnsvc",
    "ncsvc",
    "dup",
    "UpSvc",
    "under_svc",
    "noport",
    "db",
    "db-proxy",
    "tasvc",
    "same",
    "nosuch",
    "twice",
    "mixedalias",
    "v4ta",
    "up.dotted",
    "odd",
    "longnode",
    "mapped",
    "trail",
    "tonode",
    "viaalias",
    "vialoop",
    "weigh",
    "strange",
    "*",
    "consul",
]
NODES = [
    "foo",
    "bar",
    "v6",
    "ext",
    "crit",
    "Upper",
    "dot.node",
    "under_score",
    "ta",
    "n1",
    "N1",
    "nosuch",
    "dns--odd!",
    "mapped",
    "trail",
    "aliasnode",
    "aliasloop",
]
NODES += ["l" * 60]
TYPES = ["A", "AAAA", "SRV", "ANY", "TXT", "CNAME", "MX", "NS", "SOA", "PTR", "AXFR", "IXFR"]
NAMES = [
    "consul",
    "service.consul",
    "node.consul",
    "addr.consul",
    "foo.consul",
    "connect.consul",
    "v1.web.service.consul",
    "V2.web.service.consul",
    "a.b.web.service.consul",
    "v9.web.service.consul",
    "_web._tcp.service.consul",
    "_web._udp.service.consul",
    "_web._v1.service.consul",
    "_web._tcp.consul",
    "_web._tcp.dc1.consul",
    "_web._tcp.dc2.consul",
    "_web.service.consul",
    "_web.consul",
    "a._web._tcp.service.consul",
    "web._tcp.service.consul",
    "_v1.web.service.consul",
    "web.service.dc1.consul",
    "WEB.SERVICE.DC1.CONSUL",
    "web.service.dc2.consul",
    "foo.node.dc1.consul",
    "foo.node.dc9.consul",
    "web.service.a.b.consul",
    "web.service.a.b.c.consul",
    "selfc.service.dc1.consul",
    "web.node.service.consul",
    "service.service.consul",
    "web.service.service.consul",
    "0a000001.addr.consul",
    "0A0000FF.addr.dc1.consul",
    "0a000001.addr.x.dc7.consul",
    "0a0000.addr.consul",
    "0a00000102.addr.consul",
    "word.addr.consul",
    "x.word.addr.consul",
    "0" * 33 + ".addr.consul",
    "g" * 32 + ".addr.consul",
    "0a0000010.addr.consul",
    "zz000001.addr.consul",
    "x.0a000001.addr.consul",
    "20010db8000000000000000000000077.addr.consul",
    "00.addr.consul",
    "1.0.0.10.in-addr.arpa",
    "1.0.0.127.in-addr.arpa",
    "9.9.9.10.in-addr.arpa",
    "8.8.8.10.in-addr.arpa",
    "200.200.200.10.in-addr.arpa",
    "0.0.10.in-addr.arpa",
    "x.1.0.0.10.in-addr.arpa",
    "foo.arpa",
    "arpa",
    "40.0.0.10.in-addr.arpa",
    "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
    "7.7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.IP6.arpa",
    "8.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
    "nosuch.query.consul",
    "nosuch.query.a.b.consul",
    "query.consul",
    "nope.ingress.consul",
    "db.virtual.consul",
    "www.example.com",
    "fooconsul",
]
NAMES += [
    *(f"{service}.service.consul" for service in SERVICES),
    *(f"{node}.node.consul" for node in NODES),
    *(f"{name}.connect.consul" for name in ("db", "web", "x.y.db", "nosuch")),
    ".",
    "",
    "0" * 34 + ".addr.consul",
]

ASKED = [
    {"tcp": False, "edns": None},
    {"tcp": True, "edns": None},
    {"tcp": False, "edns": 1232},
]


def exchange(port, packet, *, tcp):
    if tcp:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
            stream.sendall(len(packet).to_bytes(2) + packet)
            reader = stream.makefile("rb")
            return reader.read(int.from_bytes(reader.read(2)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.settimeout(5)
        endpoint.sendto(packet, ("127.0.0.1", port))
        return endpoint.recv(65535)


def shown(record):
    data = str(record.rdata)
    if record.rtype == QTYPE.SOA:
        words = data.split()
        data = " ".join([*words[:2], "now", *words[3:]])
    if record.rtype == QTYPE.OPT:
        return f"OPT {record.rclass} {record.ttl} {record.rdata}"
    return f"{record.rname} {record.ttl} {QTYPE[record.rtype]} {data}"


def seen(wire):
    """What is compared of a reply."""
    reply = DNSRecord.parse(wire)
    sections = [sorted(map(shown, part)) for part in (reply.rr, reply.auth, reply.ar)]
    return {
        "flags": wire[2:4].hex(),
        "question": str(reply.q.qname) + QTYPE[reply.q.qtype],
        "answer": sections[0],
        "authority": sections[1],
        "additional": sections[2],
    }


def counts(wire):
    return wire[2:4].hex(), wire[4:12].hex(), len(wire)


def fits_alike(theirs, ours, edns):
    """Whether both hold as much. Theirs forgets its OPT record and may be too long; ours is not."""
    size = max(edns or 0, 512)
    if edns is not None and len(theirs) > size:
        return len(ours) <= size
    return counts(theirs) == counts(ours)


def start(directory, *arguments):
    agent = processes.consul(directory, name="n1", arguments=arguments)
    agent.start()
    try:
        for body in (*FIXTURE, *EXTRA):
            agent.put("/v1/catalog/register", body)
    except BaseException:
        agent.kill()
        raise
    return agent


def our_registry(agent):
    """Ours with the same catalogue, the server's own entry as the real one has it."""
    with processes.bounded("the server's own metadata", seconds=10) as attempts:
        for _ in attempts:
            node = next(n for n in agent.get("/v1/catalog/nodes") if n["Node"] == "n1")
            if node["Meta"]:
                break
    server = row(
        "n1",
        node["Address"],
        svc("consul", agent.ports.server),
        NodeMeta=node["Meta"],
        TaggedAddresses=node["TaggedAddresses"],
    )
    registry = FixtureRegistry()
    registry.register(server)
    for body in EXTRA:
        if body["Node"] == "foo":
            body = {**body, "NodeMeta": FIXTURE[0]["NodeMeta"]}
        registry.register(body)
    return registry


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    agent = start(tmp_path_factory.mktemp("oracle"))
    yield agent
    agent.stop()


def differences(agent, world, names, types, ways):
    found = []
    for name, qtype, way in itertools.product(names, types, ways):
        packet = question(name, qtype, edns=way["edns"])
        theirs = exchange(agent.ports.dns, packet, tcp=way["tcp"])
        ours = world.send(packet, tcp=way["tcp"])
        if seen(theirs) != seen(ours):
            found.append((name, qtype, way, seen(theirs), seen(ours)))
    return found


def test_every_name_and_type_is_answered_alike(oracle):
    world = World(registry=our_registry(oracle))
    assert differences(oracle, world, NAMES, TYPES, ASKED) == []


SIZES = [
    0,
    100,
    512,
    513,
    600,
    777,
    900,
    1024,
    1031,
    1032,
    1100,
    1232,
    1300,
    1400,
    1452,
    1500,
    4096,
    65535,
]


@pytest.mark.parametrize("qtype", ["A", "SRV", "ANY"])
@pytest.mark.parametrize(
    "name", ["many.service.consul", "many.service.dc1.consul", "tomany.service.consul"]
)
def test_as_much_fits_as_there(oracle, name, qtype):
    world = World(registry=our_registry(oracle))
    found = []
    for edns in [None, *SIZES]:
        for options in (b"", b"\0\x08\0\x07\0\1\x18\0\1\2\3") if edns is not None else (b"",):
            packet = question(name, qtype, edns=edns, options=options)
            theirs = exchange(oracle.ports.dns, packet, tcp=False)
            ours = world.send(packet)
            if not fits_alike(theirs, ours, edns):
                found.append((edns, options, counts(theirs), counts(ours)))
    packet = question(name, qtype)
    theirs = exchange(oracle.ports.dns, packet, tcp=True)
    ours = world.send(packet, tcp=True)
    assert counts(theirs) == counts(ours)
    assert found == []


NAME = b"\6nosuch\7service\6consul\0\0\1\0\1"
RECORD = b"\1a\0\0\1\0\1\0\0\0\5\0\4\1\2\3\4"


def raw(flags=0x0100, counts=(1, 0, 0, 0), body=NAME):
    return struct.pack("!HHHHHH", 0x1234, flags, *counts) + body


def with_option(code, data):
    option = struct.pack("!HH", code, len(data)) + data
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(option)) + option
    return raw(counts=(1, 0, 0, 1), body=NAME + opt)


ODD_PACKETS = [
    *(raw(flags=flags) for flags in (0x0170, 0x0780, 0x0105, 0x2100, 0x2900, 0x1100, 0x2FF5)),
    raw(flags=0x7900),
    raw(counts=(0, 0, 0, 0)),
    raw(flags=0x07F5, counts=(0, 0, 0, 0)),
    raw(flags=0x2100, counts=(0, 0, 0, 0)),
    raw(counts=(2, 0, 0, 0), body=NAME * 2),
    raw(body=NAME + b"trailing"),
    raw(counts=(1, 1, 0, 0)),
    raw(counts=(1, 1, 0, 0), body=NAME + RECORD),
    raw(counts=(1, 1, 0, 0), body=NAME + RECORD[:-2]),
    raw(counts=(1, 2, 0, 0), body=NAME + RECORD * 2),
    raw(counts=(1, 0, 2, 0), body=NAME + RECORD * 2),
    raw(counts=(1, 0, 0, 2), body=NAME + RECORD * 2),
    raw(counts=(1, 0, 0, 3), body=NAME + RECORD * 3),
    raw(body=b"\xc0\x0c\0\1\0\1"),
    raw(body=b"\x80\x0c\0\1\0\1"),
    raw(body=NAME[:-1] + b"\3"),
    raw(body=NAME[:-1] + b"\xff"),
    raw(counts=(1, 0, 0, 2), body=NAME + 2 * (b"\0" + struct.pack("!HHIH", 41, 700, 0x18000, 0))),
    *(
        with_option(8, data)
        for data in (
            b"\0\1\x18\0\1\2\3", b"\0\1\x14\0\1\2\xff\4", b"\0\0\0\0", b"\0\0\0\0\1", b"\0\3\0\0",
            b"\0\1\x21\0\1\2\3\4", b"\0\1", b"\0\1\x18\x10\1\2\3", b"\0\1\x18\0\1",
            b"\0\2\x38\0\1\2\3\4\5\6\7",
        )
    ),
    with_option(3, b""),
    with_option(10, b"12345678"),
]  # fmt: skip


def test_odd_packets_are_answered_alike(oracle):
    world = World(registry=our_registry(oracle))

    def without_serial(wire):
        at = wire.find(b"\nhostmaster\xc0")
        return wire if at < 0 else wire[: at + 13] + wire[at + 17 :]

    found = []
    for packet in ODD_PACKETS:
        theirs = without_serial(exchange(oracle.ports.dns, packet, tcp=False))
        ours = without_serial(world.send(packet))
        if theirs != ours:
            found.append((packet, theirs, ours))
    assert found == []


OTHER_SETTINGS = """
dns_config {
  service_ttl { "web" = "11s" "many*" = "12s" "*" = "5s" "ma*" = "3s" "UpSvc" = "8s" }
  node_ttl = "30s"
  only_passing = true
  enable_truncate = true
  disable_compression = true
  a_record_limit = 2
  udp_answer_limit = 20
  enable_additional_node_meta_txt = false
  soa { refresh = 10 retry = 20 expire = 30 min_ttl = 40 }
}
"""
OTHER_OPTIONS = DNSOptions(
    service_ttl={"web": 11.0, "many*": 12.0, "*": 5.0, "ma*": 3.0, "UpSvc": 8.0},
    node_ttl=30.0,
    only_passing=True,
    enable_truncate=True,
    disable_compression=True,
    a_record_limit=2,
    udp_answer_limit=20,
    enable_additional_node_meta_txt=False,
    soa=SOAOptions(refresh=10, retry=20, expire=30, min_ttl=40),
)


def test_other_settings_are_answered_alike(tmp_path):
    agent = start(
        tmp_path / "other",
        "-domain=corp.example",
        "-alt-domain=test.example",
        f"-hcl={OTHER_SETTINGS}",
    )
    try:
        world = World(
            registry=our_registry(agent),
            options=OTHER_OPTIONS,
            domain="corp.example",
            alt_domain="test.example",
        )
        domains = [name.replace("consul", "corp.example") for name in NAMES]
        domains += [name.replace("consul", "test.example") for name in NAMES if "web" in name]
        unlike = [name for name in domains if "many" not in name]
        assert (
            differences(agent, world, unlike, ["A", "SRV", "ANY", "AAAA", "NS", "SOA"], ASKED) == []
        )
        found = Counter()
        for qtype, edns, tcp in itertools.product(["A", "SRV"], [None, *SIZES], [False, True]):
            packet = question("many.service.corp.example", qtype, edns=edns)
            theirs = exchange(agent.ports.dns, packet, tcp=tcp)
            ours = world.send(packet, tcp=tcp)
            if not fits_alike(theirs, ours, None if tcp else edns):
                found[qtype, edns, tcp, counts(theirs), counts(ours)] += 1
        assert not found
    finally:
        agent.stop()
