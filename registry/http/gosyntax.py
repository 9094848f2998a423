"""JSON text as Go's ``encoding/json`` reads it, with Go's words for what is wrong.

Only syntax: :mod:`.gojson` gives the parts their types. The first value of the text counts and
whatever follows it is ignored, as Go's ``Decoder`` does.

Source: Go, package ``encoding/json``; texts compared with those a Consul 1.8 answers.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn, TypeAlias

from lictor.registry.errors import InvalidRequest

MAX_DEPTH: Final = 200
"""Nested arrays and objects; deeper text is refused."""


class InvalidJson(InvalidRequest):
    """The body is not JSON, or does not fit its type; the text is Go's."""


class Number(str):
    """A number as it was written; its type decides what it is worth."""

    __slots__ = ()


class Object:
    """An object: its members in order, duplicates included."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: list[tuple[str, Value]] = []


Value: TypeAlias = "bool | str | Number | Object | list[Value] | None"

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_LITERALS: Final[dict[str, tuple[str, Value]]] = {
    "t": ("true", True),
    "f": ("false", False),
    "n": ("null", None),
}
_GO_ESCAPES: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", "'": "\\'", '"': '"',
}  # fmt: skip


def parse(body: bytes) -> Value:
    """The first JSON value in ``body``.

    Raises:
        InvalidJson: there is none (``EOF``), it ends early or is malformed.
    """
    return _Parser(body.decode("utf-8", "surrogateescape")).first()


class _Parser:
    """One reading of one text, left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def first(self) -> Value:
        """The value that the text begins with."""
        self._skip_space()
        if self._at >= len(self._text):
            raise InvalidJson("EOF")
        return self._value()

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _peek(self) -> str:
        """The next character that is not space."""
        self._skip_space()
        return self._here()

    def _here(self) -> str:
        if self._at >= len(self._text):
            raise InvalidJson("unexpected EOF")
        return self._text[self._at]

    def _fail(self, where: str) -> NoReturn:
        message = f"invalid character {_quoted(self._text[self._at])} {where}"
        raise InvalidJson(message)

    def _value(self) -> Value:
        char = self._peek()
        if char == '"':
            return self._string()
        if char in "{[":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise InvalidJson("exceeded max depth")
            value = self._object() if char == "{" else self._array()
            self._depth -= 1
            return value
        if char in _LITERALS:
            return self._literal(*_LITERALS[char])
        if char == "-" or "0" <= char <= "9":
            return self._number()
        return self._fail("looking for beginning of value")

    def _object(self) -> Object:
        found = Object()
        self._at += 1
        if self._peek() == "}":
            self._at += 1
            return found
        while True:
            if self._peek() != '"':
                self._fail("looking for beginning of object key string")
            key = self._string()
            if self._peek() != ":":
                self._fail("after object key")
            self._at += 1
            found.members.append((key, self._value()))
            char = self._peek()
            if char not in ",}":
                self._fail("after object key:value pair")
            self._at += 1
            if char == "}":
                return found

    def _array(self) -> list[Value]:
        items: list[Value] = []
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            return items
        while True:
            items.append(self._value())
            char = self._peek()
            if char not in ",]":
                self._fail("after array element")
            self._at += 1
            if char == "]":
                return items

    def _literal(self, word: str, value: Value) -> Value:
        for expected in word:
            if self._here() != expected:
                self._fail(f"in literal {word} (expecting {_quoted(expected)})")
            self._at += 1
        return value

    def _number(self) -> Number:
        start = self._at
        if self._text[self._at] == "-":
            self._at += 1
            if not self._here().isascii() or not self._here().isdigit():
                self._fail("in numeric literal")
        if self._text[self._at] == "0":
            self._at += 1
        else:
            self._digits()
        if self._text[self._at : self._at + 1] == ".":
            self._at += 1
            self._digits("after decimal point in numeric literal")
        if self._text[self._at : self._at + 1] in {"e", "E"}:
            self._at += 1
            if self._here() in "+-":
                self._at += 1
            self._digits("in exponent of numeric literal")
        return Number(self._text[start : self._at])

    def _digits(self, required: str = "") -> None:
        if required and not "0" <= self._here() <= "9":
            self._fail(required)
        while self._at < len(self._text) and "0" <= self._text[self._at] <= "9":
            self._at += 1

    def _string(self) -> str:
        self._at += 1
        parts: list[str] = []
        while True:
            run = _PLAIN.match(self._text, self._at)
            if run is not None:
                parts.append(run.group())
                self._at = run.end()
            char = self._here()
            if char == "\\":
                parts.append(self._escape())
            elif char == '"':
                self._at += 1
                return _whole("".join(parts))
            else:
                self._fail("in string literal")

    def _escape(self) -> str:
        self._at += 1
        char = self._here()
        if char == "u":
            self._at += 1
            start = self._at
            for _ in range(4):
                if self._here() not in _HEX:
                    self._fail("in \\u hexadecimal character escape")
                self._at += 1
            return chr(int(self._text[start : self._at], 16))
        if char not in _ESCAPES:
            self._fail("in string escape code")
        self._at += 1
        return _ESCAPES[char]


def _whole(text: str) -> str:
    """``text`` with escaped surrogate pairs joined, and what is no character replaced."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _quoted(char: str) -> str:
    """``char`` as Go shows it: it sees bytes, so only the first of several."""
    byte = chr(char.encode("utf-8", "surrogateescape")[0])
    shown = _GO_ESCAPES.get(byte)
    if shown is None:
        code = ord(byte)
        if code < 0x20:
            shown = f"\\x{code:02x}"
        elif 0x7F <= code <= 0xA0 or code == 0xAD:
            shown = f"\\u{code:04x}"
        else:
            shown = byte
    return f"'{shown}'"
