"""From a question to a reply: asks the registry and turns what it says into records.

Pure but for what it is handed: the registry's answers, an order for instances, and the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from lictor.registry.answers import Answer
from lictor.registry.queries import AddressOwner, FindAddress, Question, ReadNode, ServiceHealth
from lictor.registry.records import CheckServiceNode, Node

from . import zone as zones
from .errors import BadName
from .instances import answerable, node_address, service_address, weight
from .limits import MAX_UDP_ANSWERS
from .names import Name, below, from_labels, from_text, labels, texts
from .options import DNSOptions
from .records import (
    AAAA,
    ANY,
    CNAME,
    MAX_TTL,
    SOA,
    SRV,
    TXT,
    A,
    Record,
    address,
    cname,
    ns,
    parse_ip,
    ptr,
    soa,
    srv,
    texts_of_meta,
)
from .reply import Reply
from .wire import NOTIMP, NXDOMAIN, REFUSED, SERVFAIL, Query
from .zone import Lookup, Zone

MAX_CHASE: Final = 4
"""Names in a chain of aliases, the one asked for included."""

MAX_CHASED: Final = 5
"""Records that a chase adds for a client without EDNS."""

MAX_SERVERS: Final = 3
"""NS records in one answer."""

SERVERS: Final = "consul"
"""The service whose instances are the servers."""

_PLAIN_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_ADDRESS_TYPES: Final = frozenset({A, AAAA, ANY, TXT})
_CHASED_TYPES: Final = frozenset({A, AAAA, CNAME})


class Context(msgspec.Struct, frozen=True):
    """What a question is resolved with."""

    ask: Callable[[Question], Answer]
    """Answers from the registry, or raises what :meth:`Resolver.resolve` then raises."""
    order: Callable[[Sequence[Any]], Sequence[Any]]
    """Puts instances in the order in which they are answered."""
    wall: float
    """Seconds since the Unix epoch."""
    enough: int
    """Answers after which more make no difference, but to tell that some were left out."""
    outside: Mapping[Name, Sequence[Record]]
    """What recursors said of names of somebody else's, by lower-cased name."""


class Asked(msgspec.Struct, frozen=True):
    """One question on its way, or an alias of it."""

    name: Name
    qtype: int
    edns: bool
    depth: int = 1
    """How many names the chain has so far."""


