"""DNS messages as bytes: questions in, replies out, and upstream replies in.

Everything read is bounded by the packet: each step moves forward, and a compression pointer only
points back.

Sources: RFC 1035, section 4 (messages); RFC 6891 (EDNS); RFC 7871 (client subnet); which malformed
packets get which answer as Consul 1.8 was observed to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error
from typing import Final

import msgspec

from .errors import MalformedMessage
from .names import MAX_NAME, ROOT, Name
from .records import CNAME, NS, OPT, PTR, SOA, SRV, Record

HEADER_SIZE: Final = 12
MAX_MESSAGE: Final = 65535

QR: Final = 0x8000
AA: Final = 0x0400
TC: Final = 0x0200
RD: Final = 0x0100
RA: Final = 0x0080
AD: Final = 0x0020
CD: Final = 0x0010
OPCODE: Final = 0x7800

QUERY: Final = 0
NOTIFY: Final = 4

NOERROR: Final = 0
FORMERR: Final = 1
SERVFAIL: Final = 2
NXDOMAIN: Final = 3
NOTIMP: Final = 4
REFUSED: Final = 5

CLIENT_SUBNET: Final = 8
_ADDRESS_BITS: Final = {1: 32, 2: 128}
"""By address family of a client subnet."""

_MAX_OFFSET: Final = 0x3FFF
"""The farthest that a compression pointer reaches."""

_header = Struct("!HHHHHH")
_type_class = Struct("!HH")
_record_head = Struct("!HHIH")
_option_head = Struct("!HH")
_subnet_head = Struct("!HBB")
_short = Struct("!H").pack


class Subnet(msgspec.Struct, frozen=True, gc=False):
    """Where the client's own client is."""

    family: int
    prefix: int
    """Bits."""
    address: bytes
    """As many octets as ``prefix`` needs, the bits past it zero."""


class EDNS(msgspec.Struct, frozen=True, gc=False):
    """What a client says with an OPT record."""

    size: int
    """Bytes of UDP payload that it takes."""
    subnet: Subnet | None


class Query(msgspec.Struct, frozen=True):
    """A question as it came."""

    id: int
    flags: int
    name: Name
    """In the client's letter case."""
    qtype: int
    question: bytes
    """The question section."""
    edns: EDNS | None

    @property
    def recursion_desired(self) -> bool:
        """Whether the client asks for recursion."""
        return bool(self.flags & RD)


class Message(msgspec.Struct, frozen=True):
    """A reply as it came from upstream."""

    id: int
    flags: int
    question: bytes
    answers: tuple[Record, ...]

    @property
    def rcode(self) -> int:
        """The response code in the header."""
        return self.flags & 0xF


class Rejected(msgspec.Struct, frozen=True):
    """A packet that is no question."""

    reply: bytes | None
    """What its sender is told; ``None`` for nothing."""


# -- reading --------------------------------------------------------------------------------------


def read_name(packet: bytes, at: int) -> tuple[Name, int]:
    """The name at ``at``, decompressed, and the offset behind it.

    Raises:
        MalformedMessage: it runs out of the packet, is too long, or points anywhere but back.
    """
    parts: list[bytes] = []
    length = 1
    end = -1
    low = at
    try:
        while size := packet[at]:
            if size < 0x40:
                label = packet[at : at + 1 + size]
                if len(label) != size + 1:
                    raise MalformedMessage("a label runs out of the packet")
                length += size + 1
                if length > MAX_NAME:
                    raise MalformedMessage("a name is too long")
                parts.append(label)
                at += 1 + size
            elif size >= 0xC0:
                target = (size & 0x3F) << 8 | packet[at + 1]
                if end < 0:
                    end = at + 2
                if target >= low:
                    raise MalformedMessage("a compression pointer does not point back")
                at = low = target
            else:
                raise MalformedMessage("a label of an unknown kind")
    except IndexError:
        raise MalformedMessage("a name runs out of the packet") from None
    return b"".join(parts) + ROOT, at + 1 if end < 0 else end


