"""What the cores ask of their driver."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from .addresses import Address


class SendPacket(msgspec.Struct, frozen=True):
    """Send one datagram, best effort."""

    to: Address
    content: bytes
    """A message or a compound, before any envelope."""

    checksum: bool
    """Whether whoever receives it knows checksums."""


class PingByStream(msgspec.Struct, frozen=True):
    """Ask ``name`` through a stream; a good answer goes to ``Swim.answered_by_stream``."""

    to: Address
    name: str
    seq_no: int
    deadline: float


class ExchangeStates(msgspec.Struct, frozen=True):
    """Do a push-pull with ``to``; a failure is no news."""

    to: Address
    name: str
    join: bool = False


class Dropped(msgspec.Struct, frozen=True):
    """Something received was not used."""

    reason: str
    """A handful of values, fit for a metric's label."""


Effect: TypeAlias = SendPacket | PingByStream | ExchangeStates | Dropped