class Resolver:
    """Answers for one zone. Holds no state but its settings."""

    def __init__(self, zone: Zone, options: DNSOptions, *, recurses: bool) -> None:
        self._zone = zone
        self._options = options
        self._recurses = recurses
        self._apex = from_labels(label.encode() for label in zone.domain)
        self._primary = from_labels([b"ns", *labels(self._apex)])
        self._mailbox = from_labels([b"hostmaster", *labels(self._apex)])
        place = from_text(zone.datacenter.lower())[:-1] + self._apex
        self._node_names = from_text("node")[:-1] + place
        self._service_names = from_text("service")[:-1] + place
        self._addr_names = from_text("addr")[:-1] + place
        self._node_ttl = _seconds(options.node_ttl)
        self._exact_ttls = {
            name: _seconds(ttl)
            for name, ttl in options.service_ttl.items()
            if not name.endswith("*")
        }
        self._prefix_ttls = sorted(
            (
                (name[:-1], _seconds(ttl))
                for name, ttl in options.service_ttl.items()
                if name.endswith("*")
            ),
            key=lambda row: -len(row[0]),
        )

    def resolve(self, query: Query, context: Context) -> Reply:
        """The reply to ``query``, before limits.

        Raises:
            RegistryError: the registry cannot answer now.
            Unread: the registry must be asked this first.
        """
        asked = Asked(query.name, query.qtype, query.edns is not None)
        return self._resolve(asked, context)

    def _resolve(self, asked: Asked, context: Context) -> Reply:
        lookup = zones.parse(texts(asked.name), asked.qtype, self._zone)
        reply = Reply()
        RESOLVE[type(lookup)](self, lookup, asked, context, reply)
        return reply

    # -- one method per lookup --------------------------------------------------------------------

    def outside(self, _: Lookup, __: Asked, ___: Context, reply: Reply) -> None:
        """A name of somebody else's, and nobody to ask."""
        reply.rcode = REFUSED
        reply.authoritative = False
        reply.outside = True

    def no_such_name(self, _: Lookup, __: Asked, context: Context, reply: Reply) -> None:
        """NXDOMAIN, with the zone's SOA."""
        reply.rcode = NXDOMAIN
        self._deny(reply, context)

    def transfer(self, _: Lookup, __: Asked, ___: Context, reply: Reply) -> None:
        """No zone transfers."""
        reply.rcode = NOTIMP

    def zone(self, _: Lookup, asked: Asked, context: Context, reply: Reply) -> None:
        """The zone's SOA, or its NS records, with glue."""
        servers = reply.answers
        if asked.qtype == SOA:
            reply.answers.append(self._soa(context))
            reply.second = int(context.wall)
            servers = reply.authority
        answer = _ask(context, reply, ServiceHealth(SERVERS))
        found = answerable(answer.value, only_passing=self._options.only_passing)
        reply.orders = len(found)
        names = [i for i in found if _PLAIN_NAME.issuperset(i.node.name.lower())]
        for instance in context.order(names)[:MAX_SERVERS]:
            target = below(instance.node.name.lower(), self._node_names)
            if target is None:
                continue
            servers.append(ns(self._apex, self._node_ttl, target))
            if (ip := parse_ip(node_address(instance.node, ANY))) is not None:
                reply.additional.append(address(target, self._node_ttl, ip))

    def service(
        self, lookup: zones.ServiceLookup, asked: Asked, context: Context, reply: Reply
    ) -> None:
        """A service's healthy instances."""
        if not self._is_local(lookup.datacenter):
            self.no_such_name(lookup, asked, context, reply)
            return
        tags = (lookup.tag,) if lookup.tag else ()
        question = ServiceHealth(lookup.name, tags=tags, connect=lookup.connect)
        found = answerable(
            _ask(context, reply, question).value, only_passing=self._options.only_passing
        )
        self._instances(found, asked, context, reply, ttl=self._service_ttl(lookup.name))

    def node(self, lookup: zones.NodeLookup, asked: Asked, context: Context, reply: Reply) -> None:
        """A node's address and metadata. Other types are empty, whether or not it exists."""
        qtype = asked.qtype
        if qtype not in _ADDRESS_TYPES:
            return
        node: Node | None = None
        if self._is_local(lookup.datacenter):
            node = _ask(context, reply, ReadNode(lookup.name)).value
        if node is None:
            self.no_such_name(lookup, asked, context, reply)
            return
        ttl = self._node_ttl
        if qtype != TXT:
            self._node_address(node, asked, context, reply)
        if qtype in (TXT, ANY):
            reply.answers += texts_of_meta(asked.name, ttl, node.meta)
        elif self._options.enable_additional_node_meta_txt:
            reply.additional += texts_of_meta(asked.name, ttl, node.meta)

    def addr(self, lookup: zones.AddrLookup, asked: Asked, _: Context, reply: Reply) -> None:
        """The address in the name itself, whatever the type asked for."""
        if lookup.address is not None:
            owner = asked.name.lower()
            reply.answers.append(address(owner, self._node_ttl, lookup.address))

    def reverse(
        self, lookup: zones.ReverseLookup, asked: Asked, context: Context, reply: Reply
    ) -> None:
        """Who has the address: a node, else a service. Answers PTR to every type."""
        found: AddressOwner | None = None
        if lookup.address:
            found = _ask(context, reply, FindAddress(lookup.address)).value
        target: Name | None = None
        if found is not None and found.service:
            target = below(found.service, self._service_names)
        elif found is not None:
            target = below(found.node, self._node_names)
        if target is None:
            reply.rcode = SERVFAIL
            reply.authoritative = False
            reply.outside = True
            return
        reply.answers.append(ptr(asked.name, target))
        if asked.qtype == SOA:
            self._deny(reply, context)

    # -- instances --------------------------------------------------------------------------------

    def _instances(
        self,
        found: Sequence[CheckServiceNode],
        asked: Asked,
        context: Context,
        reply: Reply,
        *,
        ttl: int,
    ) -> None:
        """Answer with ``found``, in the context's order."""
        reply.trimmed = True
        if not found:
            self.no_such_name(zones.NO_SUCH_NAME, asked, context, reply)
            return
        reply.orders = len(found)
        ordered = context.order(found)
        if asked.qtype == SRV:
            self._services(ordered, asked, context, reply, ttl=ttl)
        else:
            self._addresses(ordered, asked, context, reply, ttl=ttl)
        if not reply.answers:
            self._deny(reply, context)

    def _addresses(
        self,
        instances: Sequence[CheckServiceNode],
        asked: Asked,
        context: Context,
        reply: Reply,
        *,
        ttl: int,
    ) -> None:
        """One address each; an alias only where there is no address at all."""
        limit = min(self._options.a_record_limit or context.enough, context.enough)
        seen: set[str] = set()
        alias: Name | None = None
        for instance in instances:
            text, _ = self._chosen(instance, asked)
            if not text or text in seen:
                continue
            seen.add(text)
            if (ip := parse_ip(text)) is None:
                alias = alias or _name_or_none(text)
                continue
            record = address(asked.name, ttl, ip)
            if asked.qtype in (record.type, ANY, TXT):
                reply.answers.append(record)
                if len(reply.answers) >= limit:
                    break
        if alias is not None and not reply.answers:
            reply.answers.append(cname(asked.name, ttl, alias))
            reply.answers += self._chase(alias, asked, context, reply, ttl=ttl)

    def _services(
        self,
        instances: Sequence[CheckServiceNode],
        asked: Asked,
        context: Context,
        reply: Reply,
        *,
        ttl: int,
    ) -> None:
        """One SRV record each, with glue and the metadata of its node."""
        seen: set[tuple[str, str, int]] = set()
        for instance in instances:
            node, service = instance.node, instance.service
            text, is_service = self._chosen(instance, asked)
            key = (node.name.lower(), text, service.port)
            if not text or key in seen:
                continue
            seen.add(key)
            glue: list[Record] = []
            own_name = below(node.name, self._node_names)
            if (ip := parse_ip(text)) is not None:
                target = own_name
                if is_service or target is None:
                    target = below(ip.packed.hex(), self._addr_names)
                if target is None:
                    continue
                glue.append(address(target, ttl, ip))
            else:
                target = _name_or_none(text)
                if target is None:
                    continue
                glue = self._chase(target, asked, context, reply, ttl=ttl)
            reply.answers.append(
                srv(asked.name, ttl, weight=weight(instance), port=service.port, target=target)
            )
            reply.additional += glue
            if self._options.enable_additional_node_meta_txt and own_name is not None:
                reply.additional += texts_of_meta(own_name, ttl, node.meta)
            if len(reply.answers) >= context.enough:
                break

    def _chosen(self, instance: CheckServiceNode, asked: Asked) -> tuple[str, bool]:
        """An instance's address, and whether it is the service's own rather than its node's."""
        own = service_address(instance.service, asked.qtype)
        if own and (parse_ip(own) or _name_or_none(own.lower()) != asked.name.lower()):
            return own, True
        return node_address(instance.node, asked.qtype), False

    def _node_address(self, node: Node, asked: Asked, context: Context, reply: Reply) -> None:
        text = node_address(node, asked.qtype)
        if (ip := parse_ip(text)) is not None:
            record = address(asked.name, self._node_ttl, ip)
            if asked.qtype in (record.type, ANY):
                reply.answers.append(record)
        elif (target := _name_or_none(text)) is not None:
            reply.answers.append(cname(asked.name, self._node_ttl, target))
            reply.answers += self._chase(target, asked, context, reply, ttl=None)

    def _chase(
        self, target: Name, asked: Asked, context: Context, reply: Reply, *, ttl: int | None
    ) -> list[Record]:
        """What ``target``, an alias's, has itself.

        With ``ttl`` it is a service's: only addresses and aliases, with that TTL, and few of them.
        """
        if asked.depth >= MAX_CHASE:
            return []
        key = target.lower()
        inner = Asked(target, ANY, asked.edns, asked.depth + 1)
        if self._is_ours(target):
            chased = self._resolve(inner, context)
            reply.rests_on += chased.rests_on
            reply.missing |= chased.missing
            reply.borrowed |= chased.borrowed
            reply.orders = max(reply.orders, chased.orders)
            found: Sequence[Record] = chased.answers
            if chased.trimmed:  # as for a client of plain UDP, whatever the real one's transport
                found = found[: max(1, min(self._options.udp_answer_limit, MAX_UDP_ANSWERS))]
        else:
            if self._recurses:
                reply.borrowed = True
                if key not in context.outside:
                    reply.missing.add(key)
            found = context.outside.get(key, ())
        if ttl is None:
            return list(found)
        kept = [_with_ttl(record, ttl) for record in found if record.type in _CHASED_TYPES]
        return kept if asked.edns else kept[:MAX_CHASED]

    # -- names, times and the rest ----------------------------------------------------------------

    def _is_local(self, datacenter: str) -> bool:
        return datacenter in ("", self._zone.datacenter.lower())

    def _is_ours(self, name: Name) -> bool:
        lookup = zones.parse(texts(name), ANY, self._zone)
        return not isinstance(lookup, zones.OutOfZone | zones.ReverseLookup)

    def _deny(self, reply: Reply, context: Context) -> None:
        reply.authority.append(self._soa(context))
        reply.second = int(context.wall)

    def _soa(self, context: Context) -> Record:
        numbers = self._options.soa
        return soa(
            self._apex,
            numbers.min_ttl,
            primary=self._primary,
            mailbox=self._mailbox,
            numbers=(
                int(context.wall) & 0xFFFFFFFF,
                numbers.refresh,
                numbers.retry,
                numbers.expire,
                numbers.min_ttl,
            ),
        )

    def _service_ttl(self, name: str) -> int:
        """The TTL of the service ``name``, lower-cased: a key with capitals is never met."""
        exact = self._exact_ttls.get(name)
        if exact is not None:
            return exact
        return next((ttl for prefix, ttl in self._prefix_ttls if name.startswith(prefix)), 0)


