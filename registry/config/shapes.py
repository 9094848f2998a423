"""What an object in a file may hold: the names of its fields and the kind of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from .keys import Section, fields

Kind: TypeAlias = "str | Shape | ListOf | MapOf"
"""The name of a plain kind (see :class:`~.keys.Setting`; also ``headers``, a map to lists of
strings), or something nested."""


@dataclass(eq=False, slots=True)
class Shape:
    """An object with known fields. ``camel``: they may also be written without underscores."""

    fields: dict[str, Kind]
    camel: bool = False

    def canonical(self, key: str) -> str | None:
        """The field that ``key`` means; ``None`` if there is none. Case does not matter."""
        if key in self.fields:
            return key
        lower = key.lower()
        if lower in self.fields:
            return lower
        if self.camel:
            return self._folded().get(lower)
        return None

    def _folded(self) -> dict[str, str]:
        return {name.replace("_", ""): name for name in self.fields}


@dataclass(frozen=True, eq=False, slots=True)
class ListOf:
    """A list of objects."""

    shape: Shape


@dataclass(frozen=True, eq=False, slots=True)
class MapOf:
    """Objects by names of the user's choice."""

    shape: Shape


@cache
def shape_of(section: type[Section]) -> Shape:
    """The shape of a group of settings."""
    return Shape(
        {
            field.name: field.kind if field.section is None else shape_of(field.section)
            for field in fields(section)
        }
    )
