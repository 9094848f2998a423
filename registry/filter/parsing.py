"""Text to expression, with errors that point.

The grammar is an ordered-choice one (PEG). Every rule is a method that takes an offset and returns
what it read and where it ended, or ``None``. What did not match, and where, is kept for the
farthest offset only: that is the error. A rule that knows better says so (``Unmatched
parentheses``); what was said stays said even when another choice matches, and replaces the general
error.

No rule is tried twice below a nesting, so that time is linear in the text.

Source: the sentences and positions are those of a real Consul 1.8.7, as observed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from .expressions import And, Expression, Match, Not, Operator, Or
from .literals import quoted, string_value

MAX_SIZE_BYTES: Final = 8192
"""The longest expression; ours, the original was seen to take 100 kB."""

MAX_DEPTH: Final = 64
"""The deepest nesting of parentheses and ``not``; ours.

The original's time was seen to grow about fourfold with the fourth and the fifth parenthesis.
"""

T = TypeVar("T")
Read: TypeAlias = tuple[T, int] | None
"""What a rule read and the offset after it; ``None`` when it does not match there."""

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_IDENTIFIER: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_DIGITS: Final = re.compile(r"[0-9]*")
_STRING: Final = re.compile(r'`[^`]*`|"[^"]*"')

Words: TypeAlias = tuple[str, ...]

_SYMBOLS: Final = (("==", False), ("!=", True))
_WITH_VALUE: Final[tuple[tuple[Words, Operator, bool], ...]] = (
    (("contains",), Operator.IN, False),
    (("not", "contains"), Operator.IN, True),
    (("matches",), Operator.MATCHES, False),
    (("not", "matches"), Operator.MATCHES, True),
)
_EMPTY: Final[tuple[tuple[Words, bool], ...]] = (
    (("is", "empty"), False),
    (("is", "not", "empty"), True),
)
_IN: Final[tuple[tuple[Words, bool], ...]] = ((("in",), False), (("not", "in"), True))


class Malformed(Exception):
    """The text is not an expression; whoever wrote it must change it."""


def parse(text: str) -> Expression:
    """The expression that ``text`` is.

    Raises:
        Malformed: in the original's words, one line for each thing wrong.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise Malformed(f"{position(text, error.start)}: invalid encoding") from None
    if size > MAX_SIZE_BYTES:
        raise Malformed(f"the expression is longer than {MAX_SIZE_BYTES} bytes")
    return _Parser(text).parse()


