"""What a name below the zone asks for: from labels and a query type to a :class:`Lookup`. Pure.

A name is read from the right: the first label that is a kind (``service``, ``node``, ...) parts
it into what is asked, on its left, and where, on its right. Characters are not validated.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

import msgspec

from .records import AXFR, NS, SOA, SRV

Labels: TypeAlias = tuple[str, ...]
"""Lower-cased, leftmost first."""


class Zone(msgspec.Struct, frozen=True):
    """The names that we answer for, and where we are."""

    domain: Labels
    alt_domain: Labels
    """Empty when there is none."""
    datacenter: str


class Lookup(msgspec.Struct, frozen=True):
    """What a question asks for."""


class OutOfZone(Lookup, frozen=True):
    """A name of somebody else's: for the recursors."""


class NoSuchName(Lookup, frozen=True):
    """A name below the zone that nothing can have."""


class ZoneLookup(Lookup, frozen=True):
    """The zone's own SOA and NS records, whatever the name."""


class TransferLookup(Lookup, frozen=True):
    """The whole zone, which is not given away."""


class ServiceLookup(Lookup, frozen=True):
    """The instances of a service, or with ``connect`` those that take its mesh traffic."""

    name: str
    tag: str = ""
    datacenter: str = ""
    connect: bool = False


class IngressLookup(Lookup, frozen=True):
    """The ingress gateways that expose a service."""

    name: str
    datacenter: str = ""


class VirtualLookup(Lookup, frozen=True):
    """The virtual address of a service."""

    name: str


class QueryLookup(Lookup, frozen=True):
    """A prepared query by name or id."""

    name: str
    datacenter: str = ""


class NodeLookup(Lookup, frozen=True):
    """A node."""

    name: str
    datacenter: str = ""


class AddrLookup(Lookup, frozen=True):
    """An address spelt out in the name itself."""

    address: IPv4Address | IPv6Address | None
    """``None`` where the name has no address's length, which makes it a name without records."""


class ReverseLookup(Lookup, frozen=True):
    """Who has an address."""

    address: str
    """Empty for a name below ``arpa`` that is not a whole address."""


NO_SUCH_NAME: Final = NoSuchName()


def parse(labels: Labels, qtype: int, zone: Zone) -> Lookup:
    """What ``labels`` ask for with ``qtype``."""
    if labels[-1:] == ("arpa",):
        return ReverseLookup(_reverse_address(labels))
    inner = _below(labels, zone)
    if inner is None:
        return OutOfZone()
    if qtype in (SOA, NS):
        return ZoneLookup()
    if qtype == AXFR:
        return TransferLookup()
    for at in range(len(inner) - 1, -1, -1):
        label = inner[at]
        if (kind := KINDS.get(label)) is not None:
            return kind(inner[:at], inner[at + 1 :])
        if qtype == SRV and label.startswith("_"):
            return _service(inner[: at + 1], inner[at + 1 :])
    return NO_SUCH_NAME


def _below(labels: Labels, zone: Zone) -> Labels | None:
    """``labels`` without the zone's own; ``None`` outside it. The longer domain goes first."""
    one, other = zone.domain, zone.alt_domain
    for domain in (one, other) if len(one) >= len(other) else (other, one):
        if domain and labels[-len(domain) :] == domain:
            return labels[: -len(domain)]
    return None


def _datacenter(suffixes: Labels) -> str | None:
    """The data centre that the labels after the kind name; empty for ours, ``None`` for nonsense.

    Source: Consul's ``.<dc>`` and, since 1.12, ``.<dc>.dc``.
    """
    match suffixes:
        case ():
            return ""
        case (datacenter,) | (datacenter, "dc"):
            return datacenter
        case _:
            return None


def _service(parts: Labels, suffixes: Labels) -> Lookup:
    datacenter = _datacenter(suffixes)
    if not parts or datacenter is None:
        return NO_SUCH_NAME
    if len(parts) == 2 and parts[0].startswith("_") and parts[1].startswith("_"):
        # RFC 2782 form; any protocol but tcp is a tag
        tag = "" if parts[1] == "_tcp" else parts[1][1:]
        return ServiceLookup(parts[0][1:], tag, datacenter)
    return ServiceLookup(parts[-1], ".".join(parts[:-1]), datacenter)


def _connect(parts: Labels, suffixes: Labels) -> Lookup:
    datacenter = _datacenter(suffixes)
    if not parts or datacenter is None:
        return NO_SUCH_NAME
    return ServiceLookup(parts[-1], "", datacenter, connect=True)


def _ingress(parts: Labels, suffixes: Labels) -> Lookup:
    datacenter = _datacenter(suffixes)
    if not parts or datacenter is None:
        return NO_SUCH_NAME
    return IngressLookup(parts[-1], datacenter)


def _virtual(parts: Labels, suffixes: Labels) -> Lookup:
    return VirtualLookup(parts[-1]) if parts and not suffixes else NO_SUCH_NAME


def _query(parts: Labels, suffixes: Labels) -> Lookup:
    if not parts or len(suffixes) > 1:
        return NO_SUCH_NAME
    if len(parts) > 1 and parts[0].startswith("_") and parts[-1].startswith("_"):
        # RFC 2782 form, since 1.13; the protocol says nothing
        return QueryLookup(".".join(parts[:-1])[1:], "".join(suffixes))
    return QueryLookup(".".join(parts), "".join(suffixes))


def _node(parts: Labels, suffixes: Labels) -> Lookup:
    datacenter = _datacenter(suffixes)
    if not parts or datacenter is None:
        return NO_SUCH_NAME
    return NodeLookup(".".join(parts), datacenter)


_HEX: Final = frozenset("0123456789abcdef")


def _addr(parts: Labels, _: Labels) -> Lookup:
    """Where the name is does not matter for an address.

    Source: observed; half the number of digits, rounded down, is taken for the address's size.
    """
    if len(parts) != 1:
        return NO_SUCH_NAME
    size = len(parts[0]) // 2
    if size not in (4, 16):
        return AddrLookup(None)
    if len(parts[0]) % 2 or not _HEX.issuperset(parts[0]):
        return NO_SUCH_NAME
    octets = bytes.fromhex(parts[0])
    return AddrLookup(IPv4Address(octets) if size == 4 else IPv6Address(octets))


KINDS: Final[dict[str, Callable[[Labels, Labels], Lookup]]] = {
    "service": _service,
    "connect": _connect,
    "ingress": _ingress,
    "virtual": _virtual,
    "query": _query,
    "node": _node,
    "addr": _addr,
}
"""One row per kind label: what stands left and right of it, to what is looked up."""


def _reverse_address(labels: Labels) -> str:
    """The address that a reverse name spells; empty when it is not a whole one."""
    if len(labels) == 6 and labels[4] == "in-addr":
        text = ".".join(labels[3::-1])
        try:
            return str(IPv4Address(text))
        except ValueError:
            return ""
    if len(labels) == 34 and labels[32] == "ip6":
        digits = "".join(labels[31::-1])
        if len(digits) == 32 and _HEX.issuperset(digits):
            return str(IPv6Address(bytes.fromhex(digits)))
    return ""
