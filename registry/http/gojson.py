"""JSON bodies into structs, by the rules and in the words of Go's ``encoding/json``.

Member names match in any letter case, the last duplicate wins, ``null`` leaves a member as it is,
what follows the first value is ignored, and missing members have Go's zero values. What does not
fit is refused with the text a Go server would answer; those texts name Go types, so a struct may
say with :func:`declare` what it is called there.

Durations: a field typed ``records.Duration`` takes Go text (``"10s"``) or whole nanoseconds.

Source: Go, package ``encoding/json``; texts and quirks as a Consul 1.8 answers them.
"""

from __future__ import annotations

import base64
import binascii
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Any, Final, NewType, TypeVar

import msgspec

from lictor.registry import durations
from lictor.registry.records import Duration

from .gosyntax import InvalidJson, Number, Object, Value, parse

T = TypeVar("T")

LockDelay = NewType("LockDelay", int)
"""Nanoseconds, or seconds when below 1000: text with units or a number on the wire."""

Uint = NewType("Uint", int)
"""Unsigned, 64 bits."""

LOCK_DELAY_SECONDS_BELOW: Final = 1000
"""A lock delay of fewer nanoseconds counts as seconds. Source: observed on Consul 1.8."""

_INT: Final = (-(2**63), 2**63 - 1)
_UINT: Final = (0, 2**64 - 1)


class Shape(msgspec.Struct, frozen=True):
    """What Go's side of a struct looks like, as far as errors and leniency show it."""

    name: str = ""
    """The struct in ``Go struct field <name>.Member``; empty for Consul's anonymous ones."""
    custom: bool = False
    """It decodes itself: an error inside shows the field that holds it."""
    strict: bool | None = None
    """Whether unknown members are refused; ``None`` does as the struct around it."""
    whole: str = ""
    """The type in ``Go value of type <whole>``."""
    aliases: Mapping[str, str] = {}
    """Other spellings: lower-cased member to field name; the field's own spelling wins."""
    snake: bool = False
    """Whether every member is also known by its snake_case name."""
    member_types: Mapping[str, str] = {}
    """Go types that cannot be told from the field's, by field name."""


_SHAPES: dict[type, Shape] = {}


def declare(type_: type, shape: Shape) -> None:
    """Say what ``type_`` is in Go. Undeclared structs keep their own name."""
    _SHAPES[type_] = shape


class _Where(msgspec.Struct, frozen=True):
    """Where in the target a value belongs, as errors tell it."""

    struct: str = ""
    path: tuple[str, ...] = ()
    frozen: bool = False
    strict: bool = True
    go_type: str = ""
    """What Go calls the type of this very field, where it has a name of its own."""

    def misfit(self, value: Value, go_type: str) -> InvalidJson:
        """The error for a value of another type."""
        go_type = self.go_type or go_type
        target = f"Go struct field {self.struct}.{'.'.join(self.path)}" if self.path else "Go value"
        return InvalidJson(f"json: cannot unmarshal {_kind(value)} into {target} of type {go_type}")


_Convert = Callable[[Value, _Where], Any]


def decode(body: bytes, type_: type[T], *, strict: bool = True, empty_is_null: bool = False) -> T:
    """The first JSON value of ``body`` as a ``type_``, a msgspec struct.

    ``strict`` refuses unknown members where the type does not say otherwise; ``empty_is_null``
    takes an empty body for an empty object. The size of ``body`` was bounded by whoever read it.

    Raises:
        InvalidJson: the text is malformed or does not fit, in Go's words.
        InvalidDuration: a duration cannot be read.
    """
    value = None if empty_is_null and not body.strip() else parse(body)
    plan: _Plan = _plan(typing.cast("Any", type_))
    result = plan.convert(value, _Where(strict=strict))
    return typing.cast("T", plan.zero() if result is None else result)


class _Plan(msgspec.Struct, frozen=True):
    """How one Python type is read."""

    go_type: str
    zero: Callable[[], Any]
    convert: _Convert
    """``None`` for ``null``: the target stays as it is."""


