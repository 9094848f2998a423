"""From the tokens of an HCL text to plain values.

A block, and an object given by ``=``, becomes a list of dicts that grows with each block of that
name; a second label nests one level deeper. Anything else given twice: the last one stands.
"""

from __future__ import annotations

from typing import Any, Final

from .scanner import (
    LITERALS,
    MalformedHCL,
    Scanner,
    Token,
    heredoc_value,
    number_value,
    string_value,
)

DEEPEST: Final = 100
"""How deep objects and lists may nest. Ours: a reader must not run out of stack."""

LONGEST_NUMBER: Final = 40
"""Characters in a number. Ours; 64 bits need twenty."""


class Blocks(list[dict[str, Any]]):
    """The objects given under one key, in order. A list literal is an ordinary list."""


class _EndOfText(Exception):
    """The text ended where an item could begin."""


def parse(text: str) -> dict[str, Any]:
    """The items of ``text``: strings, ints, floats, bools, lists, and :class:`Blocks` of dicts.

    Raises:
        MalformedHCL: it cannot be read.
    """
    reader = _Reader(text)
    try:
        items = reader.items(inside=False)
    except MalformedHCL as error:
        raise reader.scanner.error or error from None
    if reader.scanner.error:
        raise reader.scanner.error
    return items


class _Reader:
    """Recursive descent, with one token of look-ahead."""

    def __init__(self, text: str) -> None:
        self.scanner = Scanner(text)
        self._ahead: Token | None = None
        self._last = Token("EOF", "", 0)
        self._depth = 0

    def _scan(self) -> Token:
        token, self._ahead = self._ahead or self.scanner.scan(), None
        self._last = token
        return token

    def _skip(self, kind: str) -> bool:
        """Whether the next token is a ``kind``; a comma is consumed, anything else is not."""
        token = self._scan()
        if token.kind != kind or kind != "COMMA":
            self._ahead = token
        return token.kind == kind

    def _error(self, token: Token, message: str) -> MalformedHCL:
        return MalformedHCL(f"At {self.scanner.position(token.at)}: {message}")

    def items(self, *, inside: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        try:
            while not (inside and self._skip("RBRACE")):
                self._item(found)
                self._skip("COMMA")
        except _EndOfText:
            pass
        return found

    def _item(self, into: dict[str, Any]) -> None:
        keys = self._keys()
        if self._last.kind == "ASSIGN":
            value = self._value(self._scan())
        elif self._last.kind == "LBRACE":
            value = Blocks([self._object()])
        else:
            names = " ".join(key.text for key in keys)
            raise self._error(
                self._last, f"key '{names}' expected start of object ('{{') or assignment ('=')"
            )
        *path, name = (string_value(key.text) if key.kind == "STRING" else key.text for key in keys)
        for label in reversed([*path[1:], name] if path else []):
            value = Blocks([{label: value}])
        _put(into, path[0] if path else name, value)

    def _keys(self) -> list[Token]:
        """Read up to the ``=`` or ``{`` after the keys, which is then ``_last``."""
        keys: list[Token] = []
        while True:
            token = self._scan()
            match token.kind:
                case "IDENT" | "STRING":
                    keys.append(token)
                case "EOF":
                    if not keys:
                        raise _EndOfText
                    return keys
                case "RBRACE" if keys:
                    # Tells the caller that the brace did not end an object.
                    self._last = token._replace(kind="EOF")
                    return keys
                case kind:
                    if complaint := _complaint(kind, len(keys)):
                        raise self._error(token, complaint)
                    return keys

    def _value(self, token: Token) -> Any:
        if token.kind in LITERALS:
            return self._literal(token)
        match token.kind:
            case "LBRACE":
                return Blocks([self._object()])
            case "LBRACK":
                return self._list()
            case "EOF":
                raise _EndOfText
            case kind:
                place = self.scanner.position(token.at)
                raise self._error(token, f"Unknown token: {place} {kind} {token.text}")

    def _literal(self, token: Token) -> Any:
        match token.kind:
            case "BOOL":
                return token.text == "true"
            case "STRING":
                return string_value(token.text)
            case "HEREDOC":
                return heredoc_value(token.text) if self.scanner.error is None else ""
            case _ if len(token.text) > LONGEST_NUMBER:
                raise self._error(token, "number is too long")
            case _:
                return number_value(token)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(self._last, f"nested deeper than {DEEPEST} levels")

    def _object(self) -> dict[str, Any]:
        """The object whose opening brace was just read."""
        self._enter()
        found: dict[str, Any] = {}
        try:
            found = self.items(inside=True)
        except MalformedHCL:
            # As in the original: an error on a closing brace is told as a brace that is missing.
            if self._last.kind != "RBRACE":
                raise
        token = self._scan()
        if token.kind != "RBRACE":
            raise self._error(token, f"object expected closing RBRACE got: {token.kind}")
        self._depth -= 1
        return found

    def _list(self) -> list[Any]:
        """The list whose opening bracket was just read."""
        self._enter()
        found: list[Any] = []
        need_comma = False
        while True:
            token = self._scan()
            if need_comma and token.kind not in {"COMMA", "RBRACK"}:
                raise self._error(
                    token, f"error parsing list, expected comma or list end, got: {token.kind}"
                )
            match token.kind:
                case "COMMA":
                    need_comma = False
                    continue
                case "RBRACK":
                    self._depth -= 1
                    return found
                case "LBRACE":
                    found.append(self._nested(token, "object"))
                case "LBRACK":
                    found.append(self._nested(token, "list"))
                case kind if kind in LITERALS:
                    found.append(self._literal(token))
                case kind:
                    raise self._error(token, f"unexpected token while parsing list: {kind}")
            need_comma = True

    def _nested(self, token: Token, kind: str) -> Any:
        try:
            return self._object() if kind == "object" else self._list()
        except MalformedHCL as error:
            raise self._error(
                token, f"error while trying to parse {kind} within list: {error}"
            ) from error


def _complaint(kind: str, keys: int) -> str | None:
    """What is wrong with a ``kind`` after this many ``keys``; ``None`` when a value follows."""
    match kind:
        case "ASSIGN" if keys == 1:
            return None
        case "ASSIGN":
            return "nested object expected: LBRACE got: ASSIGN" if keys else "no object keys found!"
        case "LBRACE":
            return None if keys else "expected: IDENT | STRING got: LBRACE"
        case "ILLEGAL":
            return "illegal character"
        case _:
            return f"expected: IDENT | STRING | ASSIGN | LBRACE got: {kind}"


def _put(into: dict[str, Any], key: str, value: Any) -> None:
    earlier = into.get(key)
    if isinstance(earlier, Blocks) and isinstance(value, Blocks):
        earlier.extend(value)
    else:
        into[key] = value
