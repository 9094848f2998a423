"""What Serf's agents say to each other, inside memberlist's user messages and push-pulls.

Source: Serf's gossip protocol, versions 2 to 5; field names are its own.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any, Final, TypeAlias

import msgspec

from . import wire
from .errors import MalformedMessage
from .wire import UInt8, UInt16, UInt32, UInt64


class SerfKind(IntEnum):
    """The first byte of a Serf message."""

    LEAVE = 0
    JOIN = 1
    PUSH_PULL = 2
    USER_EVENT = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    CONFLICT_RESPONSE = 6
    KEY_REQUEST = 7
    KEY_RESPONSE = 8
    RELAY = 9


class QueryFlag(IntFlag):
    """Flags of queries; ``ACK`` also marks a response that only says "received"."""

    ACK = 1
    NO_BROADCAST = 2


TAGS_MAGIC: Final = 255
"""The first byte of a member's meta where tags follow; before it, meta was the role alone."""


class LeaveIntent(msgspec.Struct, frozen=True, rename="pascal"):
    """``node`` means to leave, or is to be treated so."""

    ltime: UInt64 = msgspec.field(default=0, name="LTime")
    node: str = ""
    prune: bool = False


class JoinIntent(msgspec.Struct, frozen=True, rename="pascal"):
    """``node`` has joined, and means to stay."""

    ltime: UInt64 = msgspec.field(default=0, name="LTime")
    node: str = ""


class BufferedEvent(msgspec.Struct, frozen=True, rename="pascal"):
    """A user event in the buffer of recent ones."""

    name: str = ""
    payload: bytes = b""


class EventsAt(msgspec.Struct, frozen=True, rename="pascal"):
    """The user events of one Lamport time."""

    ltime: UInt64 = msgspec.field(default=0, name="LTime")
    events: tuple[BufferedEvent, ...] = ()


class SerfState(msgspec.Struct, frozen=True, rename="pascal"):
    """Serf's part of a push-pull."""

    ltime: UInt64 = msgspec.field(default=0, name="LTime")
    status_ltimes: dict[str, UInt64] = msgspec.field(default_factory=dict, name="StatusLTimes")
    left_members: tuple[str, ...] = ()
    event_ltime: UInt64 = msgspec.field(default=0, name="EventLTime")
    events: tuple[EventsAt | None, ...] = ()
    query_ltime: UInt64 = msgspec.field(default=0, name="QueryLTime")


class UserEventMessage(msgspec.Struct, frozen=True, rename="pascal"):
    """A user event on its way through the pool."""

    ltime: UInt64 = msgspec.field(default=0, name="LTime")
    name: str = ""
    payload: bytes = b""
    coalesce: bool = msgspec.field(default=False, name="CC")


class QueryMessage(msgspec.Struct, frozen=True, rename="pascal"):
    """A question to all members that the filters let through; answers go to ``addr:port``."""

    ltime: UInt64 = msgspec.field(default=0, name="LTime")
    id: UInt32 = msgspec.field(default=0, name="ID")
    addr: bytes = b""
    port: UInt16 = 0
    source_node: str = ""
    filters: tuple[bytes, ...] = ()
    flags: UInt32 = 0
    relay_factor: UInt8 = 0
    timeout: int = 0
    """Nanoseconds from when it was asked."""
    name: str = ""
    payload: bytes = b""


class QueryResponse(msgspec.Struct, frozen=True, rename="pascal"):
    """An answer, or where ``flags`` say so only the news that the query arrived."""

    ltime: UInt64 = msgspec.field(default=0, name="LTime")
    id: UInt32 = msgspec.field(default=0, name="ID")
    from_node: str = msgspec.field(default="", name="From")
    flags: UInt32 = 0
    payload: bytes = b""


class TagFilter(msgspec.Struct, frozen=True, rename="pascal"):
    """Members whose ``tag`` matches the regular expression ``expr``."""

    tag: str = ""
    expr: str = ""


class KeyRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """The key that is to be installed, used or removed."""

    key: bytes = b""


