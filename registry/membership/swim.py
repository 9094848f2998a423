"""Who is alive: SWIM with Lifeguard, as memberlist speaks it.

Sans-IO: messages and ``now`` come in; what has to be sent goes out as effects, what is to be known
above goes to the delegate. ``serf.py`` is the delegate, ``driver.py`` runs both.

Invariants
    S1  A member's incarnation never falls. At one incarnation dead beats suspect beats alive.
    S2  Only we raise our own incarnation, and always above what we are accused of.
    S3  A suspicion belongs to one incarnation: a newer alive message ends it.
    S4  While something is queued and somebody is there to hear it, the gossip timer is set; an
        idle member is not woken by it.

Source: SWIM (Das, Gupta, Motivala 2002), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, log2
from random import Random
from typing import Final, Protocol

from . import addresses, suspicion
from .addresses import Address
from .broadcasts import Broadcasts, Done
from .config import PoolConfig
from .effects import Dropped, Effect, ExchangeStates
from .errors import MalformedMessage, MergeRefused, ProtocolMismatch
from .messages import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    Kind,
    MemberState,
    Nack,
    Ping,
    PushPull,
    State,
    Suspect,
    decode,
)
from .outbox import Outbox
from .peers import VERSIONS, Peer, Peers
from .probing import Prober
from .timers import Timer, Timers

PROTOCOL_MIN: Final = 1
PROTOCOL_MAX: Final = 5
PROTOCOL: Final = 2
MAX_META: Final = 512
"""Bytes of a member's description. Source: memberlist, ``MetaMaxSize``."""

MAX_NAME: Final = 512
MAX_INCARNATION: Final = 0xFFFF_FFFF
PUSH_PULL_THRESHOLD: Final = 32
"""Members from which on push-pulls are done less often."""


class Delegate(Protocol):
    """The layer above."""

    def refusal(self, peer: Peer) -> str | None:
        """Why ``peer`` may not be in this pool; ``None`` when it may."""

    def joined(self, peer: Peer, *, now: float) -> None:
        """``peer`` is alive, and was unknown or gone before."""

    def updated(self, peer: Peer, *, now: float) -> None:
        """``peer`` describes itself differently, or has moved."""

    def departed(self, peer: Peer, *, now: float) -> None:
        """``peer`` is dead, or has left."""

    def conflicted(self, peer: Peer, claimed: Address, *, now: float) -> None:
        """Somebody at ``claimed`` uses the name of ``peer``."""

    def receive_user(self, content: bytes, *, now: float) -> None:
        """A message of the layer above came."""

    def news(self, overhead: int, space: int) -> list[bytes]:
        """Messages to ride along, each taking ``overhead`` beside itself, ``space`` in all."""

    def has_news(self) -> bool:
        """Whether anything waits to ride along."""

    def ack_payload(self) -> bytes:
        """What to send along with an ack."""

    def acked(self, name: str, rtt: float, payload: bytes) -> None:
        """``name`` answered a probe after ``rtt`` seconds, with ``payload``."""

    def local_state(self, *, join: bool) -> bytes:
        """What to add to a push-pull."""

    def merge_state(self, content: bytes, *, join: bool, now: float) -> None:
        """What the other side added to a push-pull."""


