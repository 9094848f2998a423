"""Messages as bytes: what is read, what is refused, what is written."""

import contextlib
import struct

import pytest
from dnslib import DNSRecord
from dnsworld.world import World, question, shared_registry
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lictor.dns.errors import BadName, MalformedMessage
from lictor.dns.names import ROOT, from_labels, from_text, labels
from lictor.dns.records import (
    A,
    Record,
    cname,
    ns,
    parse_ip,
    ptr,
    soa,
    srv,
    texts_of_meta,
)
from lictor.dns.records import address as address_record
from lictor.dns.wire import (
    EDNS,
    Query,
    Rejected,
    Subnet,
    build_query,
    build_reply,
    parse_query,
    parse_reply,
    read_name,
    uncompressed_size,
)

NAME = from_text("web.service.consul")
TYPE_CLASS = b"\0\1\0\1"
RECORD = from_text("a.b") + struct.pack("!HHIH", 1, 1, 5, 4) + b"\1\2\3\4"


def packet(flags=0x0100, counts=(1, 0, 0, 0), body=NAME + TYPE_CLASS):
    return struct.pack("!HHHHHH", 0x1234, flags, *counts) + body


def opt(data=b"", size=1232, owner=ROOT):
    return owner + struct.pack("!HHIH", 41, size, 0, len(data)) + data


def option(code, data):
    return struct.pack("!HH", code, len(data)) + data


def with_opt(data=b""):
    return packet(counts=(1, 0, 0, 1), body=NAME + TYPE_CLASS + opt(data))


# -- questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 11, packet(flags=0x8100)], ids=["empty", "short", "a reply"]
)
def test_what_is_no_question_gets_no_reply(data):
    assert parse_query(data) == Rejected(None)


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        (packet(counts=(0, 0, 0, 0)), 0x8101),
        (packet(counts=(2, 0, 0, 0), body=(NAME + TYPE_CLASS) * 2), 0x8101),
        (packet(flags=0x07F5, counts=(0, 0, 0, 0)), 0x83B1),
        (packet(counts=(1, 2, 0, 0)), 0x8101),
        (packet(counts=(1, 0, 2, 0)), 0x8101),
        (packet(counts=(1, 0, 0, 3)), 0x8101),
        (packet(body=b""), 0x8101),
        (packet(body=b"\xc0\x0c" + TYPE_CLASS), 0x8101),
        (packet(body=b"\x80\x0c" + TYPE_CLASS), 0x8101),
        (packet(body=NAME + b"\0"), 0x8101),
        (packet(body=b"\x3fab"), 0x8101),
        (packet(flags=0x2900), 0xA904),
        (packet(flags=0x1100), 0x9104),
        (packet(flags=0x2FF5), 0xABB4),
        (packet(flags=0x7900), 0xF904),
    ],
)
def test_bad_questions_get_a_bare_header(data, flags):
    """As Consul 1.8.7 was seen to answer; NOTIMP keeps the opcode, FORMERR does not."""
    assert parse_query(data) == Rejected(struct.pack("!HHHHHH", 0x1234, flags, 0, 0, 0, 0))


@pytest.mark.parametrize(
    "data",
    [
        packet(counts=(1, 1, 0, 0), body=NAME + TYPE_CLASS + RECORD[:-2]),
        packet(counts=(1, 0, 0, 1), body=NAME + TYPE_CLASS + b"\0\0"),
        with_opt(b"\0\x08\0\x09"),
        with_opt(b"\0\x08\0"),
        with_opt(option(8, b"\0\3\0\0")),
        with_opt(option(8, b"\0\1\x21\0\1\2\3\4")),
        with_opt(option(8, b"\0\1")),
        with_opt(option(8, b"\0\0\1\0")),
    ],
)
def test_a_bad_record_gets_its_question_back(data):
    rejected = parse_query(data)
    assert rejected.reply == struct.pack("!HHHHHH", 0x1234, 0x8101, 1, 0, 0, 0) + NAME + TYPE_CLASS


