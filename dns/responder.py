"""From a packet to a packet: the fast lane, else the resolver, the limits and the wire.

What only a recursor can answer is handed out as a coroutine; everything else is answered at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Final, TypeAlias

import structlog

from lictor.raft.runtime import Runtime
from lictor.registry.answers import Answer
from lictor.registry.errors import NoLeader, RegistryError
from lictor.registry.queries import Question

from .errors import Unread
from .lane import Lane, Spread
from .limits import enough, shorten
from .metrics import DNSMetrics
from .names import Name
from .options import DNSOptions
from .records import Record
from .recursors import Recursors
from .reply import Reply
from .resolver import Context, Resolver
from .source import HOLD, Registry, Source
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
"""Names of somebody else's that one question has looked up at a time."""

MAX_ROUNDS: Final = 16
"""Attempts at one question, each of which needs one answer more."""


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
        self._source = Source(registry, runtime, options)
        self._metrics = metrics
        self._resolver = Resolver(zone, options, recurses=bool(recursors))
        wall, may_repeat = runtime.clock.wall, self._source.may_repeat
        self.udp = Lane(runtime.rng, wall, may_repeat)
        self.tcp = Lane(runtime.rng, wall, may_repeat)
        metrics.lanes = (self.udp, self.tcp)

    def configure(self, options: DNSOptions, recursors: Recursors) -> None:
        """Answer with other settings from here on."""
        self._options = self._source.options = options
        self._recursors = recursors
        self._resolver = Resolver(self._zone, options, recurses=bool(recursors))
        self.udp.clear()
        self.tcp.clear()

    def respond(self, packet: bytes, *, tcp: bool) -> bytes | Later | None:
        """The reply to ``packet``, now or later; ``None`` for no reply.

        The lane of the transport was asked before, and had none.
        """
        query = parse_query(packet)
        if isinstance(query, Rejected):
            return self._reject(query)
        spread = self._lane(tcp=tcp).spread(packet[2:])
        wall = self._runtime.clock.wall()
        needed = enough(query, self._options, tcp=tcp)
        context = Context(self._source.ask, spread.order, wall, needed, {})
        try:
            reply = self._resolver.resolve(query, context)
        except NoLeader:
            return self._respond_later(packet, query, spread, tcp=tcp)
        except Exception as error:  # noqa: BLE001 - it is logged, and the client told
            reply = _failed(error)
        if self._recursors and (reply.outside or reply.missing):
            return self._respond_later(packet, query, spread, tcp=tcp)
        return self._finish(packet, query, reply, spread, tcp=tcp)

    def refuse(self, packet: bytes) -> bytes | None:
        """The reply to a question that is not even looked at, because too many wait already."""
        self._metrics.unresolved += 1
        query = parse_query(packet)
        if isinstance(query, Rejected):
            return self._reject(query)
        return self._encode(query, Reply(rcode=SERVFAIL, authoritative=False), tcp=False)

    def _reject(self, rejected: Rejected) -> bytes | None:
        if rejected.reply is None:
            self._metrics.dropped += 1
        else:
            self._metrics.resolved[rejected.reply[3] & 0xF] += 1
        return rejected.reply

    async def _respond_later(
        self, packet: bytes, query: Query, spread: Spread, *, tcp: bool
    ) -> bytes:
        try:
            reply = await self._resolve_later(query, spread, tcp=tcp)
        except Exception as error:  # noqa: BLE001 - it is logged, and the client told
            reply = _failed(error)
        if self._recursors and reply.outside:
            upstream = await self._recursors.relay(packet, tcp=tcp)
            if upstream is not None:
                self._metrics.relayed += 1
                return upstream
            self._metrics.unresolved += 1
            reply = Reply(rcode=SERVFAIL, authoritative=False)
        return self._finish(packet, query, reply, spread, tcp=tcp)

    def _finish(
        self, packet: bytes, query: Query, reply: Reply, spread: Spread, *, tcp: bool
    ) -> bytes:
        """``reply`` as bytes; kept for those who ask the same, unless it may change unseen."""
        wire = self._encode(query, reply, tcp=tcp)
        if not (reply.borrowed or reply.rcode == SERVFAIL):
            self._lane(tcp=tcp).keep(
                packet[2:],
                wire[2:],
                reply.rests_on,
                second=reply.second,
                instances=reply.orders if reply.answers else 1,
                spread=spread,
            )
        return wire

    def _lane(self, *, tcp: bool) -> Lane:
        return self.tcp if tcp else self.udp

    async def _resolve_later(self, query: Query, spread: Spread, *, tcp: bool) -> Reply:
        """Resolve again and again, each time with what was missing the time before.

        Raises:
            RegistryError: nobody can answer.
        """
        known: dict[Question, Answer] = {}
        outside: dict[Name, Sequence[Record]] = {}

        def ask(question: Question) -> Answer:
            answer = known.get(question)
            if answer is None:
                raise Unread(question)
            return answer

        clock = self._runtime.clock
        until = clock.now() + HOLD
        needed = enough(query, self._options, tcp=tcp)
        reply = Reply(rcode=SERVFAIL)
        for _ in range(MAX_ROUNDS):
            try:
                reply = self._resolver.resolve(
                    query, Context(ask, spread.order, clock.wall(), needed, outside)
                )
            except Unread as unread:
                known[unread.question] = await self._source.read(unread.question, until=until)
                continue
            missing = sorted(reply.missing) if self._recursors else ()
            if not missing:
                break
            outside.update(dict.fromkeys(missing, ()))
            chased = missing[:MAX_CHASED_NAMES]
            found = await asyncio.gather(*map(self._recursors.chase, chased))
            outside.update(zip(chased, found, strict=True))
        return reply

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


def _failed(error: Exception) -> Reply:
    """What a question gets that ``error`` kept from being answered."""
    if isinstance(error, RegistryError):
        log.debug("question not answered", error=str(error))
    else:
        log.error("question broke the resolver", exc_info=error)
    return Reply(rcode=SERVFAIL)