class Swim:
    """One member of a pool."""

    def __init__(
        self,
        config: PoolConfig,
        delegate: Delegate,
        rng: Random,
        *,
        name: str,
        address: Address,
        meta: bytes,
        vsn: bytes,
        envelope: int,
    ) -> None:
        assert len(vsn) == VERSIONS
        self._config = config
        self._delegate = delegate
        self._rng = rng
        self.peers = Peers(name, rng)
        self.own = Peer(name, address, meta, vsn, 0, State.DEAD, 0.0)
        self._timers = Timers()
        self._gossip_timer: Timer | None = None
        self._now = 0.0
        self._leaving = False
        self._incarnation = 0
        queue = Broadcasts(
            mult=config.retransmit_mult,
            members=self.peers.__len__,
            depth=2 * config.max_members,
        )
        self.outbox = Outbox(
            queue,
            packet_size=config.packet_size,
            envelope=envelope,
            more=delegate.news,
            wake=self.wake,
        )
        self.prober = Prober(
            config,
            self.peers,
            self.outbox,
            self._timers,
            own=self.own,
            acked=delegate.acked,
            suspect=self._suspect,
        )

    # -- time ----------------------------------------------------------------------------------

    def start(self, *, now: float) -> None:
        """Be alive, and begin to probe."""
        self._now = now
        self.peers.add(self.own)
        self._incarnation += 1
        self._declare_own(self.own.meta, now)
        random = self._rng.random
        self._timers.at(now + random() * self._config.probe_interval, self.prober.tick)
        self._timers.at(now + random() * self._config.push_pull_interval, self._push_pull)

    def next_deadline(self) -> float | None:
        """When :meth:`advance` next has work."""
        return self._timers.next_deadline()

    def advance(self, *, now: float) -> None:
        """Do what is due."""
        self._now = now
        self._timers.run(now=now)

    def take_effects(self) -> list[Effect]:
        """What to do, in order, since this was last called."""
        return self.outbox.take()

    def wake(self) -> None:
        """Something is there to be told: gossip soon, if anybody is there (S4)."""
        if self._gossip_timer is None and len(self.peers) > 1:
            when = self._now + self._config.gossip_interval
            self._gossip_timer = self._timers.at(when, self._gossip)

    def _gossip(self, now: float) -> None:
        self._gossip_timer = None
        audible_from = now - self._config.gossip_to_the_dead_time
        targets = self.peers.choose(
            self._config.gossip_nodes, lambda peer: not peer.gone or peer.changed >= audible_from
        )
        for peer in targets:
            parts = self.outbox.news()
            if not parts:
                break
            self.outbox.send_parts(peer.address, parts, peer=peer)
        anybody = targets or self.has_others()
        if anybody and (len(self.outbox.queue) or self._delegate.has_news()):
            self.wake()

    def _push_pull(self, now: float) -> None:
        interval = self._config.push_pull_interval
        members = len(self.peers)
        if members > PUSH_PULL_THRESHOLD:
            interval *= ceil(log2(members) - log2(PUSH_PULL_THRESHOLD)) + 1
        self._timers.at(now + interval, self._push_pull)
        for peer in self.peers.choose(1, lambda peer: peer.state is State.ALIVE):
            self.outbox.effects.append(ExchangeStates(peer.address, peer.name))

    # -- what arrives --------------------------------------------------------------------------

    def receive(self, content: bytes, source: Address, *, now: float) -> None:
        """Take one message out of a packet from ``source``; what is wrong is dropped."""
        self._now = now
        try:
            if content[:1] == bytes((Kind.USER,)):
                self._delegate.receive_user(content[1:], now=now)
            else:
                self._receive(content, source, now)
        except MalformedMessage as error:
            self.outbox.effects.append(Dropped(error.reason))

    def _receive(self, content: bytes, source: Address, now: float) -> None:
        message = decode(content)
        match message:
            case Ping():
                self.prober.receive_ping(message, source, self._delegate.ack_payload())
            case Ack():
                self.prober.receive_ack(message, now=now)
            case IndirectPing():
                self.prober.receive_indirect_ping(message, source, now=now)
            case Nack():
                self.prober.receive_nack(message)
            case Suspect():
                self._suspect(message, now)
            case Alive():
                self._alive(message, now)
            case Dead():
                self._dead(message, now)
            case _:
                self.outbox.effects.append(Dropped("unknown type"))

    def answered_by_stream(self, seq_no: int, *, now: float) -> None:
        """A ping by stream came back."""
        self._now = now
        self.prober.answered_by_stream(seq_no)

    # -- push-pull -----------------------------------------------------------------------------

    def local_state(self, *, join: bool) -> PushPull:
        """Our whole view, for the other side of a push-pull."""
        states = [peer.snapshot() for peer in self.peers]
        return PushPull(states, self._delegate.local_state(join=join), join)

    def merge(self, remote: PushPull, *, now: float) -> None:
        """Fold the other side's whole view into ours.

        Raises:
            ProtocolMismatch: no version is spoken by both sides. Nothing was merged.
            MergeRefused: somebody there may not be in this pool. Nothing was merged.
        """
        self._now = now
        if remote.join:
            check_protocols(remote.states)
            self._check_admission(remote.states, now)
        for state in remote.states:
            try:
                self._merge_one(state, now)
            except MalformedMessage as error:
                self.outbox.effects.append(Dropped(error.reason))
        if remote.user_state:
            try:
                self._delegate.merge_state(remote.user_state, join=remote.join, now=now)
            except MalformedMessage as error:
                self.outbox.effects.append(Dropped(error.reason))

    def _check_admission(self, states: Iterable[MemberState], now: float) -> None:
        for state in states:
            if state.state != State.ALIVE:
                continue
            address = (addresses.to_text(state.addr), state.port)
            peer = Peer(state.name, address, state.meta, state.vsn, 0, State.ALIVE, now)
            reason = self._delegate.refusal(peer)
            if reason is not None:
                raise MergeRefused(f"Merge canceled: {reason}")

    def _merge_one(self, state: MemberState, now: float) -> None:
        if state.state == State.ALIVE:
            alive = Alive(
                state.incarnation, state.name, state.addr, state.port, state.meta, state.vsn
            )
            self._alive(alive, now)
        elif state.state == State.LEFT:
            self._dead(Dead(state.incarnation, state.name, state.name), now)
        elif state.state in (State.SUSPECT, State.DEAD):
            # the dead are only suspected on hearsay, so that they can refute it
            self._suspect(Suspect(state.incarnation, state.name, self.own.name), now)
        else:
            raise MalformedMessage("wrong state", str(state.state))

    # -- ourselves -----------------------------------------------------------------------------

    def describe(self, meta: bytes, *, now: float, done: Done | None = None) -> None:
        """Change our own description, and tell everybody."""
        self._now = now
        self._incarnation += 1
        self._declare_own(meta, now, done)

    def _declare_own(self, meta: bytes, now: float, done: Done | None = None) -> None:
        own = self.own
        own.incarnation = self._incarnation
        changed, own.meta = own.meta != meta, meta
        if own.state is not State.ALIVE:
            own.state, own.changed = State.ALIVE, now
            self._tell_own(done)
            self._delegate.joined(own, now=now)
        else:
            self._tell_own(done)
            if changed:
                self._delegate.updated(own, now=now)

    def _tell_own(self, done: Done | None = None) -> None:
        own = self.own
        alive = Alive(
            own.incarnation,
            own.name,
            addresses.to_bytes(own.address[0]),
            own.address[1],
            own.meta,
            own.vsn,
        )
        self.outbox.broadcast(own.name, alive, done)

    def _refute(self, accused: int) -> None:
        if accused >= MAX_INCARNATION:
            raise MalformedMessage("last incarnation")
        self._incarnation = max(self._incarnation, accused) + 1  # S2
        self.own.incarnation = self._incarnation
        self.prober.awareness.change(1)
        self._tell_own()

    def leave(self, *, now: float, done: Done) -> None:
        """Tell everybody that we leave. ``done`` is called when that was said often enough."""
        self._now = now
        self._leaving = True
        if not self.has_others():
            done()
        own = self.own
        if own.state is not State.LEFT:
            own.state, own.changed = State.LEFT, now
            self.outbox.broadcast(own.name, Dead(own.incarnation, own.name, own.name), done)
            self._delegate.departed(own, now=now)

    def has_others(self) -> bool:
        """Whether anybody else is alive."""
        return any(not peer.gone and peer is not self.own for peer in self.peers)

    # -- beliefs -------------------------------------------------------------------------------

    def _alive(self, alive: Alive, now: float) -> None:
        if self._leaving and alive.node == self.own.name:
            return
        address = (addresses.to_text(alive.addr), alive.port)
        check_alive(alive)
        peer = self.peers.by_name.get(alive.node) or self._meet(alive, address, now)
        if peer is self.own:
            self._hear_of_own(alive, address, now)
            return
        moved = peer.address != address
        if moved and not self._may_move(peer, now):
            self._delegate.conflicted(peer, address, now=now)
            return
        if alive.incarnation > peer.incarnation or moved:  # S1
            self._believe_alive(peer, alive, address, now)

    def _meet(self, alive: Alive, address: Address, now: float) -> Peer:
        """Somebody new, dead until it is believed."""
        if len(self.peers) >= self._config.max_members:
            raise MalformedMessage("too many members")
        peer = Peer(alive.node, address, alive.meta, alive.vsn, 0, State.DEAD, now)
        peer.incarnation = -1  # any is newer
        if self._delegate.refusal(peer) is not None:
            raise MalformedMessage("refused")
        self.peers.add(peer)
        return peer

    def _believe_alive(self, peer: Peer, alive: Alive, address: Address, now: float) -> None:
        peer.forget_suspicion()  # S3
        was_gone = peer.gone
        changed = peer.address != address or peer.meta != alive.meta
        peer.address = address
        peer.meta = alive.meta
        peer.vsn = alive.vsn or peer.vsn
        peer.incarnation = alive.incarnation
        if peer.state is not State.ALIVE:
            peer.state, peer.changed = State.ALIVE, now
        self.outbox.broadcast(peer.name, alive)
        if was_gone:
            self._delegate.joined(peer, now=now)
        elif changed:
            self._delegate.updated(peer, now=now)

    def _may_move(self, peer: Peer, now: float) -> bool:
        """Whether the name of ``peer`` is free for another address."""
        reclaim = self._config.dead_node_reclaim_time
        if peer.state is State.DEAD:
            return 0 < reclaim < now - peer.changed
        return peer.state is State.LEFT

    def _hear_of_own(self, alive: Alive, address: Address, now: float) -> None:
        own = self.own
        if address != own.address:
            self._delegate.conflicted(own, address, now=now)
            return
        if alive.incarnation < own.incarnation:
            return
        same = alive.meta == own.meta and alive.vsn == own.vsn
        if alive.incarnation > own.incarnation or not same:
            self._refute(alive.incarnation)

    def _suspect(self, suspect: Suspect, now: float) -> None:
        peer = self.peers.by_name.get(suspect.node)
        if peer is None or suspect.incarnation < peer.incarnation:
            return  # S1
        if peer.suspicion is not None:
            if peer.suspicion.confirm(suspect.from_node):
                self.outbox.broadcast(peer.name, suspect)
                self._await_refutation(peer)
            return
        if peer.state is not State.ALIVE:
            return
        if peer is self.own:
            self._refute(suspect.incarnation)
            return
        self.outbox.broadcast(peer.name, suspect)
        peer.incarnation = suspect.incarnation
        peer.state, peer.changed = State.SUSPECT, now
        config, members = self._config, len(self.peers)
        least = suspicion.shortest(config.suspicion_mult, members, config.probe_interval)
        peer.suspicion = suspicion.Suspicion(
            suspect.from_node,
            awaited=suspicion.awaited_confirmations(config.suspicion_mult, members),
            least=least,
            most=least * config.suspicion_max_timeout_mult,
            now=now,
        )
        self._await_refutation(peer)

    def _await_refutation(self, peer: Peer) -> None:
        assert peer.suspicion is not None
        if peer.timer is not None:
            peer.timer.cancel()

        def give_up(now: float) -> None:
            self._dead(Dead(peer.incarnation, peer.name, self.own.name), now)

        peer.timer = self._timers.at(peer.suspicion.deadline(), give_up)

    def _dead(self, dead: Dead, now: float) -> None:
        peer = self.peers.by_name.get(dead.node)
        if peer is None or dead.incarnation < peer.incarnation or peer.gone:
            return  # S1
        if peer is self.own:
            self._refute(dead.incarnation)
            return
        peer.forget_suspicion()
        self.outbox.broadcast(peer.name, dead)
        peer.incarnation = dead.incarnation
        peer.state = State.LEFT if dead.from_node == dead.node else State.DEAD
        peer.changed = now
        self._delegate.departed(peer, now=now)


