"""LZW as memberlist compresses: codes of 9 to 12 bits, the least significant bit first.

Literals are bytes. A stream begins with a clear code. The table is cleared again when it holds
4095 codes.

Source: Welch 1984; the variant is that of GIF 89a, appendix F, with 8-bit literals.
"""

from __future__ import annotations

from typing import Final

from .errors import MalformedMessage

CLEAR: Final = 256
END: Final = 257
FIRST_WIDTH: Final = 9
LAST_WIDTH: Final = 12
LAST_CODE: Final = (1 << LAST_WIDTH) - 1

_LITERALS: Final = tuple(bytes((byte,)) for byte in range(256))


def compress(content: bytes) -> bytes:
    """``content``, shorter unless there was nothing to save."""
    output = bytearray()
    bits, held = CLEAR, FIRST_WIDTH
    width, top = FIRST_WIDTH, END
    table: dict[int, int] = {}
    code = -1
    for byte in content:
        if code < 0:
            code = byte
            continue
        key = code << 8 | byte
        longer = table.get(key)
        if longer is not None:
            code = longer
            continue
        bits |= code << held
        held += width
        code = byte
        top += 1
        if top == 1 << width:
            width += 1
        if top == LAST_CODE:
            bits |= CLEAR << held
            held += width
            width, top = FIRST_WIDTH, END
            table.clear()
        else:
            table[key] = top
        whole = held >> 3
        output += (bits & ((1 << (whole << 3)) - 1)).to_bytes(whole, "little")
        bits >>= whole << 3
        held &= 7
    if code >= 0:
        bits |= code << held
        held += width
        top += 1
        if top == 1 << width:
            width += 1
        if top == LAST_CODE:
            bits |= CLEAR << held
            held += width
            width = FIRST_WIDTH
    bits |= END << held
    held += width
    output += bits.to_bytes((held + 7) >> 3, "little")
    return bytes(output)


def decompress(content: bytes, *, limit: int) -> bytes:
    """What was compressed into ``content``; never more than ``limit`` bytes.

    Raises:
        MalformedMessage: a code that cannot be, no end, or more than ``limit`` bytes.
    """
    pieces: list[bytes] = []
    size = 0
    table: list[bytes] = [*_LITERALS, b"", b""]
    last: bytes | None = None
    width = FIRST_WIDTH
    bits = held = position = 0
    length = len(content)
    while True:
        while held < width:
            if position == length:
                raise MalformedMessage("wrong compression", "it has no end")
            bits |= content[position] << held
            position += 1
            held += 8
        code = bits & ((1 << width) - 1)
        bits >>= width
        held -= width
        if code == CLEAR:
            del table[END + 1 :]
            last, width = None, FIRST_WIDTH
            continue
        if code == END:
            return b"".join(pieces)
        piece = table[code] if code < len(table) else _coming(code, table, last)
        size += len(piece)
        if size > limit:
            raise MalformedMessage("oversized", f"more than {limit} bytes when decompressed")
        pieces.append(piece)
        if last is not None and len(table) <= LAST_CODE:
            table.append(last + piece[:1])
        last = piece
        if len(table) == 1 << width and width < LAST_WIDTH:
            width += 1


def _coming(code: int, table: list[bytes], last: bytes | None) -> bytes:
    """What ``code`` is, which is just about to enter ``table``."""
    if code != len(table) or last is None:
        raise MalformedMessage("wrong compression", "a code that cannot be")
    return last + last[:1]