def position(text: str, at: int) -> str:
    """``line:column (offset)``: lines and characters from one, the offset in bytes from zero.

    A line break counts as column 0 of the line it begins.
    """
    line = text.count("\n", 0, at + 1) + 1
    column = 0 if text.startswith("\n", at) else at - text.rfind("\n", 0, at)
    return f"{line}:{column} ({len(text[:at].encode())})"


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._farthest = 0
        self._wanted: set[str] = set()
        self._said: dict[str, None] = {}
        self._depth = 0

    def parse(self) -> Expression:
        text = self._text
        read = self._or(self._blank(0))
        if read is not None:
            end = self._blank(read[1])
            if end == len(text) and not self._said:
                return read[0]
            self._miss(end, "EOF")
        if self._said:
            raise Malformed("\n".join(self._said))
        *most, last = sorted(self._wanted - {"EOF"}) + ["EOF"] * ("EOF" in self._wanted)
        wanted = f"{', '.join(most)} or {last}" if most else last
        raise Malformed(f"{position(text, self._farthest)}: no match found, expected: {wanted}")

    def _miss(self, at: int, wanted: str) -> None:
        if at > self._farthest:
            self._farthest = at
            self._wanted = set()
        if at == self._farthest:
            self._wanted.add(wanted)

    def _say(self, at: int, rule: str, sentence: str) -> None:
        self._said[f'{position(self._text, at)}: rule "{rule}": {sentence}'] = None

    # Terminals.

    def _literal(self, at: int, literal: str) -> int | None:
        if self._text.startswith(literal, at):
            return at + len(literal)
        self._miss(at, quoted(literal))
        return None

    def _blank(self, at: int) -> int:
        """The end of the blanks at ``at``, if any."""
        match = _BLANK.match(self._text, at)
        assert match is not None
        self._miss(match.end(), r"[ \t\r\n]")
        return match.end()

    def _blanks(self, at: int) -> int | None:
        """The end of one or more blanks."""
        end = self._blank(at)
        return end if end > at else None

    def _words(self, at: int, words: Words) -> int | None:
        """The end of ``words``, each after blanks."""
        for word in words:
            start = self._blanks(at)
            end = None if start is None else self._literal(start, word)
            if end is None:
                return None
            at = end
        return at

    def _spaced_words(self, at: int, words: Words) -> int | None:
        """The end of the blanks after ``words``, which must be there."""
        end = self._words(at, words)
        return None if end is None else self._blanks(end)

    # Expressions.

    def _or(self, at: int) -> Read[Expression]:
        return self._chain(at, "or", Or, self._and)

    def _and(self, at: int) -> Read[Expression]:
        return self._chain(at, "and", And, self._not)

    def _chain(
        self,
        at: int,
        word: str,
        join: Callable[[tuple[Expression, ...]], Expression],
        operand: Callable[[int], Read[Expression]],
    ) -> Read[Expression]:
        read = operand(at)
        if read is None:
            return None
        first, end = read
        terms = [first]
        while (start := self._spaced_words(end, (word,))) is not None:
            read = operand(start)
            if read is None:
                break
            terms.append(read[0])
            end = read[1]
        return (join(tuple(terms)) if len(terms) > 1 else first), end

    def _not(self, at: int) -> Read[Expression]:
        end = self._literal(at, "not")
        start = None if end is None else self._blanks(end)
        if start is not None and (read := self._nested(start, self._not)) is not None:
            return Not(read[0]), read[1]
        return self._group(at) or self._match(at)

    def _group(self, at: int) -> Read[Expression]:
        if (start := self._literal(at, "(")) is None:
            return None
        read = self._nested(self._blank(start), self._or)
        if read is None:
            return None
        end = self._blank(read[1])
        if not self._text.startswith(")", end):
            self._say(end, "grouping", "Unmatched parentheses")
            return None
        return read[0], end + 1

    def _nested(self, at: int, rule: Callable[[int], Read[Expression]]) -> Read[Expression]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Malformed(f"the expression nests deeper than {MAX_DEPTH} levels")
        read = rule(at)
        self._depth -= 1
        return read

    def _match(self, at: int) -> Read[Expression]:
        selector = self._selector(at)
        if selector is None:
            value = self._number(at) or self._string(at)
        else:
            if (read := self._selector_first(*selector)) is not None:
                return read
            value = ".".join(selector[0]), selector[1]
        return None if value is None else self._value_first(*value)

    def _selector_first(self, selector: tuple[str, ...], at: int) -> Read[Expression]:
        for symbol, negated in _SYMBOLS:
            if (end := self._literal(self._blank(at), symbol)) is None:
                continue
            if (value := self._value(self._blank(end))) is not None:
                return Match(selector, Operator.EQUAL, negated, value[0]), value[1]
        for words, operator, negated in _WITH_VALUE:
            if (start := self._spaced_words(at, words)) is None:
                continue
            if (value := self._value(start)) is not None:
                return Match(selector, operator, negated, value[0]), value[1]
        for words, negated in _EMPTY:
            if (end := self._words(at, words)) is not None:
                return Match(selector, Operator.EMPTY, negated), end
        return None

    def _value_first(self, value: str, at: int) -> Read[Expression]:
        for words, negated in _IN:
            if (start := self._spaced_words(at, words)) is None:
                continue
            if (selector := self._selector(start)) is not None:
                return Match(selector[0], Operator.IN, negated, value), selector[1]
            self._say(start, "match", "Invalid selector")
        return None

    # Selectors and values.

    def _selector(self, at: int) -> Read[tuple[str, ...]]:
        read = self._identifier(at)
        parts: list[str] = []
        while read is not None:
            parts.append(read[0])
            at = read[1]
            dot = self._literal(at, ".")
            read = self._index(at) if dot is None else self._identifier(dot)
        return (tuple(parts), at) if parts else None

    def _identifier(self, at: int) -> Read[str]:
        match = _IDENTIFIER.match(self._text, at)
        if match is None:
            self._miss(at, "[a-zA-Z]")
            return None
        self._miss(match.end(), "[a-zA-Z0-9_]")
        return match[0], match.end()

    def _index(self, at: int) -> Read[str]:
        if (start := self._literal(at, "[")) is None:
            return None
        start = self._blank(start)
        read = self._string(start)
        if read is None:
            self._say(start, "index", "Invalid index")
            return None
        end = self._blank(read[1])
        if not self._text.startswith("]", end):
            self._say(end, "index", "Unclosed index expression")
            return None
        return read[0], end + 1

    def _value(self, at: int) -> Read[str]:
        selector = self._selector(at)
        if selector is not None:
            return ".".join(selector[0]), selector[1]
        return self._number(at) or self._string(at)

    def _number(self, at: int) -> Read[str]:
        start = self._literal(at, "-") or at
        if self._text.startswith("0", start):
            end = start + 1
        elif self._text[start : start + 1] in set("123456789"):
            end = self._digits(start)
        else:
            self._miss(start, '"0"')
            self._miss(start, "[1-9]")
            return None
        dot = self._literal(end, ".")
        if dot is not None and (fraction := self._digits(dot)) > dot:
            end = fraction
        if self._blanks(end) is None and end < len(self._text):
            self._miss(end, "EOF")
            if self._text[end] != ")":
                self._say(end, "number", "Invalid number literal")
                return None
        return self._text[at:end], end

    def _digits(self, at: int) -> int:
        match = _DIGITS.match(self._text, at)
        assert match is not None
        self._miss(match.end(), "[0-9]")
        return match.end()

    def _string(self, at: int) -> Read[str]:
        match = _STRING.match(self._text, at)
        if match is not None:
            value = string_value(match[0])
            if value is None:
                self._say(at, "string", "invalid syntax")
            return value or "", match.end()
        if self._text[at : at + 1] in {"`", '"'}:
            self._say(len(self._text), "string", "Unterminated string literal")
        else:
            self._miss(at, '"`"')
            self._miss(at, r'"\""')
        return None