def check_alive(alive: Alive) -> None:
    """Refuse what no member says of itself.

    Raises:
        MalformedMessage: the name, the description or the versions cannot be.
    """
    if not 0 < len(alive.node) <= MAX_NAME:
        raise MalformedMessage("wrong name")
    if len(alive.meta) > MAX_META:
        raise MalformedMessage("oversized", "a description")
    if alive.vsn:
        if len(alive.vsn) < 3:
            raise MalformedMessage("wrong versions")
        least, most = alive.vsn[0], alive.vsn[1]
        if not 0 < least <= most:
            raise MalformedMessage("wrong versions")


def check_protocols(states: Iterable[MemberState]) -> None:
    """Whether we understand everybody, and everybody us.

    Raises:
        ProtocolMismatch: somebody who is alive speaks no version that we do.
    """
    for state in states:
        if state.state != State.ALIVE or len(state.vsn) < 3:
            continue
        least, most, current = state.vsn[:3]
        if not (PROTOCOL_MIN <= current <= PROTOCOL_MAX and least <= PROTOCOL <= most):
            message = (
                f"Node '{state.name}' protocol version ({current}) is incompatible: "
                f"[{PROTOCOL_MIN}, {PROTOCOL_MAX}]"
            )
            raise ProtocolMismatch(message)
