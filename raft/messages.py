"""Entries and the messages between members, and their encoding.

Frozen types with an integer tag; tags are never reused, and new fields go last with a default.
Bytes from a peer raise :class:`MalformedMessage` and nothing else. Whoever reads a frame bounds its
length first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from struct import Struct
from typing import TypeAlias
from zlib import crc32

import msgspec

from .errors import MalformedMessage
from .membership import Configuration


class EntryKind(IntEnum):
    """What an entry's data is."""

    COMMAND = 0
    """Opaque bytes for the state machine."""
    EMPTY = 1
    """Nothing: the first entry of a leader's term."""
    CHANGE = 2
    """A :class:`~lictor.raft.membership.ChangeSet`."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One place in the log. May be kept; never mutated."""

    index: int
    term: int
    kind: int
    data: bytes
    crc: int
    """Made once, by the leader; checked when received, loaded, and before a follower stores it."""


ENTRY_OVERHEAD = 32
"""Bytes counted for an entry besides its data: about what its place in the log costs."""

_ENTRY_HEADER = Struct(">QQB")


def entry_crc(index: int, term: int, kind: int, data: bytes) -> int:
    """CRC-32 over index, term, kind and data."""
    return crc32(data, crc32(_ENTRY_HEADER.pack(index, term, kind)))


def make_entry(index: int, term: int, kind: int, data: bytes) -> Entry:
    """A new entry with its CRC."""
    return Entry(index, term, kind, data, crc32(data, crc32(_ENTRY_HEADER.pack(index, term, kind))))


def is_intact(entry: Entry) -> bool:
    """Whether the entry still has the CRC it was made with."""
    return entry.crc == entry_crc(entry.index, entry.term, entry.kind, entry.data)


def size_of(entries: Iterable[Entry]) -> int:
    """Bytes that ``entries`` count for in every limit."""
    return sum([len(entry.data) + ENTRY_OVERHEAD for entry in entries])


class HardState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What must never go backwards on disk. ``vote`` 0 is nobody."""

    term: int = 0
    vote: int = 0
    commit: int = 0


class SnapshotHeader(msgspec.Struct, frozen=True, array_like=True):
    """What a snapshot stands for; its bytes are elsewhere."""

    index: int
    term: int
    configuration: Configuration
    size: int = 0
    """Bytes of the file; 0 for the empty state that a cluster begins with."""
    sha256: bytes = b""


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What every message carries."""

    sender: int
    to: int
    term: int
    """The sender's term; in PreVote, and in a granted PreVoteReply, the term asked for."""


class PreVote(Message, frozen=True, tag=1):
    """Would you vote for me? Changes nobody's term."""

    last_index: int
    last_term: int


class Vote(Message, frozen=True, tag=2):
    """Vote for me. ``transfer``: the old leader asked me to stand."""

    last_index: int
    last_term: int
    transfer: bool = False


class PreVoteReply(Message, frozen=True, tag=3):
    """The answer to PreVote."""

    reject: bool = False


class VoteReply(Message, frozen=True, tag=4):
    """The answer to Vote."""

    reject: bool = False


class Append(Message, frozen=True, tag=5):
    """A leader replicates ``entries``, which follow (``prev_index``, ``prev_term``)."""

    prev_index: int
    prev_term: int
    commit: int
    entries: tuple[Entry, ...] = ()


class AppendReply(Message, frozen=True, tag=6):
    """``index`` is the last one that matches; rejected: the ``prev_index`` that did not."""

    index: int
    reject: bool = False
    hint_index: int = 0
    hint_term: int = 0


class Heartbeat(Message, frozen=True, tag=7):
    """I lead. ``round`` counts them; an answer confirms every read that waited before it."""

    commit: int
    round: int = 0


class HeartbeatReply(Message, frozen=True, tag=8):
    """You lead, as far as I know, since ``round`` left you."""

    round: int = 0


class SnapshotOffer(Message, frozen=True, tag=9):
    """The log no longer reaches back to you: fetch this snapshot on the bulk stream."""

    snapshot: SnapshotHeader


class TimeoutNow(Message, frozen=True, tag=10):
    """Stand for election at once; I am handing over."""


class ReadIndex(Message, frozen=True, tag=11):
    """A follower asks from where on it may answer the reads it calls ``context``."""

    context: int


class ReadIndexReply(Message, frozen=True, tag=12):
    """Reads called ``context`` may be answered once ``index`` is applied."""

    context: int
    index: int


class Goodbye(Message, frozen=True, tag=13):
    """You are no member; stop campaigning."""

    reason: str = ""


AnyMessage: TypeAlias = (
    PreVote
    | Vote
    | PreVoteReply
    | VoteReply
    | Append
    | AppendReply
    | Heartbeat
    | HeartbeatReply
    | SnapshotOffer
    | TimeoutNow
    | ReadIndex
    | ReadIndexReply
    | Goodbye
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: AnyMessage) -> bytes:
    """The bytes of ``message``."""
    return _encoder.encode(message)


def decode(frame: bytes | memoryview) -> AnyMessage:
    """The message in ``frame``, with every entry's CRC checked.

    Raises:
        MalformedMessage: the bytes are none of our messages, or an entry was damaged.
    """
    try:
        message = _decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedMessage(str(error)) from error
    if isinstance(message, Append):
        check_sequence(message.prev_index, message.entries)
    return message


def check_sequence(prev_index: int, entries: Sequence[Entry]) -> None:
    """Check that ``entries`` follow ``prev_index`` one by one and are intact.

    Raises:
        MalformedMessage: they do not, or are not.
    """
    for expected, entry in enumerate(entries, prev_index + 1):
        if entry.index != expected:
            raise MalformedMessage(f"entry {entry.index} stands where {expected} belongs")
        if not 0 <= entry.term < 2**63 or not 0 <= entry.kind < 2**8 or not is_intact(entry):
            raise MalformedMessage(f"entry {entry.index} is damaged")
