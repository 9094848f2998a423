"""What goes out: messages to one member, with news for all riding along in the same packet."""

from __future__ import annotations

from collections.abc import Callable

from .addresses import Address
from .broadcasts import Broadcasts, Done
from .effects import Effect, SendPacket
from .messages import Gossip, encode
from .packets import COMPOUND_ENTRY, COMPOUND_HEADER, compound
from .peers import Peer

More = Callable[[int, int], list[bytes]]
"""Given the overhead of each and the space in all, messages of the layer above."""


class Outbox:
    """Collects effects, in order, until the driver takes them."""

    def __init__(
        self, queue: Broadcasts, *, packet_size: int, envelope: int, more: More, wake: Done
    ) -> None:
        self.queue = queue
        self._space = packet_size - envelope - COMPOUND_HEADER
        self._more = more
        self._wake = wake
        self.effects: list[Effect] = []

    def take(self) -> list[Effect]:
        """The effects since this was last called."""
        effects, self.effects = self.effects, []
        return effects

    def broadcast(self, name: str, message: Gossip, done: Done | None = None) -> None:
        """Tell the whole pool ``message``, which is about ``name``."""
        self.queue.add(encode(message), name=name, done=done)
        self._wake()

    def send(self, to: Address, *messages: Gossip, peer: Peer | None = None) -> None:
        """Send ``messages`` and as much news as fits. ``peer`` is whoever is there, if known."""
        parts = [encode(message) for message in messages]
        space = self._space - sum(map(len, parts)) - COMPOUND_ENTRY * len(parts)
        self.send_parts(to, [*parts, *self.news(space)], peer=peer)

    def send_parts(self, to: Address, parts: list[bytes], *, peer: Peer | None) -> None:
        """Send ``parts``, which are encoded and fit."""
        checksum = peer is not None and peer.speaks(5)
        for content in compound(parts):
            self.effects.append(SendPacket(to, content, checksum))

    def news(self, space: int | None = None) -> list[bytes]:
        """Broadcasts that fit into ``space``, by default an empty packet; our own layer's first."""
        if space is None:
            space = self._space
        parts = self.queue.take(overhead=COMPOUND_ENTRY, limit=space)
        space -= sum(map(len, parts)) + COMPOUND_ENTRY * len(parts)
        return parts + self._more(COMPOUND_ENTRY, space)