@pytest.mark.parametrize(
    "data",
    [
        packet(),
        packet(body=NAME + TYPE_CLASS + b"trailing"),
        packet(counts=(1, 1, 0, 0)),
        packet(counts=(1, 1, 1, 0), body=NAME + TYPE_CLASS + RECORD * 2),
        packet(counts=(1, 0, 0, 2), body=NAME + TYPE_CLASS + RECORD * 2),
        packet(flags=0x2100),
    ],
)
def test_more_than_needed_is_passed_over(data):
    query = parse_query(data)
    assert isinstance(query, Query)
    assert (query.name, query.qtype, query.edns) == (NAME, A, None)
    assert query.question == NAME + TYPE_CLASS


@pytest.mark.parametrize(
    ("data", "subnet"),
    [
        (b"", None),
        (option(3, b""), None),
        (option(10, b"12345678") + option(8, b"\0\1\x18\0\1\2\3"), Subnet(1, 24, b"\1\2\3")),
        (option(8, b"\0\1\x14\0\1\2\xff\4"), Subnet(1, 20, b"\1\2\xf0")),
        (option(8, b"\0\1\x18\0\1"), Subnet(1, 24, b"\1\0\0")),
        (option(8, b"\0\1\x18\x10\1\2\3\4\5\6"), Subnet(1, 24, b"\1\2\3")),
        (option(8, b"\0\2\x38\0\x20\1\x0d\xb8\0\1\2"), Subnet(2, 56, b"\x20\1\x0d\xb8\0\1\2")),
        (option(8, b"\0\0\0\0\1"), Subnet(0, 0, b"")),
    ],
)
def test_edns_is_read(data, subnet):
    query = parse_query(with_opt(data))
    assert query.edns == EDNS(1232, subnet)


def test_the_last_of_two_opt_records_counts():
    body = NAME + TYPE_CLASS + opt() + opt(size=700)
    assert parse_query(packet(counts=(1, 0, 0, 2), body=body)).edns.size == 700


def test_an_opt_record_elsewhere_does_not():
    assert parse_query(packet(counts=(1, 1, 0, 0), body=NAME + TYPE_CLASS + opt())).edns is None


# -- names ----------------------------------------------------------------------------------------


def test_pointers_lead_back_only():
    data = b"\3foo\0\3bar\xc0\0"
    assert read_name(data, 5) == (b"\3bar\3foo\0", 11)
    for bad in (b"\xc0\0", b"\1a\xc0\0", b"\xc0\2\xc0\0", b"\xc0"):
        with pytest.raises(MalformedMessage):
            read_name(bad, 0)


def test_a_name_of_pointers_to_pointers_ends():
    data = b"\0" + b"".join(struct.pack("!H", 0xC000 | max(0, 2 * n - 1)) for n in range(500))
    assert read_name(data, len(data) - 2)[0] == ROOT


@pytest.mark.parametrize("text", ["a..b", "", "." * 3, "x" * 64, ".".join(["y" * 49] * 6)])
def test_texts_that_are_no_names(text):
    with pytest.raises(BadName):
        from_text(text)


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8))
@settings(derandomize=True)
def test_names_survive_the_wire(parts):
    name = from_labels(parts)
    assert labels(name) == parts
    assert read_name(name, 0) == (name, len(name))


# -- replies --------------------------------------------------------------------------------------

names = st.lists(
    st.sampled_from([b"a", b"B", b"b", b"web", b"node", b"dc1", b"consul"]), min_size=1, max_size=6
).map(from_labels)
records = st.one_of(
    st.builds(address_record, names, st.just(3), st.just(parse_ip("10.0.0.1"))),
    st.builds(address_record, names, st.just(3), st.just(parse_ip("2001:db8::1"))),
    st.builds(cname, names, st.just(4), names),
    st.builds(ns, names, st.just(4), names),
    st.builds(ptr, names, names),
    st.builds(srv, names, st.just(5), weight=st.integers(0, 65535), port=st.just(80), target=names),
    st.builds(
        soa, names, st.just(6), primary=names, mailbox=names, numbers=st.just((1, 2, 3, 4, 5))
    ),
    st.builds(lambda name: texts_of_meta(name, 7, {"k": "v"})[0], names),
)
sections = st.tuples(*[st.lists(records, max_size=12)] * 3)


def reply(parts, *, compress, opt=b""):
    return build_reply(parse_query(packet()), 0x8500, parts, opt=opt, compress=compress)


def fully(record):
    """A record as dnslib spells it, letter case and all."""
    return (str(record.rname), record.rtype, record.ttl, str(record.rdata))


