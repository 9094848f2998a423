"""What memberlist's peers say to each other: SWIM itself, below Serf.

A message is one byte of type and a MessagePack map. ``PUSH_PULL``, ``USER`` in a stream, and the
envelopes (compound, compressed, encrypted, with a checksum, with a label) are framed in
``streams.py`` and ``packets.py``.

Source: the protocol as memberlist 0.5 and Serf 0.9 speak it, version 1 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from . import wire
from .errors import MalformedMessage
from .wire import UInt8, UInt16, UInt32, UInt64


class Kind(IntEnum):
    """The first byte of a message."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESSED = 9
    ENCRYPTED = 10
    NACK = 11
    CHECKSUM = 12
    ERROR = 13
    LABEL = 244


class State(IntEnum):
    """What a peer believes of a member."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


class Ping(msgspec.Struct, frozen=True, rename="pascal"):
    """Are you alive? ``node`` is who is meant; whoever else hears it keeps silent."""

    seq_no: UInt32 = 0
    node: str = ""
    source_addr: bytes = b""
    source_port: UInt16 = 0
    source_node: str = ""

    omitted_when_empty: ClassVar[tuple[str, ...]] = ("source_addr", "source_port", "source_node")


class IndirectPing(msgspec.Struct, frozen=True, rename="pascal"):
    """Ask ``node`` for me whether it is alive."""

    seq_no: UInt32 = 0
    target: bytes = b""
    port: UInt16 = 0
    node: str = ""
    nack: bool = False
    """Say so, too, when there is no answer in time."""
    source_addr: bytes = b""
    source_port: UInt16 = 0
    source_node: str = ""

    omitted_when_empty: ClassVar[tuple[str, ...]] = ("source_addr", "source_port", "source_node")


class Ack(msgspec.Struct, frozen=True, rename="pascal"):
    """I am alive. Serf sends its network coordinate along."""

    seq_no: UInt32 = 0
    payload: bytes = b""


class Nack(msgspec.Struct, frozen=True, rename="pascal"):
    """The member you had me ask did not answer me; but I am well."""

    seq_no: UInt32 = 0


class Suspect(msgspec.Struct, frozen=True, rename="pascal"):
    """``from_node`` believes that ``node`` may be dead."""

    incarnation: UInt32 = 0
    node: str = ""
    from_node: str = msgspec.field(default="", name="From")


class Alive(msgspec.Struct, frozen=True, rename="pascal"):
    """``node`` is alive, there, and described by ``meta``."""

    incarnation: UInt32 = 0
    node: str = ""
    addr: bytes = b""
    port: UInt16 = 0
    meta: bytes = b""
    vsn: bytes = b""
    """Protocol min, max, current; the same for the layer above."""


class Dead(msgspec.Struct, frozen=True, rename="pascal"):
    """``node`` is dead; it has left where ``from_node`` is itself."""

    incarnation: UInt32 = 0
    node: str = ""
    from_node: str = msgspec.field(default="", name="From")


class ErrorReply(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to a stream that could not be served."""

    error: str = ""


class PushPullHeader(msgspec.Struct, frozen=True, rename="pascal"):
    """What follows in the stream: ``nodes`` states, then ``user_state_len`` bytes."""

    nodes: UInt32 = 0
    user_state_len: UInt32 = 0
    join: bool = False


class MemberState(msgspec.Struct, frozen=True, rename="pascal"):
    """What one side of a push-pull believes of a member."""

    name: str = ""
    addr: bytes = b""
    port: UInt16 = 0
    meta: bytes = b""
    incarnation: UInt32 = 0
    state: UInt8 = 0
    vsn: bytes = b""


class UserHeader(msgspec.Struct, frozen=True, rename="pascal"):
    """A message of the layer above follows in the stream."""

    user_msg_len: UInt32 = 0


class Compressed(msgspec.Struct, frozen=True, rename="pascal"):
    """``buf`` is a message, compressed by ``algo``: 0 is LZW, and there is no other."""

    algo: UInt8 = 0
    buf: bytes = b""


Gossip: TypeAlias = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | ErrorReply

KINDS: Final[dict[type[Any], Kind]] = {
    Ping: Kind.PING,
    IndirectPing: Kind.INDIRECT_PING,
    Ack: Kind.ACK,
    Nack: Kind.NACK,
    Suspect: Kind.SUSPECT,
    Alive: Kind.ALIVE,
    Dead: Kind.DEAD,
    ErrorReply: Kind.ERROR,
}
_TYPES: Final[dict[int, type[Any]]] = {int(kind): each for each, kind in KINDS.items()}


def encode(message: Gossip) -> bytes:
    """``message`` with its type in front."""
    return bytes((KINDS[type(message)],)) + wire.pack(message)


def decode(content: bytes) -> Gossip:
    """The message in ``content``.

    Raises:
        MalformedMessage: of no known type, or not what its type says.
    """
    kind = _TYPES.get(content[0]) if content else None
    if kind is None:
        raise MalformedMessage("unknown type", str(content[:1]))
    message: Gossip = wire.unpack(kind, content[1:])
    return message


class PushPull(msgspec.Struct, frozen=True):
    """One side's whole view: the states, and what the layer above adds."""

    states: Sequence[MemberState] = ()
    user_state: bytes = b""
    join: bool = False


__all__ = [
    "Ack", "Alive", "Compressed", "Dead", "ErrorReply", "Gossip", "IndirectPing", "Kind",
    "MemberState", "Nack", "Ping", "PushPull", "PushPullHeader", "State", "Suspect", "UInt64",
    "UserHeader", "decode", "encode",
]  # fmt: skip
