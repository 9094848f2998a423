"""What peers say in streams: push-pulls, pings when datagrams do not arrive, long user messages.

A stream carries one message each way. Nothing tells a plain one's length in advance, so a reader is
fed until it has a whole message, and never holds more than its limit.
"""

from __future__ import annotations

import struct
from typing import Any, Final, TypeAlias

import msgspec

from . import wire
from .errors import MalformedMessage
from .messages import (
    Ack,
    ErrorReply,
    Kind,
    MemberState,
    Ping,
    PushPull,
    PushPullHeader,
    UserHeader,
    encode,
)
from .packets import MAX_PACKET, PacketCodec, compressed, expand, labelled

MAX_STREAM: Final = 20 * 1024 * 1024
"""Bytes of one message in a stream. Source: memberlist, ``maxPushStateBytes``."""

MAX_STATES: Final = 65_536
"""Members in one push-pull."""

ENCRYPTED_HEADER: Final = 5


class UserMessage(msgspec.Struct, frozen=True):
    """A message of the layer above."""

    content: bytes


StreamMessage: TypeAlias = PushPull | Ping | Ack | ErrorReply | UserMessage


def encode_stream(message: StreamMessage) -> bytes:
    """``message`` as it goes into a stream, before any envelope."""
    if isinstance(message, PushPull):
        header = PushPullHeader(
            nodes=len(message.states),
            user_state_len=len(message.user_state),
            join=message.join,
        )
        states = b"".join([wire.pack(state) for state in message.states])
        return bytes((Kind.PUSH_PULL,)) + wire.pack(header) + states + message.user_state
    if isinstance(message, UserMessage):
        header_bytes = wire.pack(UserHeader(user_msg_len=len(message.content)))
        return bytes((Kind.USER,)) + header_bytes + message.content
    return encode(message)


def seal_stream(codec: PacketCodec, message: StreamMessage) -> bytes:
    """``message`` in the envelopes of ``codec``'s pool."""
    content = encode_stream(message)
    if codec.compress:
        content = compressed(content)
    if codec.keyring is not None and codec.verify_outgoing:
        length = len(content) + 1 + 12 + 16
        header = struct.pack(">BI", Kind.ENCRYPTED, length)
        content = header + codec.keyring.encrypt(
            content, nonce=codec.nonce(), bound=header + codec.label
        )
    return content


def stream_prefix(codec: PacketCodec) -> bytes:
    """What whoever opens a stream writes first: the label, where there is one."""
    return labelled(codec.label, b"")


class StreamReader:
    """Takes the bytes of one message as they arrive."""

    def __init__(self, codec: PacketCodec, *, limit: int = MAX_STREAM, accepted: bool) -> None:
        self._codec = codec
        self._limit = limit
        self._buffer = bytearray()
        self._plain: _PlainReader | None = None
        self._label_expected = accepted and bool(codec.label)

    def feed(self, content: bytes) -> StreamMessage | None:
        """Take ``content``; return the message once it is whole.

        Raises:
            MalformedMessage: it can never become one. The stream is of no more use.
        """
        if self._plain is not None:
            return self._plain.feed(content)
        self._buffer += content
        if len(self._buffer) > self._limit + ENCRYPTED_HEADER:
            raise MalformedMessage("oversized", "a stream")
        if self._label_expected and not self._take_label():
            return None
        if not self._buffer:
            return None
        if self._buffer[0] == Kind.ENCRYPTED:
            return self._feed_encrypted()
        if self._buffer[0] == Kind.LABEL:
            raise MalformedMessage("wrong label")
        if self._codec.keyring is not None and self._codec.verify_incoming:
            raise MalformedMessage("not encrypted", "a stream")
        self._plain = _PlainReader(self._limit)
        return self._plain.feed(bytes(self._buffer))

    def _take_label(self) -> bool:
        expected = stream_prefix(self._codec)
        if not expected.startswith(self._buffer[: len(expected)]):
            raise MalformedMessage("wrong label")
        if len(self._buffer) < len(expected):
            return False
        del self._buffer[: len(expected)]
        self._label_expected = False
        return True

    def _feed_encrypted(self) -> StreamMessage | None:
        if len(self._buffer) < ENCRYPTED_HEADER:
            return None
        (length,) = struct.unpack_from(">I", self._buffer, 1)
        if self._codec.keyring is None:
            raise MalformedMessage("encrypted", "and there is no key")
        if length > self._limit:
            raise MalformedMessage("oversized", "a stream")
        if len(self._buffer) < ENCRYPTED_HEADER + length:
            return None
        header = bytes(self._buffer[:ENCRYPTED_HEADER])
        sealed = bytes(self._buffer[ENCRYPTED_HEADER : ENCRYPTED_HEADER + length])
        content = self._codec.keyring.decrypt(sealed, bound=header + self._codec.label)
        message = _PlainReader(self._limit).feed(content)
        if message is None:
            raise MalformedMessage("cut off", "a stream")
        return message


