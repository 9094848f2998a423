"""Domain names, in wire form without compression: length and label, in turn, and a zero at the end.

This form is compared, cut and sent as it is. Lower-casing it as bytes is safe: a length is at most
63 and no letter is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from .errors import BadName

Name: TypeAlias = bytes

ROOT: Final[Name] = b"\0"
MAX_NAME: Final = 255
"""Octets. Source: RFC 1035, section 2.3.4."""
MAX_LABEL: Final = 63


def from_labels(labels: Iterable[bytes]) -> Name:
    """The name of these labels.

    Raises:
        BadName: a label is empty or over 63 octets, or the name over 255.
    """
    parts: list[bytes] = []
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL:
            raise BadName("a label has 1 to 63 octets")
        parts += (bytes((len(label),)), label)
    name = b"".join(parts) + ROOT
    if len(name) > MAX_NAME:
        raise BadName("a name has at most 255 octets")
    return name


def from_text(text: str) -> Name:
    """The name that ``text`` spells, with or without the last dot; no escapes.

    Raises:
        BadName: as :func:`from_labels`, and for the empty text.
    """
    if text == ".":
        return ROOT
    return from_labels(label.encode() for label in text.removesuffix(".").split("."))


def labels(name: Name) -> list[bytes]:
    """The labels of ``name``, leftmost first."""
    found: list[bytes] = []
    at = 0
    while size := name[at]:
        found.append(name[at + 1 : at + 1 + size])
        at += 1 + size
    return found


def texts(name: Name) -> tuple[str, ...]:
    """The labels of ``name`` as lower-cased text; octets that are not UTF-8 appear as escapes."""
    return tuple(label.decode("utf-8", "backslashreplace").lower() for label in labels(name))


@lru_cache(maxsize=16384)
def below(text: str, suffix: Name) -> Name | None:
    """``text``'s labels before ``suffix``; ``None`` when they fit into no domain name."""
    try:
        name = from_text(text)[:-1] + suffix
    except BadName:
        return None
    return name if len(name) <= MAX_NAME else None
