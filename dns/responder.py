"""From a packet to a packet: the fast lane, else the resolver, the limits and the wire.

What only a recursor can answer is handed out as a coroutine; everything else is answered at once.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Final, TypeAlias

import structlog

from lictor.raft.runtime import Runtime
from lictor.registry.errors import RegistryError

from .lane import Lane, shuffled
from .limits import shorten
from .metrics import DNSMetrics
from .names import Name
from .options import DNSOptions
from .records import Record
from .recursors import Recursors
from .reply import Reply
from .resolver import Context, Registry, Resolver
from .wire import (
    AA,
    CD,
    NOERROR,
    NOTIFY,
    OPCODE,
    QR,
    RA,
    RD,
    REFUSED,
    SERVFAIL,
    TC,
    Query,
    Rejected,
    build_reply,
    opt_record,
    parse_query,
)
from .zone import Zone

log = structlog.get_logger("dns")

Later: TypeAlias = Coroutine[None, None, bytes | None]
"""A reply that takes its time."""

MAX_CHASED_NAMES: Final = 16
"""Names of somebody else's that one question has looked up."""


class Responder:
    """Answers packets for one zone."""

    def __init__(
        self,
        zone: Zone,
        options: DNSOptions,
        recursors: Recursors,
        *,
        runtime: Runtime,
        registry: Registry,
        metrics: DNSMetrics,
    ) -> None:
        self._zone = zone
        self._options = options
        self._recursors = recursors
        self._runtime = runtime
        self._registry = registry
        self._metrics = metrics
        self._resolver = Resolver(zone, options, registry, recurses=bool(recursors))
        self._shuffled = shuffled(runtime.rng)
        self.udp = Lane(runtime.rng, runtime.clock.wall, registry.may_answer)
        self.tcp = Lane(runtime.rng, runtime.clock.wall, registry.may_answer)
        metrics.lanes = (self.udp, self.tcp)

    def configure(self, options: DNSOptions, recursors: Recursors) -> None:
        """Answer with other settings from here on."""
        self._options = options
        self._recursors = recursors
        self._resolver = Resolver(self._zone, options, self._registry, recurses=bool(recursors))
        self.udp.clear()
        self.tcp.clear()

    def respond(self, packet: bytes, *, tcp: bool) -> bytes | Later | None:
        """The reply to ``packet``, now or later; ``None`` for no reply."""
        lane = self.tcp if tcp else self.udp
        key = packet[2:]
        if (kept := lane.find(key)) is not None:
            return packet[:2] + kept
        query = parse_query(packet)
        if isinstance(query, Rejected):
            if query.reply is None:
                self._metrics.dropped += 1
            else:
                self._metrics.resolved[query.reply[3] & 0xF] += 1
            return query.reply
        spread = lane.spread(key)
        wall = self._runtime.clock.wall()
        reply = self._resolve(query, Context(spread.order, wall, {}))
        if self._recursors:
            if reply.outside:
                return self._relay(packet, query, tcp=tcp)
            if reply.missing:
                return self._chase(query, reply, tcp=tcp)
        wire = self._encode(query, reply, tcp=tcp)
        if not (reply.rcode == SERVFAIL and reply.authoritative):
            lane.keep(
                key,
                wire[2:],
                reply.rests_on,
                second=int(wall) if reply.dated else 0,
                instances=reply.orders,
                spread=spread,
            )
        return wire

    def refuse(self, packet: bytes) -> bytes | None:
        """The reply to a question that is not even looked at, because too many wait already."""
        self._metrics.unresolved += 1
        query = parse_query(packet)
        if isinstance(query, Rejected):
            return query.reply
        return self._encode(query, Reply(rcode=SERVFAIL, authoritative=False), tcp=False)

    def _resolve(self, query: Query, context: Context) -> Reply:
        try:
            return self._resolver.resolve(query, context)
        except RegistryError as error:
            log.debug("question not answered", error=str(error))
        except Exception:
            log.exception("question broke the resolver", qtype=query.qtype)
        return Reply(rcode=SERVFAIL)

    async def _relay(self, packet: bytes, query: Query, *, tcp: bool) -> bytes:
        upstream = await self._recursors.relay(packet, tcp=tcp)
        if upstream is not None:
            self._metrics.relayed += 1
            return upstream
        self._metrics.unresolved += 1
        failed = Reply(rcode=SERVFAIL, authoritative=False)
        return self._encode(query, failed, tcp=tcp)

    async def _chase(self, query: Query, reply: Reply, *, tcp: bool) -> bytes:
        """Have the missing names looked up, then answer."""
        outside: dict[Name, Sequence[Record]] = {}
        for name in sorted(reply.missing)[:MAX_CHASED_NAMES]:
            outside[name] = await self._recursors.chase(name)
        found: Mapping[Name, Sequence[Record]] = outside
        context = Context(self._shuffled, self._runtime.clock.wall(), found)
        return self._encode(query, self._resolve(query, context), tcp=tcp)

    def _encode(self, query: Query, reply: Reply, *, tcp: bool) -> bytes:
        opt = b""
        if query.edns is not None and reply.rcode != REFUSED:
            scope = reply.scope if reply.rcode == NOERROR else 0
            opt = opt_record(query.edns, scope=scope)
        if reply.trimmed:
            shorten(reply, query, self._options, opt=opt, tcp=tcp)
        self._metrics.resolved[reply.rcode] += 1
        return build_reply(
            query,
            self._flags(query, reply),
            (reply.answers, reply.authority, reply.additional),
            opt=opt,
            compress=not self._options.disable_compression,
        )

    def _flags(self, query: Query, reply: Reply) -> int:
        opcode = query.flags & OPCODE
        flags = QR | opcode | query.flags & CD | reply.rcode
        if opcode != NOTIFY << 11:
            flags |= query.flags & RD
        if reply.authoritative:
            flags |= AA
        if reply.truncated and self._options.enable_truncate:
            flags |= TC
        # a failure of the recursive path offers recursion even where there is no recursor
        if self._recursors or (reply.rcode == SERVFAIL and not reply.authoritative):
            flags |= RA
        return flags
