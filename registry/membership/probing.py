"""Is it alive? Ask it, have others ask it, ask it through a stream; then suspect it.

Source: SWIM, section 3.1; Lifeguard (Dadgar, Phillips, Currey 2018) for nacks and self-doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import addresses
from .addresses import Address
from .awareness import Awareness
from .config import PoolConfig
from .effects import Dropped, PingByStream
from .messages import Ack, IndirectPing, Nack, Ping, State, Suspect
from .outbox import Outbox
from .peers import Peer, Peers
from .timers import Timers

MAX_RELAYED = 1024
"""Probes that we do for others at one time."""

Acked = Callable[[str, float, bytes], None]
"""Told the member's name, the round trip time in seconds, and the answer's payload."""


@dataclass(slots=True)
class Probe:
    """One probe of ours under way."""

    seq_no: int
    name: str
    incarnation: int
    sent: float
    deadline: float
    awaited_nacks: int = 0
    nacks: int = 0
    indirect: bool = False
    """Whether others were asked by now."""


@dataclass(slots=True)
class Relayed:
    """A probe that we do for somebody else."""

    seq_no: int
    """Theirs."""
    requester: Address
    nack: bool


class Prober:
    """The probes of one member, ours and those we do for others."""

    def __init__(
        self,
        config: PoolConfig,
        peers: Peers,
        outbox: Outbox,
        timers: Timers,
        *,
        own: Peer,
        acked: Acked,
        suspect: Callable[[Suspect, float], None],
    ) -> None:
        self._config = config
        self._peers = peers
        self._outbox = outbox
        self._timers = timers
        self._own = own
        self._acked = acked
        self._suspect = suspect
        self._seq_no = 0
        self._current: Probe | None = None
        self._relayed: dict[int, Relayed] = {}
        self.awareness = Awareness(config.awareness_max_multiplier)

    def tick(self, now: float) -> None:
        """Probe the next member, and come back when the next one is due."""
        if self._current is not None:
            # a doubtful probe takes longer than the interval: wait for its end
            self._timers.at(max(now, self._current.deadline), self.tick)
            return
        self._timers.at(now + self._config.probe_interval, self.tick)
        peer = self._peers.next_to_probe(forget_before=now - self._config.gossip_to_the_dead_time)
        if peer is not None:
            self._probe(peer, now)

    def _probe(self, peer: Peer, now: float) -> None:
        probe = Probe(
            seq_no=self._next_seq_no(),
            name=peer.name,
            incarnation=peer.incarnation,
            sent=now,
            deadline=now + self.awareness.stretch(self._config.probe_interval),
        )
        self._current = probe
        ping = self._ping(probe.seq_no, peer.name)
        if peer.state is State.SUSPECT:
            # let it hear of the suspicion at once, so that it can refute it
            accusation = Suspect(peer.incarnation, peer.name, self._own.name)
            self._outbox.send(peer.address, ping, accusation, peer=peer)
        else:
            self._outbox.send(peer.address, ping, peer=peer)
        self._timers.at(now + self._config.probe_timeout, lambda at: self._ask_others(probe, at))
        self._timers.at(probe.deadline, lambda at: self._conclude(probe, at))

    def _ping(self, seq_no: int, name: str) -> Ping:
        host, port = self._own.address
        return Ping(
            seq_no=seq_no,
            node=name,
            source_addr=addresses.to_bytes(host),
            source_port=port,
            source_node=self._own.name,
        )

    def _ask_others(self, probe: Probe, now: float) -> None:
        del now
        peer = self._peers.by_name.get(probe.name)
        if probe is not self._current or peer is None:
            return
        probe.indirect = True
        host, port = peer.address
        source_host, source_port = self._own.address
        for other in self._peers.choose(
            self._config.indirect_checks,
            lambda other: other.name != probe.name and other.state is State.ALIVE,
        ):
            nack = other.speaks(4)
            probe.awaited_nacks += nack
            request = IndirectPing(
                seq_no=probe.seq_no,
                target=addresses.to_bytes(host),
                port=port,
                node=peer.name,
                nack=nack,
                source_addr=addresses.to_bytes(source_host),
                source_port=source_port,
                source_node=self._own.name,
            )
            self._outbox.send(other.address, request, peer=other)
        if self._config.stream_pings and peer.speaks(3):
            effect = PingByStream(peer.address, peer.name, probe.seq_no, probe.deadline)
            self._outbox.effects.append(effect)

    def _conclude(self, probe: Probe, now: float) -> None:
        if probe is not self._current:
            return
        self._current = None
        # missing nacks mean that others cannot hear us, or we them
        missing = probe.awaited_nacks - probe.nacks if probe.awaited_nacks else 1
        self.awareness.change(max(0, missing))
        self._suspect(Suspect(probe.incarnation, probe.name, self._own.name), now)

    def _succeed(self) -> None:
        self._current = None
        self.awareness.change(-1)

    def answered_by_stream(self, seq_no: int) -> None:
        """The member that the probe ``seq_no`` is about answered through a stream."""
        if self._current is not None and self._current.seq_no == seq_no:
            self._succeed()

    def receive_ack(self, ack: Ack, *, now: float) -> None:
        """Somebody is alive."""
        probe = self._current
        if probe is not None and probe.seq_no == ack.seq_no:
            self._succeed()
            if not probe.indirect:
                self._acked(probe.name, now - probe.sent, ack.payload)
            return
        relayed = self._relayed.pop(ack.seq_no, None)
        if relayed is None:
            self._outbox.effects.append(Dropped("unasked ack"))
            return
        self._outbox.send(relayed.requester, Ack(relayed.seq_no))

    def receive_nack(self, nack: Nack) -> None:
        """Whoever we asked to probe for us could not reach the member either, but hears us."""
        probe = self._current
        if probe is not None and probe.seq_no == nack.seq_no and probe.nacks < probe.awaited_nacks:
            probe.nacks += 1

    def receive_ping(self, ping: Ping, source: Address, payload: bytes) -> None:
        """Say that we are alive, if we are meant."""
        if ping.node not in ("", self._own.name):
            self._outbox.effects.append(Dropped("ping for another"))
            return
        peer = self._peers.by_name.get(ping.source_node)
        self._outbox.send(source, Ack(ping.seq_no, payload), peer=peer)

    def receive_indirect_ping(self, request: IndirectPing, source: Address, *, now: float) -> None:
        """Probe for somebody else."""
        if len(self._relayed) >= MAX_RELAYED:
            self._outbox.effects.append(Dropped("too many indirect pings"))
            return
        to = (addresses.to_text(request.target), request.port)
        seq_no = self._next_seq_no()
        self._relayed[seq_no] = Relayed(request.seq_no, source, request.nack)
        peer = self._peers.by_name.get(request.node)
        self._outbox.send(to, self._ping(seq_no, request.node), peer=peer)
        self._timers.at(
            now + self._config.probe_timeout, lambda at: self._give_up_relayed(seq_no, at)
        )

    def _give_up_relayed(self, seq_no: int, now: float) -> None:
        del now
        relayed = self._relayed.pop(seq_no, None)
        if relayed is not None and relayed.nack:
            self._outbox.send(relayed.requester, Nack(relayed.seq_no))

    def _next_seq_no(self) -> int:
        self._seq_no = (self._seq_no + 1) & 0xFFFF_FFFF
        return self._seq_no
