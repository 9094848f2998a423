"""Serf's agent without its I/O: members with tags and intents, user events, queries, keys.

It is the delegate of its :class:`~.swim.Swim`, which it owns: everything goes through here.

Invariants
    F1  What comes again is neither emitted nor passed on again.
    F2  An intent of ours to leave that others still believe in after we came back is overruled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from . import wire
from .addresses import Address, to_bytes, to_text
from .broadcasts import Broadcasts, Done
from .config import PoolConfig
from .coordinates import Coordinate, CoordinateClient
from .effects import Dropped, Effect, ExchangeStates
from .errors import EventTooLarge, MalformedMessage, MembershipError
from .event_buffer import RecentEntries
from .events import Event, Member, MemberStatus, NameConflict, QueryReceived, UserEvent
from .keyring import OVERHEAD, Keyring
from .keyring_queries import answer_internal
from .lamport import LamportClock
from .messages import Kind, PushPull
from .packets import CHECKSUM_SIZE
from .peers import Peer
from .queries import INTERNAL, NANOSECONDS, PendingQuery, encode_filters, is_for
from .roster import Roster, describe
from .serf_messages import (
    BufferedEvent,
    EventsAt,
    JoinIntent,
    LeaveIntent,
    QueryFlag,
    QueryMessage,
    QueryResponse,
    RelayHeader,
    SerfKind,
    SerfMessage,
    SerfState,
    UDPAddress,
    UserEventMessage,
    decode,
    encode,
    encode_relay,
    encode_tags,
    read_relay,
)
from .swim import MAX_META, PROTOCOL, PROTOCOL_MAX, PROTOCOL_MIN, Swim
from .timers import Timers

DELEGATE_MIN: Final = 2
DELEGATE_MAX: Final = 5
DELEGATE: Final = 4
VSN: Final = bytes((PROTOCOL_MIN, PROTOCOL_MAX, PROTOCOL, DELEGATE_MIN, DELEGATE_MAX, DELEGATE))
RELAYS_FROM: Final = 5
"""The delegate version that passes on what it is asked to."""

COORDINATE_VERSION: Final = 1
MAX_EVENT: Final = 9 * 1024
MAX_PENDING: Final = 1024
"""Queries of ours under way."""


Admit = Callable[[Member], str | None]
"""Why a member may not be in this pool; ``None`` when it may."""


class Serf:
    """One agent of a pool."""

    def __init__(
        self,
        config: PoolConfig,
        rng: Random,
        *,
        name: str,
        address: Address,
        tags: Mapping[str, str],
        keyring: Keyring | None = None,
        admit: Admit | None = None,
    ) -> None:
        self._admit = admit
        self._config = config
        self._rng = rng
        self.name = name
        self.tags = dict(tags)
        self.keyring = keyring
        self.clock = LamportClock()
        self.event_clock = LamportClock()
        self.query_clock = LamportClock()
        self.ignoring_old_events = False
        """Whether a join that is under way takes no events from before it."""

        self._events: list[Event] = []
        self._timers = Timers()
        self._now = 0.0
        self._seen_events: RecentEntries[tuple[str, bytes]] = RecentEntries(config.event_buffer)
        self._seen_queries: RecentEntries[int] = RecentEntries(config.query_buffer)
        self._pending: dict[int, PendingQuery] = {}
        self.coordinates = CoordinateClient(rng)
        self.known_coordinates: dict[str, Coordinate] = {}
        envelope = CHECKSUM_SIZE + (OVERHEAD if keyring is not None else 0)
        envelope += len(config.label.encode()) + 2 if config.label else 0
        self.swim = Swim(
            config,
            self,
            rng,
            name=name,
            address=address,
            meta=checked_tags(self.tags),
            vsn=VSN,
            envelope=envelope,
        )
        self.intent_queue, self.event_queue, self.query_queue = (
            Broadcasts(
                mult=config.retransmit_mult,
                members=self.swim.peers.__len__,
                depth=config.queue_depth,
            )
            for _ in range(3)
        )
        self.roster = Roster(
            config,
            name,
            self.clock,
            self._timers,
            emit=self._events.append,
            stay=self.intend_to_join,
        )

    # -- time ----------------------------------------------------------------------------------

    def start(self, *, now: float) -> None:
        """Be alive."""
        self._now = now
        self.swim.start(now=now)
        self._timers.at(now + self._config.reap_interval, self._reap)
        self._timers.at(now + self._config.reconnect_interval, self._reconnect)

    def next_deadline(self) -> float | None:
        """When :meth:`advance` next has work."""
        deadlines = (self._timers.next_deadline(), self.swim.next_deadline())
        return min((each for each in deadlines if each is not None), default=None)

    def advance(self, *, now: float) -> None:
        """Do what is due."""
        self._now = now
        self.swim.advance(now=now)
        self._timers.run(now=now)

    def take_effects(self) -> list[Effect]:
        """What to do, in order, since this was last called."""
        return self.swim.take_effects()

    def take_events(self) -> list[Event]:
        """What happened, in order, since this was last called."""
        events = list(self._events)
        self._events.clear()
        return events

    def _reap(self, now: float) -> None:
        self._timers.at(now + self._config.reap_interval, self._reap)
        self.roster.reap(now=now)
        for name in self.known_coordinates.keys() - self.roster.by_name.keys():
            self.coordinates.forget(name)
            del self.known_coordinates[name]

    def _reconnect(self, now: float) -> None:
        self._timers.at(now + self._config.reconnect_interval, self._reconnect)
        failed = self.roster.with_status(MemberStatus.FAILED)
        if not failed:
            return
        left = len(self.roster.with_status(MemberStatus.LEFT))
        # one member of the pool, on average, asks each failed one in each interval
        others = max(1, len(self.roster.by_name) - len(failed) - left)
        if self._rng.random() > len(failed) / others:
            return
        member = self._rng.choice(failed).member
        address = (member.address, member.port)
        self.swim.outbox.effects.append(ExchangeStates(address, member.name, join=True))

    # -- what arrives --------------------------------------------------------------------------

    def receive(self, content: bytes, source: Address, *, now: float) -> None:
        """Take one message out of a packet."""
        self._now = now
        self.swim.receive(content, source, now=now)

    def local_view(self, *, join: bool, now: float) -> PushPull:
        """Our half of a push-pull."""
        self._now = now
        return self.swim.local_state(join=join)

    def merge_view(self, remote: PushPull, *, now: float) -> None:
        """Fold in the other half.

        Raises:
            ProtocolMismatch: no version is spoken by both sides. Nothing was merged.
        """
        self._now = now
        self.swim.merge(remote, now=now)

    def receive_user(self, content: bytes, *, now: float) -> None:
        """Take one Serf message."""
        self._now = now
        if content[:1] == bytes((SerfKind.RELAY,)):
            self._relay(content)
            return
        queue = self._take(decode(content), now)
        if queue is not None:
            self._spread(queue, content)

    def _take(self, message: SerfMessage, now: float) -> Broadcasts | None:
        """Take ``message``; return where to queue it if it is news for others."""
        news, queue = False, self.intent_queue
        match message:
            case LeaveIntent():
                news = self.roster.leave_intent(message, now=now)
            case JoinIntent():
                news = self.roster.join_intent(message, now=now)
            case UserEventMessage():
                news, queue = self._take_event(message), self.event_queue
            case QueryMessage():
                news, queue = self._take_query(message, now), self.query_queue
            case QueryResponse():
                self._take_response(message)
            case _:
                self._drop("unknown type")
        return queue if news else None

    def _drop(self, reason: str) -> None:
        self.swim.outbox.effects.append(Dropped(reason))

    def _spread(self, queue: Broadcasts, content: bytes, done: Done | None = None) -> None:
        queue.add(bytes((Kind.USER,)) + content, done=done)
        self.swim.wake()

    def _relay(self, content: bytes) -> None:
        header, message = read_relay(content)
        to = (to_text(header.dest_addr.ip), header.dest_addr.port)
        if not any(peer.address == to for peer in self.swim.peers):
            self._drop("relay to a stranger")
            return
        self._send_user(to, message)

    def _send_user(self, to: Address, content: bytes) -> None:
        parts = [bytes((Kind.USER,)) + content]
        self.swim.outbox.send_parts(to, parts, peer=None)

    # -- SWIM's delegate -----------------------------------------------------------------------

    def refusal(self, peer: Peer) -> str | None:
        """Why ``peer`` may not be in this pool; ``None`` when it may."""
        if self._admit is None:
            return None
        return self._admit(describe(peer, MemberStatus.ALIVE))

    def joined(self, peer: Peer, *, now: float) -> None:
        """SWIM says that ``peer`` is alive."""
        self.roster.joined(peer, now=now)

    def updated(self, peer: Peer, *, now: float) -> None:
        """SWIM says that ``peer`` changed."""
        del now
        self.roster.updated(peer)

    def departed(self, peer: Peer, *, now: float) -> None:
        """SWIM says that ``peer`` is gone."""
        self.roster.departed(peer, now=now)

    def conflicted(self, peer: Peer, claimed: Address, *, now: float) -> None:
        """SWIM says that two use one name."""
        del now
        self._events.append(NameConflict(peer.name, peer.address, claimed))

    def news(self, overhead: int, space: int) -> list[bytes]:
        """Intents first, then queries, then events."""
        taken: list[bytes] = []
        for queue in (self.intent_queue, self.query_queue, self.event_queue):
            if len(queue):
                some = queue.take(overhead=overhead, limit=space)
                space -= sum(map(len, some)) + overhead * len(some)
                taken += some
        return taken

    def has_news(self) -> bool:
        """Whether anything waits."""
        return bool(self.intent_queue) or bool(self.query_queue) or bool(self.event_queue)

    def ack_payload(self) -> bytes:
        """Our coordinate."""
        if not self._config.coordinates:
            return b""
        return bytes((COORDINATE_VERSION,)) + wire.pack(self.coordinates.coordinate)

    def acked(self, name: str, rtt: float, payload: bytes) -> None:
        """Learn where ``name`` is in the network."""
        if not self._config.coordinates or not payload:
            return
        if payload[0] != COORDINATE_VERSION:
            self._drop("wrong coordinate version")
            return
        try:
            coordinate = wire.unpack(Coordinate, payload[1:])
        except MalformedMessage as error:
            self._drop(error.reason)
            return
        if self.coordinates.update(name, coordinate, rtt):
            self.known_coordinates[name] = coordinate
            self.known_coordinates[self.name] = self.coordinates.coordinate
        else:
            self._drop("wrong coordinate")

    def local_state(self, *, join: bool) -> bytes:
        """Serf's part of a push-pull."""
        del join
        tracked = self.roster.by_name
        state = SerfState(
            ltime=self.clock.time,
            status_ltimes={name: each.ltime for name, each in tracked.items()},
            left_members=tuple(
                [each.member.name for each in self.roster.with_status(MemberStatus.LEFT)]
            ),
            event_ltime=self.event_clock.time,
            events=tuple(
                [
                    EventsAt(ltime, tuple([BufferedEvent(*each) for each in entries]))
                    for ltime, entries in self._seen_events.all()
                ]
            ),
            query_ltime=self.query_clock.time,
        )
        return encode(state)

    def merge_state(self, content: bytes, *, join: bool, now: float) -> None:
        """Fold in the other side's intents and recent events."""
        state = decode(content)
        if not isinstance(state, SerfState):
            raise MalformedMessage("wrong user state")
        for clock, time in (
            (self.clock, state.ltime),
            (self.event_clock, state.event_ltime),
            (self.query_clock, state.query_ltime),
        ):
            if time > 0:
                clock.witness(time - 1)
        left = set(state.left_members)
        for name, ltime in state.status_ltimes.items():
            if name in left:
                self.roster.leave_intent(LeaveIntent(ltime, name), now=now)
            else:
                self.roster.join_intent(JoinIntent(ltime, name), now=now)
        if join and self.ignoring_old_events:
            self._seen_events.least = max(self._seen_events.least, state.event_ltime)
            return
        for at in state.events:
            for event in at.events if at is not None else ():
                assert at is not None
                self._take_event(UserEventMessage(at.ltime, event.name, event.payload))

    # -- members -------------------------------------------------------------------------------

    def members(self) -> list[Member]:
        """All members, by name."""
        return [self.roster.by_name[name].member for name in sorted(self.roster.by_name)]

    def describe(self, tags: Mapping[str, str], *, now: float, done: Done | None = None) -> None:
        """Change our tags, and tell everybody.

        Raises:
            MembershipError: they are too long.
        """
        self._now = now
        meta = checked_tags(tags)
        self.tags = dict(tags)
        self.swim.describe(meta, now=now, done=done)

    def intend_to_join(self) -> None:
        """Tell everybody that we mean to stay (F2)."""
        intent = JoinIntent(self.clock.increment(), self.name)
        self.roster.join_intent(intent, now=self._now)
        self._spread(self.intent_queue, encode(intent))

    def intend_to_leave(self, *, now: float, done: Done) -> None:
        """Tell everybody that we mean to leave; ``done`` when that was said often enough."""
        self._now = now
        self.roster.leaving = True
        self._spread_leave(LeaveIntent(self.clock.increment(), self.name), now, done)

    def force_leave(self, name: str, *, prune: bool, now: float, done: Done) -> None:
        """Treat the failed member ``name`` as one that left; if it is alive, it will object."""
        self._now = now
        self._spread_leave(LeaveIntent(self.clock.increment(), name, prune), now, done)

    def _spread_leave(self, intent: LeaveIntent, now: float, done: Done) -> None:
        self.roster.leave_intent(intent, now=now)
        if self.swim.has_others():
            self._spread(self.intent_queue, encode(intent), done)
        else:
            done()

    # -- user events ---------------------------------------------------------------------------

    def user_event(self, name: str, payload: bytes, *, coalesce: bool, now: float) -> None:
        """Tell the whole pool, ourselves included.

        Raises:
            EventTooLarge: it does not fit.
        """
        self._now = now
        limit = self._config.user_event_size_limit
        if len(name.encode()) + len(payload) > limit:
            raise EventTooLarge(
                f"user event exceeds configured limit of {limit} bytes before encoding"
            )
        event = UserEventMessage(self.event_clock.time, name, payload, coalesce)
        content = encode(event)
        if len(content) > MAX_EVENT:
            raise EventTooLarge(
                f"encoded user event exceeds sane limit of {MAX_EVENT} bytes after encoding"
            )
        self.event_clock.increment()
        self._take_event(event)
        self._spread(self.event_queue, content)

    def _take_event(self, event: UserEventMessage) -> bool:
        self.event_clock.witness(event.ltime)
        entry = (event.name, event.payload)
        if not self._seen_events.take(event.ltime, entry, newest=self.event_clock.time):
            return False  # F1
        self._events.append(UserEvent(event.ltime, event.name, event.payload, event.coalesce))
        return True

    # -- queries -------------------------------------------------------------------------------

    def query(
        self,
        name: str,
        payload: bytes,
        *,
        now: float,
        changed: Callable[[], None],
        nodes: tuple[str, ...] = (),
        tags: Mapping[str, str] | None = None,
        ack: bool = False,
        relay_factor: int = 0,
        timeout: float,
    ) -> PendingQuery:
        """Ask all members, or those that the filters let through, ourselves included.

        Raises:
            EventTooLarge: the query does not fit.
            MembershipError: too many are under way.
        """
        self._now = now
        if len(self._pending) >= MAX_PENDING:
            raise MembershipError(f"{MAX_PENDING} queries are under way")
        host, port = self.swim.own.address
        message = QueryMessage(
            ltime=self.query_clock.time,
            id=self._rng.getrandbits(32),
            addr=to_bytes(host),
            port=port,
            source_node=self.name,
            filters=encode_filters(nodes, tags or {}),
            flags=QueryFlag.ACK if ack else 0,
            relay_factor=relay_factor,
            timeout=int(timeout * NANOSECONDS),
            name=name,
            payload=payload,
        )
        content = encode(message)
        limit = self._config.query_size_limit
        if len(content) > limit:
            raise EventTooLarge(f"query exceeds limit of {limit} bytes")
        self.query_clock.increment()
        pending = PendingQuery(message.ltime, message.id, now + timeout, changed)
        self._pending[message.id] = pending

        def finish(_: float) -> None:
            self._pending.pop(message.id, None)
            pending.finish()

        self._timers.at(pending.deadline, finish)
        self._take_query(message, now)
        self._spread(self.query_queue, content)
        return pending

    def _take_query(self, query: QueryMessage, now: float) -> bool:
        """Take a query of anybody's; whether it is news for others."""
        self.query_clock.witness(query.ltime)
        if not self._seen_queries.take(query.ltime, query.id, newest=self.query_clock.time):
            return False  # F1
        if is_for(query.filters, self.name, self.tags):
            received = QueryReceived(
                ltime=query.ltime,
                id=query.id,
                name=query.name,
                payload=query.payload,
                source_node=query.source_node,
                source=(to_text(query.addr), query.port),
                relay_factor=query.relay_factor,
                deadline=now + query.timeout / NANOSECONDS,
            )
            if query.flags & QueryFlag.ACK:
                self._answer(received, QueryFlag.ACK, b"")
            if not query.name.startswith(INTERNAL):
                self._events.append(received)
            else:
                self._answer_internal(received)
        return not query.flags & QueryFlag.NO_BROADCAST

    def _answer_internal(self, query: QueryReceived) -> None:
        limit = self._config.query_response_size_limit
        known = self.roster.by_name
        answer = answer_internal(
            query.name.removeprefix(INTERNAL),
            query.payload,
            keyring=self.keyring,
            member=lambda name: known[name].member if name in known else None,
            own_name=self.name,
            limit=limit - 128,  # what the response says beside it
        )
        if answer is None:
            return
        try:
            self._answer(query, 0, answer)
        except EventTooLarge:
            self._drop("answer too large")

    def respond(self, query: QueryReceived, payload: bytes, *, now: float) -> None:
        """Answer ``query``.

        Raises:
            EventTooLarge: the answer does not fit.
            MembershipError: nobody waits for it any more.
        """
        self._now = now
        if now > query.deadline:
            raise MembershipError("response is past the deadline")
        self._answer(query, 0, payload)

    def _answer(self, query: QueryReceived, flags: int, payload: bytes) -> None:
        response = QueryResponse(query.ltime, query.id, self.name, flags, payload)
        if query.source_node == self.name or query.source == self.swim.own.address:
            self._take_response(response)
            return
        content = encode(response)
        limit = self._config.query_response_size_limit
        if len(content) > limit:
            raise EventTooLarge(f"response exceeds limit of {limit} bytes")
        self._send_user(query.source, content)
        if not query.relay_factor:
            return
        header = RelayHeader(
            UDPAddress(to_bytes(query.source[0]), query.source[1]), query.source_node
        )
        relayed = encode_relay(header, content)
        for peer in self.swim.peers.choose(
            query.relay_factor,
            lambda peer: (
                not peer.gone
                and peer.name != query.source_node
                and peer.vsn[4:5] >= bytes((RELAYS_FROM,))
            ),
        ):
            self._send_user(peer.address, relayed)

    def _take_response(self, response: QueryResponse) -> None:
        pending = self._pending.get(response.id)
        if pending is None or pending.ltime != response.ltime:
            self._drop("unasked response")
            return
        pending.receive(response)


def checked_tags(tags: Mapping[str, str]) -> bytes:
    """``tags`` as a member's meta.

    Raises:
        MembershipError: they are too long for it.
    """
    meta = encode_tags(dict(tags))
    if len(meta) > MAX_META:
        raise MembershipError(f"Encoded length of tags exceeds limit of {MAX_META} bytes")
    return meta
