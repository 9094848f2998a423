"""How a setting is declared, and the table that follows from the declarations.

A setting is one annotated field of a :class:`Section`: name, type and default are the field's, the
rest is its :class:`Key`. Parsing, validation and the reference page are all read off the fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeAlias, get_args, get_origin, get_type_hints

import msgspec


class Key(NamedTuple):
    """What is known of a setting beside its name, type and default."""

    help: str
    """One line for the reference page."""

    reload: bool = False
    """Whether a reload applies it; otherwise it takes a restart."""

    acts: bool = True
    """Whether anything here acts on it yet. If not, setting it is answered with a warning."""

    default: str = ""
    """The default in words, where it is not the field's own."""


class Unit(NamedTuple):
    """Marks a field whose text form is not its type's own."""

    name: str


Duration: TypeAlias = Annotated[float, Unit("duration")]
"""Seconds; text such as ``1h30m`` in files."""

Size: TypeAlias = Annotated[int, Unit("unsigned")]
"""A whole number that cannot be negative."""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A group of settings: an object in files, a frozen struct in the program."""


class Computed(Section, frozen=True):
    """A group that follows from the settings and is none of them."""


class Setting(NamedTuple):
    """One row of the table."""

    path: str
    kind: str
    """``string``, ``bool``, ``int``, ``unsigned``, ``float``, ``duration``, ``strings``, ``map``
    (to strings), ``durations`` (a map), ``any`` (a map, kept as it is) or ``objects``."""
    default: Any
    key: Key


_KINDS: dict[Any, str] = {
    str: "string",
    bool: "bool",
    int: "int",
    float: "float",
    tuple[str, ...]: "strings",
    dict[str, str]: "map",
    dict[str, Duration]: "durations",
    dict[str, Any]: "any",
    tuple[dict[str, Any], ...]: "objects",
}


class Field(NamedTuple):
    """One field of a section: a setting, or a section of its own."""

    name: str
    kind: str
    default: Any
    key: Key | None
    section: type[Section] | None


@cache
def fields(section: type[Section]) -> tuple[Field, ...]:
    """The fields of ``section`` that are settings or sections, in order.

    A field with neither a :class:`Key` nor a section type is computed and not part of the table.
    """
    hints = get_type_hints(section, include_extras=True)
    found: list[Field] = []
    for field in msgspec.structs.fields(section):
        hint = hints[field.name]
        extras: tuple[Any, ...] = ()
        if get_origin(hint) is Annotated:
            hint, *rest = get_args(hint)
            extras = tuple(rest)
        key = next((extra for extra in extras if isinstance(extra, Key)), None)
        unit = next((extra for extra in extras if isinstance(extra, Unit)), None)
        if isinstance(hint, type) and issubclass(hint, Section):
            if not issubclass(hint, Computed):
                found.append(Field(field.name, "section", None, key, hint))
        elif key is not None:
            default = field.default
            if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            kind = unit.name if unit else _KINDS[hint]
            found.append(Field(field.name, kind, default, key, None))
    return tuple(found)


def table(section: type[Section], prefix: str = "") -> Iterator[Setting]:
    """Every setting below ``section``, depth first, in order of declaration."""
    for field in fields(section):
        if field.section is not None:
            yield from table(field.section, f"{prefix}{field.name}.")
        elif field.key is not None:
            yield Setting(prefix + field.name, field.kind, field.default, field.key)
