"""Paths, queries and small values as Go's ``net/url``, ``net/http`` and ``strconv`` read them.

Source: Go, packages ``net/url``, ``path``, ``net/http`` (``ServeMux``), ``strconv``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus, unquote_to_bytes

from lictor.registry.errors import RegistryError

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_PATH_SAFE: Final = "/$&+,:;=@!'()*~"

MAX_QUERY_PARTS: Final = 2000
"""Parameters in one query; what follows is not read."""


class BadEscape(ValueError):
    """A percent sign is not followed by two hexadecimal digits."""


class BadNumber(RegistryError):
    """A number in the query cannot be read; the text is Go's."""


class Query:
    """The parameters of a query: every name may come several times, values keep their order."""

    __slots__ = ("_values", "raw")

    def __init__(self, raw: str, values: dict[str, list[str]]) -> None:
        self.raw = raw
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> str:
        """The first value of ``name``; empty when there is none."""
        values = self._values.get(name)
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Every value of ``name``."""
        return self._values.get(name, [])

    def any(self, *names: str) -> bool:
        """Whether one of ``names`` is present, whatever its value."""
        return any(name in self._values for name in names)

    def encoded(self, *, without: Iterable[str] = ()) -> str:
        """The parameters by ascending name, encoded again."""
        dropped = frozenset(without)
        return "&".join(
            f"{quote_plus(name, safe='~')}={quote_plus(value, safe='~')}"
            for name, values in sorted(self._values.items())
            if name not in dropped
            for value in values
        )


def parse_query(raw: str) -> Query:
    """The parameters of ``raw``, separated by ``&`` or ``;``.

    Raises:
        BadEscape: a percent escape is broken.
    """
    values: dict[str, list[str]] = {}
    if raw:
        for part in re.split("[&;]", raw, maxsplit=MAX_QUERY_PARTS)[:MAX_QUERY_PARTS]:
            if part:
                name, _, value = part.partition("=")
                values.setdefault(_unescape(name), []).append(_unescape(value))
    return Query(raw, values)


def _unescape(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return decode_path(text) if "%" in text else text


def decode_path(raw: str) -> str:
    """``raw`` with its percent escapes resolved; bytes that are no UTF-8 become surrogates.

    Raises:
        BadEscape: an escape is broken.
    """
    if "%" not in raw:
        return raw
    encoded = raw.encode("utf-8", "surrogateescape")
    if _BAD_ESCAPE.search(encoded):
        raise BadEscape(raw)
    return unquote_to_bytes(encoded).decode("utf-8", "surrogateescape")


def encode_path(path: str) -> str:
    """``path`` as it stands in a ``Location``."""
    return quote(path, safe=_PATH_SAFE, errors="surrogateescape")


def clean_path(path: str) -> str:
    """``path`` without empty, ``.`` and ``..`` segments; a final slash stays."""
    if "//" not in path and "/." not in path:
        return path if path.startswith("/") else f"/{path}"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    cleaned = "/" + "/".join(kept)
    return f"{cleaned}/" if path.endswith("/") and kept else cleaned


def is_printable(text: str) -> bool:
    """Whether every character can be printed; bytes that are no UTF-8 can."""
    if text.isascii():
        return text.isprintable()
    return all(char.isprintable() or "\udc80" <= char <= "\udcff" for char in text)


def parse_bool(text: str) -> bool | None:
    """``text`` as Go's ``ParseBool`` reads it; ``None`` for anything else."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


def parse_uint(text: str, *, bits: int = 64) -> int:
    """``text`` as an unsigned number.

    Raises:
        BadNumber: it is none, or does not fit in ``bits``.
    """
    if not (text.isascii() and text.isdigit()):
        message = f"strconv.ParseUint: parsing {quoted(text)}: invalid syntax"
        raise BadNumber(message)
    # Python refuses to read very long numbers, which are out of range anyhow
    digits = text.lstrip("0") or "0"
    if len(digits) > 20 or int(digits) >= 1 << bits:
        message = f"strconv.ParseUint: parsing {quoted(text)}: value out of range"
        raise BadNumber(message)
    return int(digits)


def quoted(text: str) -> str:
    """``text`` as Go's ``%q`` prints it."""
    return f'"{"".join(map(_quoted_char, text))}"'


def _quoted_char(char: str) -> str:
    if char in _QUOTED:
        return _QUOTED[char]
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_QUOTED: Final = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
}  # fmt: skip


UUID_LENGTH: Final = 36
UUID_HYPHENS: Final = 4


def uuid_problem(text: str) -> str:
    """What keeps ``text`` from being a UUID to look up; empty when nothing does.

    Source: observed on Consul 1.8; the words are those of its in-memory database.
    """
    if len(text.encode("utf-8", "surrogateescape")) != UUID_LENGTH:
        return f"UUID must be {UUID_LENGTH} characters"
    hyphens = text.count("-")
    if hyphens > UUID_HYPHENS:
        return f'UUID should have maximum of {UUID_HYPHENS} "-"; got {hyphens}'
    digits = text.replace("-", "")
    bad = next((char for char in digits if char not in "0123456789abcdefABCDEF"), "")
    if bad:
        return f"Invalid UUID: encoding/hex: invalid byte: U+{ord(bad):04X} '{bad}'"
    return "Input (without hyphens) must be even length" if len(digits) % 2 else ""