def _kind(value: Value) -> str:
    """What Go calls the kind of ``value``."""
    if isinstance(value, Number):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "object" if isinstance(value, Object) else "array"


def plain(value: Value) -> Any:
    """``value`` in Python's own types, as a field typed ``Any`` gets it."""
    if isinstance(value, Number):
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if isinstance(value, Object):
        return {key: plain(member) for key, member in value.members}
    return [plain(item) for item in value] if isinstance(value, list) else value


@cache
def _plan(type_: Hashable) -> _Plan:
    if type_ in _SCALARS:
        return _SCALARS[type_]
    origin = typing.get_origin(type_)
    if origin in {typing.Union, types.UnionType}:
        inner = _plan(next(part for part in typing.get_args(type_) if part is not type(None)))
        return msgspec.structs.replace(inner, zero=lambda: None)
    if origin in {tuple, list}:
        return _sequence_plan(origin, typing.get_args(type_)[0])
    if origin is dict:
        return _map_plan(typing.get_args(type_)[1])
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _struct_plan(type_)
    message = f"no plan for {type_!r}"
    raise AssertionError(message)


def _string(value: Value, where: _Where) -> str | None:
    if value is None or (isinstance(value, str) and not isinstance(value, Number)):
        return value
    raise where.misfit(value, "string")


def _bool(value: Value, where: _Where) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise where.misfit(value, "bool")


def _integer(go_type: str, bounds: tuple[int, int]) -> _Convert:
    def convert(value: Value, where: _Where) -> int | None:
        if value is None:
            return None
        if not isinstance(value, Number):
            raise where.misfit(value, go_type)
        digits = value.removeprefix("-")
        # Python refuses to read very long numbers, and they are out of bounds anyhow
        if digits.isdigit() and len(digits) <= 20 and bounds[0] <= int(value) <= bounds[1]:
            return int(value)
        target = where.misfit(value, go_type).args[0]
        raise InvalidJson(target.replace("unmarshal number", f"unmarshal number {value}", 1))

    return convert


def _float(value: Value, where: _Where) -> float | None:
    if value is None:
        return None
    if isinstance(value, Number):
        return float(value)
    raise where.misfit(value, "float64")


def _base64(value: Value, where: _Where) -> bytes | None:
    text = _string(value, where)
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        good = next(
            (at for at, char in enumerate(text) if not _is_base64(char)), len(text) // 4 * 4
        )
        message = f"illegal base64 data at input byte {good}"
        raise InvalidJson(message) from error


def _is_base64(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char in "+/")


def _duration(value: Value, _: _Where) -> int | None:
    """Text or nanoseconds; Consul silently takes every other type for zero."""
    if value is None:
        return None
    if isinstance(value, Number):
        return int(float(value))
    return durations.parse_ns(value) if isinstance(value, str) else 0


def _lock_delay(value: Value, where: _Where) -> int | None:
    amount = _duration(value, where)
    if amount is not None and amount < LOCK_DELAY_SECONDS_BELOW:
        return amount * durations.NANOSECONDS
    return amount


_SCALARS: Final[dict[Any, _Plan]] = {
    str: _Plan("string", str, _string),
    bool: _Plan("bool", bool, _bool),
    int: _Plan("int", int, _integer("int", _INT)),
    Uint: _Plan("uint64", int, _integer("uint64", _UINT)),
    float: _Plan("float64", float, _float),
    bytes: _Plan("[]uint8", bytes, _base64),
    Duration: _Plan("time.Duration", int, _duration),
    LockDelay: _Plan("time.Duration", int, _lock_delay),
    Any: _Plan("interface {}", lambda: None, lambda value, _: plain(value)),
}


def _sequence_plan(origin: type[Any], item_type: Any) -> _Plan:
    item = _plan(item_type)
    go_type = f"[]{item.go_type}"

    def convert(value: Value, where: _Where) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            raise where.misfit(value, go_type)
        inside = msgspec.structs.replace(where, go_type="") if where.go_type else where
        items = (item.convert(part, inside) for part in value)
        return origin(item.zero() if part is None else part for part in items)

    return _Plan(go_type, origin, convert)


