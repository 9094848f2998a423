"""The cases that were put to a real Consul 1.8.7 over fixture F, and what it said.

A row is a question, the rcode, how many records each section has, and the answers without order.
"""

import pytest
from dnslib import QTYPE
from dnsworld.world import World, flags, short

from lictor.dns.options import DNSOptions, SOAOptions

SOA_TEXT = "SOA ns.consul. hostmaster.consul. 1700000100 3600 600 86400 0"
NS_TEXT = "NS n1.node.dc1.consul."
WEB_A = ["A 10.0.0.1", "A 10.9.9.9"]
WEB_SRV = ["SRV 1 1 80 foo.node.dc1.consul.", "SRV 1 7 81 0a090909.addr.dc1.consul."]
FOO_TXT = ['TXT "` lead=x"', 'TXT "env=prod"', 'TXT "k`=1=a``b"', 'TXT "v=spf1"']
CNAME_EXT = ["CNAME www.example.com."]
NOERROR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 2, 3, 4, 5

ROWS = [
    # -- services
    ("web.service.consul", "A", NOERROR, (2, 0, 0), WEB_A),
    ("web.service.consul", "SRV", NOERROR, (2, 0, 6), WEB_SRV),
    ("web.service.consul", "AAAA", NOERROR, (0, 1, 0), []),
    ("web.service.consul", "ANY", NOERROR, (2, 0, 0), WEB_A),
    ("web.service.consul", "TXT", NOERROR, (2, 0, 0), WEB_A),
    ("web.service.consul", "CNAME", NOERROR, (0, 1, 0), []),
    ("web.service.consul", "MX", NOERROR, (0, 1, 0), []),
    ("web.service.consul", "HTTPS", NOERROR, (0, 1, 0), []),
    ("web.service.consul", "SOA", NOERROR, (1, 1, 1), [SOA_TEXT]),
    ("web.service.consul", "NS", NOERROR, (1, 0, 1), [NS_TEXT]),
    ("consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("consul", "ANY", NXDOMAIN, (0, 1, 0), []),
    ("consul", "SOA", NOERROR, (1, 1, 1), [SOA_TEXT]),
    ("service.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("nosuch.service.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("nosuch.service.consul", "SRV", NXDOMAIN, (0, 1, 0), []),
    ("nosuch.service.consul", "SOA", NOERROR, (1, 1, 1), [SOA_TEXT]),
    ("*.service.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("v1.web.service.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("V1.WEB.Service.CONSUL", "A", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("primary.web.service.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("a.b.web.service.consul", "SRV", NOERROR, (1, 0, 1), WEB_SRV[1:]),
    ("v9.web.service.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("_web._tcp.service.consul", "SRV", NOERROR, (2, 0, 6), WEB_SRV),
    ("_web._TCP.service.consul", "SRV", NOERROR, (2, 0, 6), WEB_SRV),
    ("_web._udp.service.consul", "SRV", NXDOMAIN, (0, 1, 0), []),
    ("_web._v1.service.consul", "SRV", NOERROR, (1, 0, 5), WEB_SRV[:1]),
    ("_web._v1.service.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("_web._tcp.consul", "SRV", NOERROR, (2, 0, 6), WEB_SRV),
    ("_web._tcp.dc1.consul", "SRV", NOERROR, (2, 0, 6), WEB_SRV),
    ("_web._tcp.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("_web.service.consul", "SRV", NXDOMAIN, (0, 1, 0), []),
    ("a._web._tcp.service.consul", "SRV", NXDOMAIN, (0, 1, 0), []),
    ("web.service.dc1.consul", "SRV", NOERROR, (2, 0, 6), WEB_SRV),
    ("web.service.dc2.consul", "A", NXDOMAIN, (0, 1, 0), []),
    # -- where the reference names a later feature, it decides: 1.8.7 says NXDOMAIN
    ("web.service.dc1.dc.consul", "A", NOERROR, (2, 0, 0), WEB_A),
    ("web.service.dc2.dc.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("web.service.default.ns.dc1.dc.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("web.service.default.dc1.consul", "A", NXDOMAIN, (0, 1, 0), []),
    # -- nodes
    ("foo.node.consul", "A", NOERROR, (1, 0, 4), ["A 10.0.0.1"]),
    ("foo.node.consul", "AAAA", NOERROR, (0, 0, 4), []),
    ("foo.node.consul", "ANY", NOERROR, (5, 0, 0), ["A 10.0.0.1", *FOO_TXT]),
    ("foo.node.consul", "TXT", NOERROR, (4, 0, 0), FOO_TXT),
    ("foo.node.consul", "SRV", NOERROR, (0, 0, 0), []),
    ("foo.node.consul", "MX", NOERROR, (0, 0, 0), []),
    ("foo.node.consul", "CNAME", NOERROR, (0, 0, 0), []),
    ("nosuch.node.consul", "SRV", NOERROR, (0, 0, 0), []),
    ("nosuch.node.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("nosuch.node.consul", "AAAA", NXDOMAIN, (0, 1, 0), []),
    ("foo.node.dc9.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("dot.node.node.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.10"]),
    ("v6.node.consul", "A", NOERROR, (0, 0, 0), []),
    ("v6.node.consul", "AAAA", NOERROR, (1, 0, 0), ["AAAA 2001:db8::5"]),
    ("ext.node.consul", "A", NOERROR, (1, 0, 0), CNAME_EXT),
    ("ext.node.consul", "AAAA", NOERROR, (1, 0, 0), CNAME_EXT),
    ("ext.node.consul", "ANY", NOERROR, (1, 0, 0), CNAME_EXT),
    ("ext.node.consul", "CNAME", NOERROR, (0, 0, 0), []),
    ("ext.node.consul", "TXT", NOERROR, (0, 0, 0), []),
    ("nodecrit.node.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.7"]),
    ("under_score.node.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.11"]),
    ("ta.node.consul", "ANY", NOERROR, (1, 0, 0), ["AAAA 2001:db8::14"]),
    # -- targets, glue and families
    ("web6.service.consul", "SRV", NOERROR, (1, 0, 1), ["SRV 1 1 86 v6.node.dc1.consul."]),
    (
        "mixed6.service.consul",
        "SRV",
        NOERROR,
        (1, 0, 1),
        ["SRV 1 1 87 20010db8000000000000000000000077.addr.dc1.consul."],
    ),
    ("mixed6.service.consul", "A", NOERROR, (0, 1, 0), []),
    ("UpSvc.service.consul", "SRV", NOERROR, (1, 0, 1), ["SRV 1 1 1003 Upper.node.dc1.consul."]),
    ("noport.service.consul", "SRV", NOERROR, (1, 0, 1), ["SRV 1 1 0 noport.node.dc1.consul."]),
    ("same.service.consul", "SRV", NOERROR, (1, 0, 1), ["SRV 1 1 1008 0a000028.addr.dc1.consul."]),
    ("dup.service.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.8"]),
    (
        "dup.service.consul",
        "SRV",
        NOERROR,
        (2, 0, 2),
        ["SRV 1 1 1001 dup.node.dc1.consul.", "SRV 1 1 1002 dup.node.dc1.consul."],
    ),
    ("tasvc.service.consul", "A", NOERROR, (1, 0, 0), ["A 10.8.8.8"]),
    ("tasvc.service.consul", "AAAA", NOERROR, (1, 0, 0), ["AAAA 2001:db8::88"]),
    (
        "tasvc.service.consul",
        "SRV",
        NOERROR,
        (1, 0, 1),
        ["SRV 1 1 1006 20010db8000000000000000000000088.addr.dc1.consul."],
    ),
    # -- addresses in names
    ("0a000001.addr.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("0A0000FF.addr.dc1.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.255"]),
    ("0a000001.addr.x.dc7.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("0a000001.addr.consul", "AAAA", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("0a000001.addr.consul", "SRV", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("0a000001.addr.consul", "MX", NOERROR, (1, 0, 0), ["A 10.0.0.1"]),
    ("0a0000.addr.consul", "A", NOERROR, (0, 0, 0), []),
    ("0a00000102.addr.consul", "A", NOERROR, (0, 0, 0), []),
    ("0a0000010.addr.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("word.addr.consul", "A", NOERROR, (0, 0, 0), []),
    ("zz000001.addr.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("x.0a000001.addr.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("addr.consul", "A", NXDOMAIN, (0, 1, 0), []),
    # -- reverse
    ("1.0.0.10.in-addr.arpa", "PTR", NOERROR, (1, 0, 0), ["PTR foo.node.dc1.consul."]),
    ("1.0.0.127.in-addr.arpa", "PTR", NOERROR, (1, 0, 0), ["PTR n1.node.dc1.consul."]),
    (
        "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        "PTR",
        NOERROR,
        (1, 0, 0),
        ["PTR v6.node.dc1.consul."],
    ),
    ("9.9.9.10.in-addr.arpa", "PTR", NOERROR, (1, 0, 0), ["PTR web.service.dc1.consul."]),
    (
        "7.7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        "PTR",
        NOERROR,
        (1, 0, 0),
        ["PTR mixed6.service.dc1.consul."],
    ),
    ("1.0.0.10.in-addr.arpa", "A", NOERROR, (1, 0, 0), ["PTR foo.node.dc1.consul."]),
    ("1.0.0.10.in-addr.arpa", "SOA", NOERROR, (1, 1, 0), ["PTR foo.node.dc1.consul."]),
    # -- the mesh
    ("db.connect.consul", "SRV", NOERROR, (1, 0, 1), ["SRV 1 1 21000 cn.node.dc1.consul."]),
    ("x.y.db.connect.consul", "SRV", NOERROR, (1, 0, 1), ["SRV 1 1 21000 cn.node.dc1.consul."]),
    ("web.connect.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("nope.ingress.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("db.virtual.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("nosuchq.query.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("q-web.query.a.b.consul", "A", NXDOMAIN, (0, 1, 0), []),
    # -- aliases
    ("extsvc.service.consul", "A", NOERROR, (1, 0, 0), CNAME_EXT),
    ("extsvc.service.consul", "CNAME", NOERROR, (1, 0, 0), CNAME_EXT),
    ("extsvc.service.consul", "TXT", NOERROR, (1, 0, 0), CNAME_EXT),
    ("extsvc.service.consul", "SRV", NOERROR, (1, 0, 0), ["SRV 1 1 443 www.example.com."]),
    ("intc.service.consul", "A", NOERROR, (3, 0, 0), [*WEB_A, "CNAME web.service.consul."]),
    ("intc.service.consul", "AAAA", NOERROR, (3, 0, 0), [*WEB_A, "CNAME web.service.consul."]),
    ("intc.service.consul", "SRV", NOERROR, (1, 0, 2), ["SRV 1 1 445 web.service.consul."]),
    ("selfc.service.consul", "A", NOERROR, (1, 0, 0), ["A 10.0.0.2"]),
    ("selfc.service.consul", "SRV", NOERROR, (1, 0, 1), ["SRV 1 1 446 bar.node.dc1.consul."]),
    (
        "selfc.service.dc1.consul",
        "A",
        NOERROR,
        (2, 0, 0),
        ["A 10.0.0.2", "CNAME selfc.service.consul."],
    ),
    # -- health
    ("critsvc.service.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("ncsvc.service.consul", "A", NXDOMAIN, (0, 1, 0), []),
    ("warnsvc.service.consul", "SRV", NOERROR, (1, 0, 1), ["SRV 1 4 91 warn.node.dc1.consul."]),
    # -- not for us
    ("web.service.consul", "AXFR", NOTIMP, (0, 0, 0), []),
    ("consul", "IXFR", NXDOMAIN, (0, 1, 0), []),
]


@pytest.mark.parametrize(
    ("name", "qtype", "rcode", "counts", "answers"),
    ROWS,
    ids=[f"{row[0]}-{row[1]}" for row in ROWS],
)
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_answers_as_the_oracle_does(name, qtype, rcode, counts, answers, tcp):
    reply = World().ask(name, qtype, tcp=tcp)
    assert reply.header.rcode == rcode
    assert flags(reply) == "qr aa rd"
    assert short(reply.rr) == sorted(answers)
    assert (len(reply.rr), len(reply.auth), len(reply.ar)) == counts
    if rcode == NXDOMAIN:
        assert short(reply.auth) == [SOA_TEXT]
    assert all(record.ttl == 0 for record in (*reply.rr, *reply.auth, *reply.ar))


def test_a_loop_of_aliases_just_stops():
    one, two = "CNAME loop1.service.consul.", "CNAME loop2.service.consul."
    reply = World().ask("loop1.service.consul")
    assert short(reply.rr) == [one, two, two]  # the limit of plain UDP
    reply = World().ask("loop1.service.consul", tcp=True)
    assert short(reply.rr) == [one, one, two, two]
    assert reply.header.rcode == NOERROR


@pytest.mark.parametrize("name", ["www.example.com", "", "fooconsul"])
def test_refuses_what_is_not_ours(name):
    reply = World().ask(name, "A", edns=1232)
    assert (reply.header.rcode, flags(reply)) == (REFUSED, "qr rd")
    assert not (reply.rr)
    assert not (reply.auth)
    assert not (reply.ar)


@pytest.mark.parametrize("name", ["200.200.200.10.in-addr.arpa", "foo.arpa"])
def test_a_reverse_miss_fails_like_a_recursor(name):
    reply = World().ask(name, "PTR")
    assert (reply.header.rcode, flags(reply)) == (SERVFAIL, "qr rd ra")
    assert not (reply.rr)
    assert not (reply.auth)
    assert not (reply.ar)


@pytest.mark.parametrize(
    ("name", "qtype", "owner"),
    [
        ("V1.WEB.Service.CONSUL", "A", "V1.WEB.Service.CONSUL."),
        ("V1.WEB.Service.CONSUL", "SRV", "V1.WEB.Service.CONSUL."),
        ("FOO.node.consul", "A", "FOO.node.consul."),
        ("0A0000FF.addr.dc1.consul", "A", "0a0000ff.addr.dc1.consul."),
        ("web.service.consul", "NS", "consul."),
    ],
)
def test_owners_keep_the_clients_letter_case_where_they_are_its_name(name, qtype, owner):
    reply = World().ask(name, qtype)
    assert {str(record.rname) for record in reply.rr} == {owner}
    assert str(reply.q.qname) == name + "."


def test_recursion_desired_is_copied():
    assert flags(World().ask("web.service.consul", rd=False)) == "qr aa"


def test_plain_udp_gives_three_answers_and_tcp_all():
    assert len(World().ask("many.service.consul").rr) == 3
    assert len(World().ask("many.service.consul", tcp=True).rr) == 30


@pytest.mark.parametrize(
    ("qtype", "edns", "answers", "additional"),
    [
        ("A", 1232, 30, 1),
        ("A", 4096, 30, 1),
        ("SRV", 1232, 21, 22),
        ("SRV", 512, 3, 4),
        ("A", 100, 3, 1),
    ],
)
def test_edns_size_decides_how_much_fits(qtype, edns, answers, additional):
    reply = World().ask("many.service.consul", qtype, edns=edns)
    assert (len(reply.rr), len(reply.ar)) == (answers, additional)
    assert flags(reply) == "qr aa rd"
    opt = [record for record in reply.ar if record.rtype == QTYPE.OPT]
    assert [record.rclass for record in opt] == [edns]


def test_truncation_is_told_when_enabled():
    world = World(options=DNSOptions(enable_truncate=True))
    reply = world.ask("many.service.consul")
    assert (len(reply.rr), flags(reply)) == (3, "qr aa tc rd")
    reply = world.ask("many.service.consul", "SRV", edns=1232)
    assert (len(reply.rr), len(reply.ar), flags(reply)) == (21, 22, "qr aa tc rd")
    assert flags(world.ask("web.service.consul")) == "qr aa rd"


def test_configured_ttls():
    options = DNSOptions(
        service_ttl={"web": 11.0, "many*": 12.0, "*": 5.0}, node_ttl=30.0, soa=SOAOptions()
    )
    world = World(options=options)

    def ttl(name, qtype="A"):
        reply = world.ask(name, qtype)
        return {record.ttl for record in (*reply.rr, *reply.ar)}

    assert ttl("web.service.consul") == {11}
    assert ttl("web.service.consul", "SRV") == {11}
    assert ttl("many.service.consul") == {12}
    assert ttl("dup.service.consul") == {5}
    assert ttl("foo.node.consul") == {30}
    assert ttl("0a000001.addr.consul") == {30}
    assert ttl("consul", "NS") == {30}
    assert ttl("1.0.0.10.in-addr.arpa", "PTR") == {0}


def test_configured_soa():
    soa = SOAOptions(refresh=10, retry=20, expire=30, min_ttl=40)
    reply = World(options=DNSOptions(soa=soa)).ask("nosuch.service.consul")
    assert short(reply.auth)[0].endswith(" 10 20 30 40")
    assert reply.auth[0].ttl == 40


def test_node_metadata_can_be_left_out_of_additional():
    world = World(options=DNSOptions(enable_additional_node_meta_txt=False))
    reply = world.ask("web.service.consul", "SRV")
    assert (len(reply.rr), len(reply.ar)) == (2, 2)
    reply = world.ask("foo.node.consul")
    assert (len(reply.rr), len(reply.ar)) == (1, 0)
    assert len(world.ask("foo.node.consul", "ANY").rr) == 5


def test_the_alternative_domain_answers_in_terms_of_the_first():
    world = World(alt_domain="test-domain")
    reply = world.ask("web.service.test-domain", "SRV")
    assert short(reply.rr) == WEB_SRV
    assert short(world.ask("consul", "NS").rr) == [NS_TEXT]
    reply = world.ask("nosuch.service.test-domain")
    assert short(reply.auth) == [SOA_TEXT]
    assert str(reply.auth[0].rname) == "consul."


def test_the_longer_of_nested_domains_is_stripped_first():
    world = World(alt_domain="test.consul")
    assert short(world.ask("web.service.test.consul").rr) == WEB_A
    assert short(world.ask("web.service.consul").rr) == WEB_A


def test_a_domain_of_several_labels():
    world = World(domain="corp.example")
    assert world.ask("web.service.consul").header.rcode == REFUSED
    reply = world.ask("web.service.corp.example", "SRV")
    assert short(reply.rr)[0] == "SRV 1 1 80 foo.node.dc1.corp.example."


def test_only_passing_hides_what_warns():
    world = World(options=DNSOptions(only_passing=True))
    assert world.ask("warnsvc.service.consul").header.rcode == NXDOMAIN
    assert world.ask("web.service.consul").header.rcode == NOERROR


def test_record_limits():
    world = World(options=DNSOptions(a_record_limit=2, udp_answer_limit=20))
    assert len(world.ask("many.service.consul").rr) == 2
    assert len(world.ask("many.service.consul", tcp=True).rr) == 2
    assert len(world.ask("many.service.consul", "SRV").rr) == 5


SUBNET = b"\0\x08\0\x07\0\1\x18\0\1\2\3"


def test_the_clients_subnet_is_echoed_with_scope_zero():
    from dnsworld.world import question

    packet = question("web.service.consul", edns=1232, options=SUBNET)
    assert World().send(packet).endswith(SUBNET)
    packet = question("nosuch.service.consul", edns=1232, options=SUBNET)
    assert World().send(packet).endswith(SUBNET)
