"""Literals as Go reads and shows them: quoted strings, integers, booleans.

Bytes that are not UTF-8, which only an escape can make, are held as surrogates
(``surrogateescape``); no text of a record equals them.

Source: the Go specification, "String literals"; ``strconv`` as its documentation describes it.
"""

from __future__ import annotations

import re
from typing import Final

_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"',
}  # fmt: skip
_SHOWN: Final = {char: f"\\{letter}" for letter, char in _SIMPLE.items()}

_PIECE: Final = re.compile(
    r"(?P<plain>[^\\\n\"]+)"
    r"|\\(?:(?P<simple>[abfnrtv\\\"])"
    r"|(?P<byte>x[0-9a-fA-F]{2}|[0-3][0-7]{2})"
    r"|[uU](?P<point>(?<=u)[0-9a-fA-F]{4}|(?<=U)[0-9a-fA-F]{8}))"
)

_INTEGER: Final = re.compile(
    r"(?P<sign>[+-]?)(?:"
    r"0[xX](?P<hex>(?:_?[0-9a-fA-F])+)"
    r"|0[bB](?P<binary>(?:_?[01])+)"
    r"|0[oO]?(?P<octal>(?:_?[0-7])+)"
    r"|(?P<decimal>0|[1-9](?:_?[0-9])*))"
)
_BASES: Final = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def string_value(literal: str) -> str | None:
    """What a quoted literal stands for; ``None`` for a wrong escape or a line break in it."""
    inner = literal[1:-1]
    if literal[0] == "`":
        return inner.replace("\r", "")
    value = bytearray()
    at = 0
    while at < len(inner):
        piece = _PIECE.match(inner, at)
        if piece is None:
            return None
        at = piece.end()
        if piece["byte"]:
            value.append(
                int(piece["byte"][1:], 16) if piece["byte"][0] == "x" else int(piece["byte"], 8)
            )
        elif piece["point"]:
            point = int(piece["point"], 16)
            if point > 0x10FFFF:
                return None
            value += ("\ufffd" if 0xD800 <= point < 0xE000 else chr(point)).encode()
        else:
            value += (piece["plain"] or _SIMPLE[piece["simple"]]).encode()
    return value.decode(errors="surrogateescape")


def quoted(text: str) -> str:
    """``text`` as errors show it: in double quotes, with Go's escapes."""
    return '"' + "".join(_shown(char) for char in text) + '"'


def _shown(char: str) -> str:
    if char in _SHOWN:
        return _SHOWN[char]
    if char.isprintable():
        return char
    point = ord(char)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if point < 0x20:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def integer(text: str) -> int:
    """A signed integer of 64 bits in any of Go's notations: ``0x10``, ``0o17``, ``1_000``.

    Raises:
        ValueError: in Go's words.
    """
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise ValueError(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax")
    base = match.lastgroup
    assert base is not None
    digits = match[base].replace("_", "").lstrip("0") or "0"
    # Python refuses to read thousands of digits; 64 are too many in any base.
    value = int(match["sign"] + digits, _BASES[base]) if len(digits) <= 64 else 2**64
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"strconv.ParseInt: parsing {quoted(text)}: value out of range")
    return value


def boolean(text: str) -> bool:
    """One of the spellings that Go takes.

    Raises:
        ValueError: in Go's words.
    """
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quoted(text)}: invalid syntax")