def parse_query(packet: bytes) -> Query | Rejected:
    """The question in ``packet``, or what to say instead of an answer."""
    if len(packet) < HEADER_SIZE:
        return Rejected(None)
    ident, flags, questions, answers, authority, additional = _header.unpack_from(packet)
    if flags & QR:
        return Rejected(None)
    opcode = (flags & OPCODE) >> 11
    if opcode not in (QUERY, NOTIFY):
        return _rejected(ident, flags, NOTIMP)
    if questions != 1 or answers > 1 or authority > 1 or additional > 2:
        return _rejected(ident, flags & ~OPCODE, FORMERR)
    try:
        name, at = read_name(packet, HEADER_SIZE)
        if at != HEADER_SIZE + len(name):
            raise MalformedMessage("a question has no earlier name to point to")
        qtype, _ = _type_class.unpack_from(packet, at)
    except (MalformedMessage, error):
        return _rejected(ident, flags & ~OPCODE, FORMERR)
    at += 4
    question = packet[HEADER_SIZE:at]
    try:
        edns = _read_edns(packet, at, answers + authority, additional) if len(packet) > at else None
    except MalformedMessage:
        return _rejected(ident, flags & ~OPCODE, FORMERR, question)
    return Query(ident, flags, name, qtype, question, edns)


def _rejected(ident: int, flags: int, rcode: int, question: bytes = b"") -> Rejected:
    kept = flags & (OPCODE | TC | RD | RA | AD | CD)
    head = _header.pack(ident, QR | kept | rcode, 1 if question else 0, 0, 0, 0)
    return Rejected(head + question)


def _read_edns(packet: bytes, at: int, skipped: int, additional: int) -> EDNS | None:
    """The last OPT record among ``additional`` ones that follow ``skipped`` others.

    A packet that ends where a record should begin just has fewer records than it says.
    """
    edns = None
    for number in range(skipped + additional):
        if at == len(packet):
            break
        rtype, rclass, _, start, at = _read_record_head(packet, at)[1:]
        if number >= skipped and rtype == OPT:
            edns = EDNS(rclass, _read_subnet(packet[start:at]))
    return edns


def _read_record_head(packet: bytes, at: int) -> tuple[Name, int, int, int, int, int]:
    """Owner, type, class and TTL of the record at ``at``, and where its data starts and ends."""
    owner, at = read_name(packet, at)
    try:
        rtype, rclass, ttl, size = _record_head.unpack_from(packet, at)
    except error:
        raise MalformedMessage("a record runs out of the packet") from None
    start = at + _record_head.size
    if start + size > len(packet):
        raise MalformedMessage("a record's data runs out of the packet")
    return owner, rtype, rclass, ttl, start, start + size


def _read_subnet(options: bytes) -> Subnet | None:
    subnet = None
    at = 0
    while at < len(options):
        if at + 4 > len(options):
            raise MalformedMessage("an EDNS option runs out of its record")
        code, size = _option_head.unpack_from(options, at)
        at += 4
        if at + size > len(options):
            raise MalformedMessage("an EDNS option runs out of its record")
        if code == CLIENT_SUBNET:
            subnet = _parse_subnet(options[at : at + size])
        at += size
    return subnet


