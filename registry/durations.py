"""Durations as Go writes them: ``300ms``, ``1h30m``, ``1.5h``.

Go counts in whole nanoseconds, 64 bits with a sign. The ``_ns`` functions speak that unit, which
the HTTP API prints as a number; the others speak seconds, as the rest of the house does.

Source: Go, packages ``time`` (``ParseDuration``, ``Duration.String``).
"""

from __future__ import annotations

from typing import Final

from .errors import RegistryError

NANOSECONDS: Final = 1_000_000_000
"""Nanoseconds in a second."""

_LONGEST_NS: Final = 2**63 - 1
_UNITS: Final[dict[str, int]] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "h": 3600 * NANOSECONDS,
}
_DIGITS: Final = frozenset("0123456789")


class InvalidDuration(RegistryError):
    """A duration cannot be read; the text is Go's."""


def parse(text: str) -> float:
    """The duration ``text`` in seconds.

    Raises:
        InvalidDuration: it is not one, or does not fit in 64 bits of nanoseconds.
    """
    return parse_ns(text) / NANOSECONDS


def parse_ns(text: str) -> int:
    """The duration ``text`` in nanoseconds.

    Raises:
        InvalidDuration: it is not one, or does not fit in 64 bits.
    """
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0
    if not rest:
        raise InvalidDuration(f"time: invalid duration {_quote(text)}")
    total = 0
    while rest:
        amount, rest = _take_term(text, rest)
        total += amount
        if total > _LONGEST_NS:
            raise InvalidDuration(f"time: invalid duration {_quote(text)}")
    return -total if text.startswith("-") else total


def _take_term(text: str, rest: str) -> tuple[int, str]:
    """Read one number and its unit off ``rest``; return nanoseconds and what follows."""
    whole, rest = _take_digits(rest)
    fraction = ""
    if rest.startswith("."):
        fraction, rest = _take_digits(rest[1:])
    if not whole and not fraction:
        raise InvalidDuration(f"time: invalid duration {_quote(text)}")
    end = next((at for at, char in enumerate(rest) if char == "." or char in _DIGITS), len(rest))
    name, rest = rest[:end], rest[end:]
    if not name:
        raise InvalidDuration(f"time: missing unit in duration {_quote(text)}")
    unit = _UNITS.get(name)
    if unit is None:
        raise InvalidDuration(f"time: unknown unit {_quote(name)} in duration {_quote(text)}")
    # Nineteen digits hold every value that fits; more are cut short here so that none are costly.
    if len(whole.lstrip("0")) > 19:
        raise InvalidDuration(f"time: invalid duration {_quote(text)}")
    fraction = fraction[:19]
    # Go drops what is finer than a nanosecond.
    part = int(fraction) * unit // 10 ** len(fraction) if fraction else 0
    return int(whole or "0") * unit + part, rest


def _take_digits(text: str) -> tuple[str, str]:
    end = next((at for at, char in enumerate(text) if char not in _DIGITS), len(text))
    return text[:end], text[end:]


def _quote(text: str) -> str:
    """``text`` as Go's ``time`` package quotes it in errors."""
    escaped = (
        f"\\{char}"
        if char in '"\\'
        else char
        if " " <= char < "\x80"
        else "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
        for char in text
    )
    return f'"{"".join(escaped)}"'


def format(seconds: float) -> str:  # noqa: A001 - read as `durations.format`
    """``seconds`` as Go prints them: ``1m30s``, ``1.5s``, ``200ms``, ``0s``."""
    return format_ns(round(seconds * NANOSECONDS))


def format_ns(nanoseconds: int) -> str:
    """``nanoseconds`` as Go prints a duration."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest == 0:
        return "0s"
    if rest < NANOSECONDS:
        unit = next(name for name in ("ms", "µs", "ns") if rest >= _UNITS[name])
        return f"{sign}{_decimal(rest, _UNITS[unit])}{unit}"
    minutes, below = divmod(rest, 60 * NANOSECONDS)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(below, NANOSECONDS)}s"
    if hours:
        text = f"{hours}h{minutes}m{text}"
    elif minutes:
        text = f"{minutes}m{text}"
    return sign + text


def _decimal(amount: int, unit: int) -> str:
    """``amount / unit``, exactly, without trailing zeros. ``unit`` is a power of ten."""
    whole, part = divmod(amount, unit)
    if not part:
        return str(whole)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}"
