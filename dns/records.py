"""Resource records, ready for the wire but for compression."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import Final

import msgspec

from .names import Name

A: Final = 1
NS: Final = 2
CNAME: Final = 5
SOA: Final = 6
PTR: Final = 12
TXT: Final = 16
AAAA: Final = 28
SRV: Final = 33
OPT: Final = 41
IXFR: Final = 251
AXFR: Final = 252
ANY: Final = 255

MAX_TTL: Final = 2**31 - 1

_srv_head = Struct("!HHH").pack
_soa_tail = Struct("!IIIII").pack


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of class IN. Its data is ``head``, then ``names``, then ``tail``."""

    owner: Name
    type: int
    ttl: int
    """Seconds."""
    head: bytes = b""
    names: tuple[Name, ...] = ()
    """Compressible everywhere but in SRV. Source: RFC 2782; RFC 3597, section 4."""
    tail: bytes = b""


@lru_cache(maxsize=8192)
def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """The address that ``text`` spells, an IPv4-mapped one as IPv4; ``None`` for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        return None
    return address.ipv4_mapped or address


def address(owner: Name, ttl: int, ip: IPv4Address | IPv6Address) -> Record:
    """An A or AAAA record."""
    return Record(owner, A if ip.version == 4 else AAAA, ttl, ip.packed)


def cname(owner: Name, ttl: int, target: Name) -> Record:
    """A CNAME record."""
    return Record(owner, CNAME, ttl, names=(target,))


def ns(owner: Name, ttl: int, target: Name) -> Record:
    """An NS record."""
    return Record(owner, NS, ttl, names=(target,))


def ptr(owner: Name, target: Name) -> Record:
    """A PTR record; its TTL is 0."""
    return Record(owner, PTR, 0, names=(target,))


def srv(owner: Name, ttl: int, *, weight: int, port: int, target: Name) -> Record:
    """An SRV record of priority 1."""
    return Record(owner, SRV, ttl, _srv_head(1, weight & 0xFFFF, port & 0xFFFF), (target,))


def soa(
    owner: Name,
    ttl: int,
    *,
    primary: Name,
    mailbox: Name,
    numbers: tuple[int, int, int, int, int],
) -> Record:
    """An SOA record; ``numbers`` are serial, refresh, retry, expire and minimum."""
    return Record(owner, SOA, ttl, names=(primary, mailbox), tail=_soa_tail(*numbers))


def texts_of_meta(owner: Name, ttl: int, meta: Mapping[str, str] | None) -> list[Record]:
    """One TXT record per pair of a node's metadata.

    A key that begins with ``rfc1035-`` stands for its bare value.

    Source: RFC 1464 for the quoting of the others.
    """
    found: list[Record] = []
    for key, value in (meta or {}).items():
        text = value if key.lower().startswith("rfc1035-") else _attribute(key, value)
        octets = text.encode()[:255]  # one character-string holds no more
        found.append(Record(owner, TXT, ttl, bytes((len(octets),)) + octets))
    return found


def _attribute(key: str, value: str) -> str:
    quoted = key.replace("`", "``").replace("=", "`=")
    start = len(quoted) - len(quoted.lstrip(" \t"))
    quoted = "".join("`" + blank for blank in quoted[:start]) + quoted[start:]
    end = len(quoted.rstrip(" \t"))
    if end > start:
        quoted = quoted[:end] + "".join("`" + blank for blank in quoted[end:])
    return quoted + "=" + value.replace("`", "``")