def _parse_subnet(option: bytes) -> Subnet:
    if len(option) < 4:
        raise MalformedMessage("a client subnet is too short")
    family, prefix, _ = _subnet_head.unpack_from(option)
    if family == 0:
        if prefix:
            raise MalformedMessage("a client subnet of no family has no prefix")
        return Subnet(0, 0, b"")
    if prefix > _ADDRESS_BITS.get(family, -1):
        raise MalformedMessage("a client subnet is longer than its family's addresses")
    octets = -(-prefix // 8)
    address = bytearray(option[4 : 4 + octets].ljust(octets, b"\0"))
    if spare := octets * 8 - prefix:
        address[-1] &= 0xFF << spare & 0xFF
    return Subnet(family, prefix, bytes(address))


_NAMES_IN_DATA: Final = {CNAME, NS, PTR}


def parse_reply(packet: bytes) -> Message:
    """An upstream reply: header, question, and those answers whose data we can carry over.

    Raises:
        MalformedMessage: the packet is no reply to one question.
    """
    if len(packet) < HEADER_SIZE:
        raise MalformedMessage("shorter than a header")
    ident, flags, questions, answers, _, _ = _header.unpack_from(packet)
    if not flags & QR or questions != 1:
        raise MalformedMessage("not a reply to one question")
    name, at = read_name(packet, HEADER_SIZE)
    question = name + packet[at : at + 4]
    at += 4
    records: list[Record] = []
    for _ in range(answers):
        owner, rtype, _, ttl, start, at = _read_record_head(packet, at)
        if rtype in _NAMES_IN_DATA:
            target, end = read_name(packet, start)
            if end != at:
                raise MalformedMessage("a record's data has the wrong size")
            records.append(Record(owner, rtype, ttl, names=(target,)))
        elif rtype not in (OPT, SOA, SRV):
            records.append(Record(owner, rtype, ttl, packet[start:at]))
    return Message(ident, flags, question, tuple(records))


# -- writing --------------------------------------------------------------------------------------


def build_query(ident: int, name: Name, qtype: int) -> bytes:
    """A recursive question of class IN without EDNS."""
    return _header.pack(ident, RD, 1, 0, 0, 0) + name + _type_class.pack(qtype, 1)


def build_reply(
    query: Query,
    flags: int,
    sections: tuple[Sequence[Record], Sequence[Record], Sequence[Record]],
    *,
    opt: bytes = b"",
    compress: bool = True,
) -> bytes:
    """The reply to ``query``: ``flags`` with the rcode, then answer, authority and additional.

    ``opt`` is the OPT record, appended as it is.
    """
    answers, authority, additional = sections
    extras = len(additional) + (1 if opt else 0)
    out = bytearray(
        _header.pack(query.id, flags, 1, len(answers), len(authority), extras) + query.question
    )
    offsets: dict[Name, int] | None = {} if compress else None
    if offsets is not None:
        _remember(offsets, query.name, HEADER_SIZE)
    for section in sections:
        for record in section:
            _write_record(out, record, offsets)
    out += opt
    return bytes(out)


def opt_record(edns: EDNS, *, scope: int = 0) -> bytes:
    """The OPT record that answers ``edns``: the client's own size, its subnet with ``scope``."""
    options = b""
    if (subnet := edns.subnet) is not None:
        body = _subnet_head.pack(subnet.family, subnet.prefix, scope) + subnet.address
        options = _option_head.pack(CLIENT_SUBNET, len(body)) + body
    return ROOT + _record_head.pack(OPT, edns.size, 0, len(options)) + options


def uncompressed_size(record: Record) -> int:
    """Bytes of ``record`` when nothing is compressed."""
    names = sum(map(len, record.names))
    return len(record.owner) + 10 + len(record.head) + names + len(record.tail)


def _write_record(out: bytearray, record: Record, offsets: dict[Name, int] | None) -> None:
    _write_name(out, record.owner, offsets, compress=True)
    out += _record_head.pack(record.type, 1, record.ttl, 0)
    start = len(out)
    out += record.head
    for name in record.names:
        _write_name(out, name, offsets, compress=record.type != SRV)
    out += record.tail
    out[start - 2 : start] = _short(len(out) - start)


def _write_name(
    out: bytearray, name: Name, offsets: dict[Name, int] | None, *, compress: bool
) -> None:
    """Append ``name``, by pointer as far as an equal ending was written before.

    An ending is found in its own letter case only, so that every name keeps its case. A name that
    must not be compressed can still be pointed to by later ones.
    """
    if offsets is None:
        out += name
        return
    if not compress:
        _remember(offsets, name, len(out))
        out += name
        return
    at = 0
    start = len(out)
    while size := name[at]:
        rest = name[at:]
        seen = offsets.get(rest)
        if seen is not None:
            out += name[:at]
            out += _short(0xC000 | seen)
            return
        if start + at <= _MAX_OFFSET:
            offsets[rest] = start + at
        at += 1 + size
    out += name


def _remember(offsets: dict[Name, int], name: Name, start: int) -> None:
    at = 0
    while (size := name[at]) and start + at <= _MAX_OFFSET:
        offsets.setdefault(name[at:], start + at)
        at += 1 + size
