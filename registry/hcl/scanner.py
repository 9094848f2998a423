"""The tokens of an HCL text.

Like the original, the scanner goes on after an error and the *last* error is the one that is told.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, NamedTuple

from lictor.registry.errors import RegistryError


class MalformedHCL(RegistryError):
    """The text is not HCL; it names line and column."""


class Token(NamedTuple):
    """One token. ``kind`` is its name in errors, ``text`` as written, ``at`` its offset."""

    kind: str
    text: str
    at: int


LITERALS: Final = frozenset({"BOOL", "NUMBER", "FLOAT", "STRING", "HEREDOC"})

_PUNCTUATION: Final = {
    "[": "LBRACK",
    "]": "RBRACK",
    "{": "LBRACE",
    "}": "RBRACE",
    ",": "COMMA",
    "=": "ASSIGN",
    "+": "ADD",
    "-": "SUB",
    ".": "PERIOD",
}
_BLANK: Final = re.compile(r"[ \t\r\n]+")
_IDENT: Final = re.compile(r"[^\W\d][\w\-.]*")
_NUMBER: Final = re.compile(
    r"-?(?:(?P<hex>0[xX][0-9a-fA-F]+)"
    r"|(?P<float>[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)"
    r"|(?P<int>[0-9]+))"
)
_HEREDOC: Final = re.compile(r"<<-?(?P<anchor>\w+)\r?\n")
_ESCAPE: Final = re.compile(
    r"[abfnrtv\\\"]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}"
)


class Scanner:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.error: MalformedHCL | None = None
        """The last error met, if any."""

    def position(self, at: int) -> str:
        """``line:column`` of the offset ``at``, both counted from one."""
        line = bisect_right(self._lines, at)
        return f"{line}:{at - self._lines[line - 1] + 1}"

    def scan(self) -> Token:
        """The next token that is not a comment; ``EOF`` at the end, however often."""
        while True:
            token = self._scan()
            self._at = token.at + len(token.text)
            if token.kind != "COMMENT":
                return token

    def _fail(self, at: int, message: str) -> None:
        self.error = MalformedHCL(f"At {self.position(at)}: {message}")

    def _scan(self) -> Token:
        text = self._text
        if blank := _BLANK.match(text, self._at):
            self._at = blank.end()
        at = self._at
        if at >= len(text):
            return Token("EOF", "", at)
        if match := _IDENT.match(text, at):
            kind = "BOOL" if match[0] in {"true", "false"} else "IDENT"
            return Token(kind, match[0], at)
        if match := _NUMBER.match(text, at):
            return Token("FLOAT" if match["float"] else "NUMBER", match[0], at)
        match text[at]:
            case '"':
                return Token("STRING", self._string(at), at)
            case "#" | "/":
                return Token("COMMENT", self._comment(at), at)
            case "<":
                return Token("HEREDOC", self._heredoc(at), at)
            case char if char in _PUNCTUATION:
                return Token(_PUNCTUATION[char], char, at)
            case char:
                self._fail(at, "illegal char")
                return Token("ILLEGAL", char, at)

    def _comment(self, at: int) -> str:
        text = self._text
        if text.startswith("/*", at):
            end = text.find("*/", at + 2)
            if end < 0:
                self._fail(len(text), "comment not terminated")
                return text[at:]
            return text[at : end + 2]
        if text[at] == "/" and not text.startswith("//", at):
            self._fail(at + 1, "expected '/' for comment")
        end = text.find("\n", at)
        return text[at:] if end < 0 else text[at:end]

    def _string(self, start: int) -> str:
        """A quoted string. Inside ``${...}`` quotes and newlines do not end it."""
        text, at, braces = self._text, start + 1, 0
        while at < len(text):
            char = text[at]
            at += 1
            if char == "\n" and not braces:
                break
            if char == '"' and not braces:
                return text[start:at]
            if char == "\\":
                at = self._escape(at)
            elif not braces and char == "$" and text.startswith("{", at):
                braces, at = 1, at + 1
            elif braces:
                braces += (char == "{") - (char == "}")
        self._fail(at - (text[at - 1] == "\n"), "literal not terminated")
        return text[start:at]

    def _escape(self, at: int) -> int:
        """Step over what follows a backslash; return where the string goes on."""
        if match := _ESCAPE.match(self._text, at):
            return match.end()
        self._fail(at, "illegal char escape")
        digits = {"x": 2, "u": 4, "U": 8}.get(self._text[at : at + 1], 0)
        # The original has read the character that was not a digit, a closing quote included.
        wrong = re.compile(rf".[0-9a-fA-F]{{0,{max(digits - 1, 0)}}}", re.DOTALL)
        match = wrong.match(self._text, at)
        return min(len(self._text), (match.end() if match else at) + (1 if digits else 0))

    def _heredoc(self, at: int) -> str:
        text = self._text
        opening = _HEREDOC.match(text, at)
        if opening is None:
            self._fail(at + 1, "invalid heredoc anchor")
            return text[at]
        closing = re.compile(rf"^[^\S\n]*{re.escape(opening['anchor'])}\r*$", re.MULTILINE)
        end = closing.search(text, opening.end())
        if end is None:
            self._fail(len(text), "heredoc not terminated")
            return text[at:]
        return text[at : end.end()]


_SIMPLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
}


def string_value(text: str) -> str:
    """What the quoted ``text`` stands for. ``${...}`` is kept as written."""
    parts: list[str] = []
    at, end, braces = 1, len(text) - 1, 0
    while at < end:
        char = text[at]
        if char == "$" and not braces and text.startswith("{", at + 1):
            braces, at = 1, at + 2
            parts.append("${")
            continue
        if braces:
            braces += (char == "{") - (char == "}")
        elif char == "\\" and (match := _ESCAPE.match(text, at + 1)):
            parts.append(_unescape(match[0]))
            at = match.end()
            continue
        parts.append(char)
        at += 1
    return "".join(parts)


def _unescape(escape: str) -> str:
    if escape in _SIMPLE:
        return _SIMPLE[escape]
    point = int(escape[1:], 16) if escape[0] in "xuU" else int(escape, 8)
    return (
        chr(point)
        if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF
        else "\N{REPLACEMENT CHARACTER}"
    )


def heredoc_value(text: str) -> str:
    """The lines of the here-document ``text``, without the indent of its closing anchor."""
    _, _, content = text.partition("\n")
    *lines, closing = content.split("\n")
    if text.startswith("<<-"):
        indent = closing[: len(closing) - len(closing.lstrip())]
        if all(line.startswith(indent) for line in lines):
            lines = [line[len(indent) :] for line in lines]
    return "".join(f"{line}\n" for line in lines)


def number_value(token: Token) -> int | float:
    """What a ``NUMBER`` or ``FLOAT`` stands for; a leading zero means octal."""
    if token.kind == "FLOAT":
        return float(token.text)
    sign, digits = (-1, token.text[1:]) if token.text.startswith("-") else (1, token.text)
    if digits[:2] in {"0x", "0X"}:
        return sign * int(digits, 16)
    if digits.startswith("0") and all(digit in "01234567" for digit in digits):
        return sign * int(digits, 8)
    return sign * int(digits)