@given(sections)
@settings(derandomize=True, max_examples=20)
def test_compressed_or_not_a_reply_says_the_same(parts):
    plain, packed = (DNSRecord.parse(reply(parts, compress=way)) for way in (False, True))
    for name in ("rr", "auth", "ar"):
        assert list(map(fully, getattr(plain, name))) == list(map(fully, getattr(packed, name)))
    assert [len(plain.rr), len(plain.auth), len(plain.ar)] == [len(part) for part in parts]


@given(sections)
@settings(derandomize=True, max_examples=20)
def test_the_size_is_known_before(parts):
    expected = 12 + len(NAME) + 4 + sum(uncompressed_size(r) for part in parts for r in part)
    assert len(reply(parts, compress=False)) == expected
    assert len(reply(parts, compress=True)) <= expected


def test_an_srv_target_is_whole_and_can_be_pointed_to():
    """RFC 2782: "Unless and until permitted by future standards action, name compression is not
    to be used for this field."
    """
    target = from_text("foo.node.consul")
    glue = address_record(target, 0, parse_ip("10.0.0.1"))
    data = reply(([srv(NAME, 0, weight=1, port=80, target=target)], [], [glue]), compress=True)
    assert target in data
    assert data.endswith(struct.pack("!H", 0xC000 | data.index(target)) + glue_tail(glue))


def glue_tail(record):
    return struct.pack("!HHIH", 1, 1, record.ttl, 4) + record.head


def test_names_past_the_reach_of_pointers_are_whole():
    many = [cname(from_text(f"n{n}.x"), 0, from_text(f"t{n}.y")) for n in range(2000)]
    data = reply((many, [], []), compress=True)
    assert len(data) > 0x4000
    parsed = DNSRecord.parse(data)
    assert [str(record.rname) for record in parsed.rr] == [f"n{n}.x." for n in range(2000)]


@given(st.data())
@settings(derandomize=True, max_examples=20)
def test_upstream_replies_are_read_or_refused(data):
    parts = data.draw(sections)
    wire = bytearray(reply(parts, compress=True))
    message = parse_reply(bytes(wire))
    assert all(isinstance(record, Record) for record in message.answers)
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedMessage):
        parse_reply(bytes(wire[: data.draw(st.integers(0, len(wire)))]))


def test_a_query_of_ours_is_one_that_we_read():
    query = parse_query(build_query(7, NAME, A))
    assert (query.id, query.name, query.qtype, query.recursion_desired) == (7, NAME, A, True)


# -- whatever comes in ----------------------------------------------------------------------------

SEEDS = [
    question("web.service.consul", "SRV", edns=1232, options=option(8, b"\0\1\x18\0\1\2\3")),
    question("many.service.consul", "SRV"),
    question("foo.node.consul", "ANY", edns=512),
    question("1.0.0.10.in-addr.arpa", "PTR"),
    question("consul", "SOA"),
    question("_web._tcp.consul", "SRV"),
    question("0a000001.addr.consul", "A"),
    question("intc.service.consul", "A"),
]


@st.composite
def mutated(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 3))
        data[at : at + cut] = draw(st.binary(max_size=4))
    return bytes(data)


def allowed(data, *, tcp):
    """Bytes that a reply may have at most."""
    if tcp:
        return 65535
    query = parse_query(data)
    return max(512, query.edns.size if isinstance(query, Query) and query.edns else 0)


@pytest.mark.slow
@given(st.one_of(mutated(), st.binary(max_size=100)), st.booleans())
@example(SEEDS[0][:-1], False)
@settings(derandomize=True, max_examples=600)
def test_no_packet_is_answered_too_long_or_breaks_anything(data, tcp):
    world = World(registry=shared_registry())
    answer = world.send(data, tcp=tcp)
    if answer is None:
        return
    assert answer[:2] == data[:2]
    assert answer[2] & 0x80
    assert len(answer) <= allowed(data, tcp=tcp)
    assert sum(world.metrics.resolved.values()) == 1
    assert world.metrics.resolved[2] == (answer[3] & 0xF == 2)
    assert not (answer[2] & 4 and answer[3] & 0xF == 2), "the resolver broke"
    query = parse_query(data)
    if isinstance(query, Query) and query.name.isascii():  # dnslib reads no others
        DNSRecord.parse(answer)