def _map_plan(item_type: Any) -> _Plan:
    item = _plan(item_type)
    go_type = f"map[string]{item.go_type}"

    def convert(value: Value, where: _Where) -> Any:
        if value is None:
            return None
        if not isinstance(value, Object):
            raise where.misfit(value, go_type)
        result: dict[str, Any] = {}
        for key, part in value.members:
            converted = item.convert(part, where)
            result[key] = item.zero() if converted is None else converted
        return result

    return _Plan(go_type, dict, convert)


class _Member(msgspec.Struct, frozen=True):
    field: str
    name: str
    plan: _Plan
    nullable: bool
    """Whether ``null`` is a value of its own, as Go's maps, slices and pointers have it."""


class _StructReader:
    """Reads one type of struct."""

    def __init__(self, type_: type[msgspec.Struct]) -> None:
        self._type = type_
        self._shape = shape = _SHAPES.get(type_, Shape(name=type_.__name__))
        self.whole = shape.whole or f"structs.{shape.name}"
        hints = typing.get_type_hints(type_)
        fields = msgspec.structs.fields(type_)
        self._zeros = {field.name: _zero_of(field, hints[field.name]) for field in fields}
        self._members = {
            field.encode_name.lower(): _Member(
                field=field.name,
                name=field.encode_name,
                plan=_lazily(hints[field.name]),
                nullable=_nullable(hints[field.name]),
            )
            for field in fields
        }
        by_field = {member.field: member for member in self._members.values()}
        aliases = dict(shape.aliases) | ({name: name for name in by_field} if shape.snake else {})
        self._aliases = {
            spelling: by_field[field]
            for spelling, field in aliases.items()
            if spelling not in self._members
        }

    def zero(self) -> Any:
        """The struct with nothing said."""
        return self._type(**{name: make() for name, make in self._zeros.items()})

    def convert(self, value: Value, outer: _Where) -> Any:
        """The struct that ``value`` says; ``None`` for ``null``."""
        if value is None:
            return None
        if not isinstance(value, Object):
            raise outer.misfit(value, self.whole)
        shape = self._shape
        strict = outer.strict if shape.strict is None else shape.strict
        frozen = outer.frozen or (shape.custom and bool(outer.path))
        found: dict[str, Any] = {}
        aliased: dict[str, Any] = {}
        for key, part in value.members:
            name = key.lower()
            member, target, spelling = self._members.get(name), found, ""
            if member is None:
                member, target, spelling = self._aliases.get(name), aliased, name
            if member is None:
                if strict:
                    raise InvalidJson(_unknown(key))
                continue
            where = _Where(
                struct=outer.struct if frozen else shape.name,
                path=outer.path if frozen else (*outer.path, spelling or member.name),
                frozen=frozen,
                strict=strict,
                go_type=shape.member_types.get(member.field, ""),
            )
            converted = member.plan.convert(part, where)
            if converted is not None or member.nullable:
                target[member.field] = converted
        for field_name, said in aliased.items():
            if not found.get(field_name):  # a member's own spelling wins, unless it says nothing
                found[field_name] = said
        zeros = self._zeros
        return self._type(
            **{name: found[name] if name in found else zero() for name, zero in zeros.items()}
        )


def _struct_plan(type_: type[msgspec.Struct]) -> _Plan:
    reader = _StructReader(type_)
    return _Plan(reader.whole, reader.zero, reader.convert)


def _nullable(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _lazily(hint: Any) -> _Plan:
    """The plan of ``hint``, made at first use: types may contain themselves."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    return _Plan(
        "", lambda: _plan(hint).zero(), lambda value, where: _plan(hint).convert(value, where)
    )


def _zero_of(field: msgspec.structs.FieldInfo, hint: Any) -> Callable[[], Any]:
    if field.default_factory is not msgspec.NODEFAULT:
        return typing.cast("Callable[[], Any]", field.default_factory)
    if field.default is not msgspec.NODEFAULT:
        default = field.default
        return lambda: default
    return lambda: _plan(hint).zero()


def _unknown(key: str) -> str:
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'json: unknown field "{quoted}"'