class _PlainReader:
    """Reads one message that is not encrypted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._unpacker = wire.unpacker(limit=limit)
        self._kind: int | None = None
        self._header: PushPullHeader | UserHeader | None = None
        self._states: list[MemberState] = []
        self._tail = bytearray()

    def feed(self, content: bytes) -> StreamMessage | None:
        if self._kind is None:
            if not content:
                return None
            self._kind, content = content[0], content[1:]
        try:
            self._unpacker.feed(content)
            return self._read()
        except wire.NOT_YET:
            return None
        except wire.MALFORMED as error:
            raise MalformedMessage("not msgpack", type(error).__name__) from error

    def _read(self) -> StreamMessage | None:
        kind = self._kind
        if kind == Kind.PUSH_PULL:
            return self._read_push_pull()
        if kind == Kind.USER:
            return self._read_user()
        if kind == Kind.COMPRESSED:
            packed = bytes((Kind.COMPRESSED,)) + wire.repack(self._unpacker.unpack())
            message = _PlainReader(self._limit).feed_once(expand(packed, limit=self._limit))
            if message is None:
                raise MalformedMessage("cut off", "a stream")
            return message
        simple: dict[int | None, Any] = {
            Kind.PING: Ping,
            Kind.ACK: Ack,
            Kind.ERROR: ErrorReply,
        }
        if kind not in simple:
            raise MalformedMessage("unknown type", f"{kind} in a stream")
        built: StreamMessage = wire.build(simple[kind], self._unpacker.unpack())
        return built

    def feed_once(self, content: bytes) -> StreamMessage | None:
        """Take what was compressed; it is not compressed again."""
        if content[:1] == bytes((Kind.COMPRESSED,)):
            raise MalformedMessage("too deep")
        return self.feed(content)

    def _read_push_pull(self) -> StreamMessage | None:
        if self._header is None:
            self._header = wire.build(PushPullHeader, self._unpacker.unpack())
        header = self._header
        assert isinstance(header, PushPullHeader)
        if header.nodes > MAX_STATES or header.user_state_len > self._limit:
            raise MalformedMessage("oversized", "a push-pull")
        while len(self._states) < header.nodes:
            self._states.append(wire.build(MemberState, self._unpacker.unpack()))
        if not self._fill(header.user_state_len):
            return None
        return PushPull(states=tuple(self._states), user_state=bytes(self._tail), join=header.join)

    def _read_user(self) -> StreamMessage | None:
        if self._header is None:
            self._header = wire.build(UserHeader, self._unpacker.unpack())
        header = self._header
        assert isinstance(header, UserHeader)
        if header.user_msg_len > MAX_PACKET:
            raise MalformedMessage("oversized", "a user message")
        return UserMessage(bytes(self._tail)) if self._fill(header.user_msg_len) else None

    def _fill(self, size: int) -> bool:
        """Move what follows the structs into the tail; whether ``size`` bytes are there."""
        if len(self._tail) < size:
            self._tail += self._unpacker.read_bytes(size - len(self._tail))
        return len(self._tail) >= size
