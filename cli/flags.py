"""Flags as Go programs read them, on click's parameters.

``-name value``, ``-name=value`` and ``--name`` are one and the same; a boolean takes a value only
after ``=``; parsing stops at the first word that is no flag, and at ``--``. The last of two wins,
unless the flag collects. The error sentences are those of Go's ``flag`` package, because scripts
match on them.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

import click

from lictor.registry import durations

from .errors import BadFlag

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})

_DIGITS = re.compile(
    r"[+-]?(0[xX](_?[0-9a-fA-F])+|0[oO]?(_?[0-7])*|0[bB](_?[01])+|[1-9](_?[0-9])*)"
)


def parse_bool(text: str) -> bool:
    """The boolean in ``text``.

    Raises:
        ValueError: it is none of the twelve spellings Go knows.
    """
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def parse_uint(text: str) -> int:
    """The number in ``text``, decimal.

    Raises:
        ValueError: it is none, or does not fit in 64 bits.
    """
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text[:21]) >= 2**64:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def parse_duration(text: str) -> float:
    """The seconds in a Go duration such as ``1h15m30.5s``.

    Raises:
        ValueError: the text is no duration, or has no unit.
    """
    try:
        return durations.parse(text)
    except durations.InvalidDuration as error:
        raise ValueError(str(error)) from error


def _parse_integer(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise ValueError("parse error")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if re.fullmatch(r"0[0-7_]+", digits):
        return sign * int(digits, 8)
    return sign * int(digits, 0)


class Kind(Generic[T]):
    """What a flag's value may be. ``name`` stands for it in the help."""

    def __init__(self, name: str, read: Callable[[str], T]) -> None:
        self.name = name
        self.read = read
        """The value in a text; a ValueError says what is wrong with it."""


def text_named(name: str) -> Kind[str]:
    """Any text, shown as ``name`` in the help."""
    return Kind(name, str)


def _in_short(read: Callable[[str], T]) -> Callable[[str], T]:
    """``read``, whose complaints are as short as those of Go's own flag types."""

    def read_or_complain(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise ValueError("parse error") from error

    return read_or_complain


def _between(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if low == 0 and text.startswith("-"):
            raise ValueError("parse error")
        number = _parse_integer(text)
        if not low <= number <= high:
            raise ValueError("value out of range")
        return number

    return read


def _split_pair(text: str) -> tuple[str, str]:
    key, equals, rest = text.partition("=")
    if not equals:
        raise ValueError(f'Missing "=" value in argument: {text}')
    return key, rest


TEXT: Final = text_named("string")
VALUE: Final = text_named("value")
BOOL: Final = Kind("", _in_short(parse_bool))
SWITCH: Final = Kind("", parse_bool)
"""A boolean that says more when it is not one, as Consul's own flag type does."""
INT: Final = Kind("int", _between(-(2**63), 2**63 - 1))
UINT: Final = Kind("uint", _between(0, 2**64 - 1))
DURATION: Final = Kind("duration", _in_short(parse_duration))
LONG_UINT: Final = Kind("value", parse_uint)
"""A number that says more when it is not one."""
LONG_DURATION: Final = Kind("value", parse_duration)
"""A duration that says more when it is not one."""
PAIR: Final = Kind("value", _split_pair)
"""``key=value``, as a tuple of two."""


class Flag(click.Option):
    """One flag of a command. ``http`` sets those of the connection apart in the help."""

    def __init__(
        self,
        name: str,
        kind: Kind[Any],
        text: str,
        *,
        default: object = None,
        multiple: bool = False,
        http: bool = False,
    ) -> None:
        self.word = name.lstrip("-")
        self.variable = self.word.replace("-", "_")
        if keyword.iskeyword(self.variable):
            self.variable += "_"
        super().__init__((f"-{self.word}", self.variable), help=text, multiple=multiple)
        self.kind = kind
        self.http = http
        self.text = " ".join(text.split())
        self.switch = kind in {BOOL, SWITCH}
        self.fallback: object = (
            () if multiple else False if self.switch and default is None else default
        )

    def read(self, text: str) -> object:
        """The value in ``text``.

        Raises:
            BadFlag: it has not this flag's type.
        """
        try:
            return self.kind.read(text)
        except ValueError as error:
            if self.switch:
                raise BadFlag(
                    f'invalid boolean value "{text}" for -{self.word}: {error}'
                ) from error
            raise BadFlag(f'invalid value "{text}" for flag -{self.word}: {error}') from error


def flag(
    name: str, kind: Kind[Any], text: str, *, default: object = None, multiple: bool = False
) -> Callable[[F], F]:
    """Give a command the flag ``name``; its value comes as the parameter of that name.

    Dashes become underscores, and a Python keyword gets one behind. A boolean is False until
    given (``default=...`` tells that apart), a collecting flag a tuple; another without
    ``default`` is None.
    """

    def attach(function: F) -> F:
        parameters = function.__dict__.setdefault("__click_params__", [])
        parameters.append(Flag(name, kind, text, default=default, multiple=multiple))
        return function

    return attach


def parse(
    flags: Iterable[Flag], arguments: Sequence[str]
) -> tuple[dict[str, object], tuple[str, ...]]:
    """Split ``arguments`` into the values of ``flags`` by parameter name, and the words behind.

    Raises:
        BadFlag: an unknown flag, a missing value, or one of the wrong type.
    """
    known = {one.word: one for one in flags}
    single = {one.variable: one.fallback for one in known.values() if not one.multiple}
    many: dict[str, list[object]] = {one.variable: [] for one in known.values() if one.multiple}
    rest = list(arguments)
    while rest and len(rest[0]) > 1 and rest[0].startswith("-"):
        argument = rest.pop(0)
        if argument == "--":
            break
        one, text = _flag_and_text(known, argument, rest)
        if one.multiple:
            many[one.variable].append(one.read(text))
        else:
            single[one.variable] = one.read(text)
    return single | {name: tuple(values) for name, values in many.items()}, tuple(rest)


def _flag_and_text(known: dict[str, Flag], argument: str, rest: list[str]) -> tuple[Flag, str]:
    """The flag that ``argument`` names and its value, taken from ``rest`` when it stands there."""
    word, equals, text = argument.removeprefix("-").removeprefix("-").partition("=")
    if not word or word.startswith("-"):
        raise BadFlag(f"bad flag syntax: {argument}")
    if word not in known:
        raise BadFlag(f"flag provided but not defined: -{word}")
    one = known[word]
    if equals:
        return one, text
    if one.switch:
        return one, "true"
    if not rest:
        raise BadFlag(f"flag needs an argument: -{word}")
    return one, rest.pop(0)


def go_dump(flags: Iterable[Flag]) -> str:
    """The flags as Go prints them behind a mistake."""
    lines = ["Usage:"]
    for one in sorted(flags, key=lambda one: one.word):
        lines.append(f"  -{one.word} {one.kind.name}".rstrip())
        lines.append(f"    \t{one.text}")
    return "\n".join(lines)