class KeyResponse(msgspec.Struct, frozen=True, rename="pascal"):
    """What a member made of a key request."""

    result: bool = False
    message: str = ""
    keys: tuple[str, ...] = ()
    primary_key: str = ""


class ConflictMember(msgspec.Struct, frozen=True, rename="pascal"):
    """Who a member believes to be behind a name that two claim."""

    name: str = ""
    addr: bytes = b""
    port: UInt16 = 0
    tags: dict[str, str] = {}
    status: UInt8 = 0
    protocol_min: UInt8 = 0
    protocol_max: UInt8 = 0
    protocol_cur: UInt8 = 0
    delegate_min: UInt8 = 0
    delegate_max: UInt8 = 0
    delegate_cur: UInt8 = 0


class UDPAddress(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a relayed message goes."""

    ip: bytes = msgspec.field(default=b"", name="IP")
    port: UInt16 = 0
    zone: str = ""


class RelayHeader(msgspec.Struct, frozen=True, rename="pascal"):
    """Pass on to ``dest_addr`` what follows."""

    dest_addr: UDPAddress = UDPAddress()
    dest_name: str = ""


SerfMessage: TypeAlias = (
    LeaveIntent
    | JoinIntent
    | SerfState
    | UserEventMessage
    | QueryMessage
    | QueryResponse
    | ConflictMember
    | KeyRequest
    | KeyResponse
)

_KINDS: Final[dict[type[Any], SerfKind]] = {
    LeaveIntent: SerfKind.LEAVE,
    JoinIntent: SerfKind.JOIN,
    SerfState: SerfKind.PUSH_PULL,
    UserEventMessage: SerfKind.USER_EVENT,
    QueryMessage: SerfKind.QUERY,
    QueryResponse: SerfKind.QUERY_RESPONSE,
    ConflictMember: SerfKind.CONFLICT_RESPONSE,
    KeyRequest: SerfKind.KEY_REQUEST,
    KeyResponse: SerfKind.KEY_RESPONSE,
}
_TYPES: Final[dict[int, type[Any]]] = {int(kind): each for each, kind in _KINDS.items()}


def encode(message: SerfMessage) -> bytes:
    """``message`` with its type in front."""
    return bytes((_KINDS[type(message)],)) + wire.pack(message)


def decode(content: bytes) -> SerfMessage:
    """The message in ``content``; a relayed one is read by :func:`read_relay`.

    Raises:
        MalformedMessage: of no known type, or not what its type says.
    """
    kind = _TYPES.get(content[0]) if content else None
    if kind is None:
        raise MalformedMessage("unknown type", str(content[:1]))
    message: SerfMessage = wire.unpack(kind, content[1:])
    return message


def encode_relay(header: RelayHeader, message: bytes) -> bytes:
    """``message``, to be passed on by whoever receives it."""
    return bytes((SerfKind.RELAY,)) + wire.pack(header) + message


def read_relay(content: bytes) -> tuple[RelayHeader, bytes]:
    """Where ``content``, a relay message, is to go, and what.

    Raises:
        MalformedMessage: there is no header, or nothing behind it.
    """
    reader = wire.unpacker(limit=len(content))
    reader.feed(content[1:])
    try:
        header = reader.unpack()
    except wire.MALFORMED as error:
        raise MalformedMessage("not msgpack", type(error).__name__) from error
    rest = content[1 + reader.tell() :]
    if not rest:
        raise MalformedMessage("empty relay")
    return wire.build(RelayHeader, header), rest


def encode_tags(tags: dict[str, str]) -> bytes:
    """``tags`` as a member's meta."""
    return bytes((TAGS_MAGIC,)) + wire.pack(tags)


def decode_tags(meta: bytes) -> dict[str, str]:
    """The tags in ``meta``; where there is no magic byte, it is the role.

    Raises:
        MalformedMessage: the magic byte is there and no map of strings follows.
    """
    if not meta or meta[0] != TAGS_MAGIC:
        return {"role": meta.decode("utf-8", "replace")}
    return wire.read_string_map(meta[1:])
