"""Datagrams and the envelopes around messages: compound, compressed, with a checksum, encrypted.

What comes in is bounded before it is unfolded: in size, in depth and in number of messages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final
from zlib import crc32

from . import lzw, wire
from .errors import MalformedMessage
from .keyring import OVERHEAD, Keyring
from .messages import Compressed, Kind

MAX_PACKET: Final = 65_507
"""Bytes that fit into a datagram of IPv4."""

MAX_UNFOLDED: Final = 256 * 1024
"""Bytes of messages that one packet may hold when decompressed."""

MAX_MESSAGES: Final = 2048
"""Messages that one packet may hold."""

MAX_DEPTH: Final = 4
MAX_COMPOUND: Final = 255
"""Messages that one compound can count."""

COMPOUND_HEADER: Final = 2
COMPOUND_ENTRY: Final = 2
CHECKSUM_SIZE: Final = 5
COMPRESS_FROM: Final = 512
"""Smaller packets are not worth the time."""

COMPRESS_TO: Final = 64 * 1024
"""Larger content would hold up the loop for too long; it is sent as it is."""

MAX_LABEL: Final = 255


def compound(parts: Sequence[bytes]) -> list[bytes]:
    """``parts`` as few messages: the one there is, or compounds of up to 255."""
    if len(parts) == 1:
        return [parts[0]]
    folded = []
    for start in range(0, len(parts), MAX_COMPOUND):
        chunk = parts[start : start + MAX_COMPOUND]
        lengths = struct.pack(f">BB{len(chunk)}H", Kind.COMPOUND, len(chunk), *map(len, chunk))
        folded.append(lengths + b"".join(chunk))
    return folded


def compressed(content: bytes) -> bytes:
    """``content`` as a compressed message, or as it is where that is no longer."""
    if not COMPRESS_FROM <= len(content) <= COMPRESS_TO:
        return content
    smaller = bytes((Kind.COMPRESSED,)) + wire.pack(Compressed(buf=lzw.compress(content)))
    return smaller if len(smaller) < len(content) else content


def expand(content: bytes, *, limit: int) -> bytes:
    """What a compressed message, its type byte in front, holds.

    Raises:
        MalformedMessage: it is not one, or holds more than ``limit`` bytes.
    """
    message = wire.unpack(Compressed, content[1:])
    if message.algo != 0:
        raise MalformedMessage("wrong compression", f"algorithm {message.algo}")
    return lzw.decompress(message.buf, limit=limit)


def labelled(label: bytes, content: bytes) -> bytes:
    """``content`` for the pool called ``label``; the empty label is not written."""
    return bytes((Kind.LABEL, len(label))) + label + content if label else content


def without_label(label: bytes, content: bytes) -> bytes:
    """``content`` without its label.

    Raises:
        MalformedMessage: it is for another pool.
    """
    found = b""
    if content[:1] == bytes((Kind.LABEL,)):
        if len(content) < 2 or len(content) < 2 + content[1] or not content[1]:
            raise MalformedMessage("wrong label")
        found, content = content[2 : 2 + content[1]], content[2 + content[1] :]
    if found != label:
        raise MalformedMessage("wrong label")
    return content


class PacketCodec:
    """How one pool folds messages into datagrams."""

    def __init__(
        self,
        *,
        keyring: Keyring | None = None,
        nonce: Callable[[], bytes],
        label: str = "",
        compress: bool = True,
        verify_incoming: bool = True,
        verify_outgoing: bool = True,
    ) -> None:
        self.keyring = keyring
        self.label = label.encode()
        if len(self.label) > MAX_LABEL:
            raise ValueError(f"label {label!r} is longer than {MAX_LABEL} bytes")
        self.nonce = nonce
        self.compress = compress
        self.verify_incoming = verify_incoming
        self.verify_outgoing = verify_outgoing

    @property
    def overhead(self) -> int:
        """Bytes that each packet takes beside its messages."""
        size = len(self.label) + 2 if self.label else 0
        size += OVERHEAD if self.keyring is not None else 0
        return size + CHECKSUM_SIZE

    def seal(self, content: bytes, *, checksum: bool) -> bytes:
        """A datagram with one message, which may be a compound."""
        if self.compress:
            content = compressed(content)
        if checksum:
            content = struct.pack(">BI", Kind.CHECKSUM, crc32(content)) + content
        if self.keyring is not None and self.verify_outgoing:
            content = self.keyring.encrypt(content, nonce=self.nonce(), bound=self.label)
        return labelled(self.label, content)

    def open(self, datagram: bytes) -> list[bytes]:
        """The messages in ``datagram``, each with its type in front.

        Raises:
            MalformedMessage: nothing in it can be trusted.
        """
        if len(datagram) > MAX_PACKET:
            raise MalformedMessage("oversized", f"{len(datagram)} bytes")
        content = without_label(self.label, datagram)
        if self.keyring is not None:
            content = self._decrypt(self.keyring, content)
        if content[:1] == bytes((Kind.CHECKSUM,)):
            if len(content) < CHECKSUM_SIZE:
                raise MalformedMessage("wrong checksum")
            (expected,) = struct.unpack_from(">I", content, 1)
            content = content[CHECKSUM_SIZE:]
            if crc32(content) != expected:
                raise MalformedMessage("wrong checksum")
        messages: list[bytes] = []
        _unfold(content, messages, depth=0, budget=MAX_UNFOLDED)
        return messages

    def _decrypt(self, keyring: Keyring, content: bytes) -> bytes:
        try:
            return keyring.decrypt(content, bound=self.label)
        except MalformedMessage:
            if self.verify_incoming:
                raise
            return content  # encryption is being rolled out, and this peer has none yet


def _unfold(content: bytes, messages: list[bytes], *, depth: int, budget: int) -> None:
    if depth > MAX_DEPTH:
        raise MalformedMessage("too deep")
    kind = content[0] if content else None
    if kind is None:
        raise MalformedMessage("empty")
    if kind == Kind.COMPRESSED:
        _unfold(expand(content, limit=budget), messages, depth=depth + 1, budget=budget)
    elif kind == Kind.COMPOUND:
        for part in _parts(content):
            _unfold(part, messages, depth=depth + 1, budget=budget // 2)
    else:
        if len(messages) >= MAX_MESSAGES:
            raise MalformedMessage("too many messages")
        messages.append(content)


def _parts(content: bytes) -> list[bytes]:
    if len(content) < COMPOUND_HEADER:
        raise MalformedMessage("wrong compound")
    count = content[1]
    position = COMPOUND_HEADER + COMPOUND_ENTRY * count
    if not count or position > len(content):
        raise MalformedMessage("wrong compound")
    parts = []
    for length in struct.unpack_from(f">{count}H", content, COMPOUND_HEADER):
        part = content[position : position + length]
        if len(part) < length or not part:
            raise MalformedMessage("wrong compound", "it was cut off")
        parts.append(part)
        position += length
    return parts
