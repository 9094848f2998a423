"""A pool of cores in virtual time: one heap of things to come, one seeded rng, nothing real."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from lictor.registry.membership.addresses import Address
from lictor.registry.membership.config import PoolConfig
from lictor.registry.membership.effects import Dropped, ExchangeStates, PingByStream, SendPacket
from lictor.registry.membership.events import Event, MemberChange, MemberEvent
from lictor.registry.membership.messages import PushPull
from lictor.registry.membership.packets import PacketCodec
from lictor.registry.membership.serf import Serf

CODEC = PacketCodec(nonce=lambda: b"", compress=False)


class Node:
    """One agent and what it has told so far."""

    def __init__(self, serf: Serf) -> None:
        self.serf = serf
        self.alive = True
        self.wakes_at: float | None = None
        self.events: list[tuple[float, Event]] = []
        self.dropped: list[str] = []

    def changes(self, change: MemberChange) -> list[str]:
        return [
            event.member.name
            for _, event in self.events
            if isinstance(event, MemberEvent) and event.change is change
        ]

    def statuses(self) -> dict[str, str]:
        return {member.name: str(member.status) for member in self.serf.members()}


class SimulatedPool:
    """Agents ``n0``, ``n1``, ... on a network with latency and loss."""

    def __init__(
        self,
        size: int,
        *,
        seed: int = 0,
        config: PoolConfig | None = None,
        loss: float = 0.0,
        latency: tuple[float, float] = (0.0005, 0.005),
        joined: bool = True,
    ) -> None:
        self.rng = Random(seed)
        self.config = config or PoolConfig()
        self.loss = loss
        self.latency = latency
        self.now = 100.0
        self.packets = 0
        self.cut: set[frozenset[str]] = set()
        """Pairs of names that do not hear each other."""
        self.nodes: dict[str, Node] = {}
        self._by_address: dict[Address, Node] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        for number in range(size):
            self.add(f"n{number}")
        if joined:
            self.know_each_other()

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def add(self, name: str, tags: dict[str, str] | None = None) -> Node:
        number = len(self.nodes) + 1
        serf = Serf(
            self.config,
            Random(self.rng.getrandbits(64)),
            name=name,
            address=(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 7946),
            tags=tags or {"role": "node"},
        )
        node = self.nodes[name] = Node(serf)
        self._by_address[serf.swim.own.address] = node
        serf.start(now=self.now)
        self.settle(node)
        return node

    def know_each_other(self) -> None:
        """Everybody knows everybody, and nobody has anything to tell."""
        states = [node.serf.swim.own.snapshot() for node in self.nodes.values()]
        for node in self.nodes.values():
            node.serf.merge_view(PushPull(states), now=self.now)
            queue = node.serf.swim.outbox.queue
            queue._order.clear()
            queue._named.clear()
            self.settle(node)
            node.events.clear()

    def exchange(self, one: str, other: str, *, join: bool = True) -> None:
        self._exchange(self.nodes[one], self.nodes[other], join)

    def kill(self, name: str) -> None:
        self.nodes[name].alive = False

    def settle(self, node: Node) -> None:
        """Do what the core asks for; call it after touching a core."""
        while effects := node.serf.take_effects():
            for effect in effects:
                self._perform(node, effect)
        node.events += [(self.now, event) for event in node.serf.take_events()]
        deadline = node.serf.next_deadline()
        if deadline is not None and (node.wakes_at is None or deadline < node.wakes_at):
            node.wakes_at = deadline
            self.at(deadline, lambda: self._wake(node, deadline))

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._heap, (when, self._count, action))

    def run(
        self, duration: float, *, until: Callable[[], bool] | None = None, every: float = 0.1
    ) -> bool:
        """Let ``duration`` seconds pass, or fewer if ``until`` holds; whether it did."""
        end, look = self.now + duration, self.now
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heappop(self._heap)
            action()
            if until is not None and self.now >= look:
                look = self.now + every
                if until():
                    return True
        self.now = end
        return until is not None and until()

    def _wake(self, node: Node, planned: float) -> None:
        if node.alive and node.wakes_at == planned:
            node.wakes_at = None
            node.serf.advance(now=self.now)
            self.settle(node)

    def _delay(self) -> float:
        return self.rng.uniform(*self.latency)

    def _hears(self, one: Node, other: Node | None) -> bool:
        if other is None or not other.alive or not one.alive:
            return False
        return not self.cut or frozenset((one.serf.name, other.serf.name)) not in self.cut

    def _perform(self, node: Node, effect: object) -> None:
        match effect:
            case SendPacket():
                self.packets += 1
                if self.rng.random() >= self.loss:
                    self.at(self.now + self._delay(), lambda: self._deliver(node, effect))
            case PingByStream():
                self.at(self.now + 2 * self._delay(), lambda: self._answer(node, effect))
            case ExchangeStates():
                other = self._by_address.get(effect.to)
                if self._hears(node, other):
                    assert other is not None
                    self.at(
                        self.now + self._delay(),
                        lambda: self._exchange(node, other, effect.join),
                    )
            case Dropped():
                node.dropped.append(effect.reason)
            case _:
                raise AssertionError(effect)

    def _deliver(self, source: Node, packet: SendPacket) -> None:
        target = self._by_address.get(packet.to)
        if target is None or not self._hears(source, target):
            return
        for message in CODEC.open(packet.content):
            target.serf.receive(message, source.serf.swim.own.address, now=self.now)
        self.settle(target)

    def _answer(self, node: Node, effect: PingByStream) -> None:
        target = self._by_address.get(effect.to)
        if self._hears(node, target):
            node.serf.swim.answered_by_stream(effect.seq_no, now=self.now)
            self.settle(node)

    def _exchange(self, node: Node, other: Node, join: bool) -> None:
        if not self._hears(node, other):
            return
        theirs = other.serf.local_view(join=join, now=self.now)
        other.serf.merge_view(node.serf.local_view(join=join, now=self.now), now=self.now)
        node.serf.merge_view(theirs, now=self.now)
        self.settle(other)
        self.settle(node)