RESOLVE: Final[dict[type[Lookup], Callable[[Resolver, Any, Asked, Context, Reply], None]]] = {
    zones.OutOfZone: Resolver.outside,
    zones.NoSuchName: Resolver.no_such_name,
    zones.ZoneLookup: Resolver.zone,
    zones.TransferLookup: Resolver.transfer,
    zones.ServiceLookup: Resolver.service,
    zones.IngressLookup: Resolver.no_such_name,
    zones.VirtualLookup: Resolver.no_such_name,
    zones.QueryLookup: Resolver.no_such_name,
    zones.NodeLookup: Resolver.node,
    zones.AddrLookup: Resolver.addr,
    zones.ReverseLookup: Resolver.reverse,
}
"""One row per lookup; ``tests/dns/test_resolver.py`` proves that none is missing."""


def _ask(context: Context, reply: Reply, question: Question) -> Answer:
    answer = context.ask(question)
    reply.rests_on.append(answer)
    return answer


def _seconds(duration: float) -> int:
    return min(max(int(duration), 0), MAX_TTL)


def _with_ttl(record: Record, ttl: int) -> Record:
    return msgspec.structs.replace(record, ttl=ttl)


def _name_or_none(text: str) -> Name | None:
    try:
        return from_text(text)
    except BadName:
        return None
