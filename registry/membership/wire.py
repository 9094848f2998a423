"""MessagePack as Serf's peers speak it: structs as maps, strings and bytes both as ``raw``.

It is the format from before strings and binaries were told apart: there is no ``str8`` and no
``bin``. What is written keeps to that; what is read may be newer. Field types decide what a raw
value becomes, so a struct's annotations are its schema: ints with a range, ``bool``, ``float``,
``str``, ``bytes``, structs, ``tuple[X, ...]``, ``dict[str, X]`` and ``X | None``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Final, TypeVar

import msgpack
import msgspec

from .errors import MalformedMessage

StructT = TypeVar("StructT", bound=msgspec.Struct)
Read = Callable[[Any], Any]

UInt8 = Annotated[int, 8]
UInt16 = Annotated[int, 16]
UInt32 = Annotated[int, 32]
UInt64 = Annotated[int, 64]

_packer: Final = msgpack.Packer(use_bin_type=False, autoreset=True)


def pack(value: msgspec.Struct | typing.Sequence[Any] | typing.Mapping[str, Any]) -> bytes:
    """``value`` in the old format."""
    return bytes(_packer.pack(_plain(value)))


def unpack(kind: type[StructT], content: bytes) -> StructT:
    """The ``kind`` in ``content``, which holds nothing else.

    Raises:
        MalformedMessage: it is not one.
    """
    return build(kind, parse(content))


def parse(content: bytes) -> Any:
    """Whatever value ``content`` holds, with raw values as bytes.

    Raises:
        MalformedMessage: it is not MessagePack, or more follows.
    """
    try:
        return msgpack.unpackb(content, raw=True, strict_map_key=False, ext_hook=_no_extension)
    except MALFORMED as error:
        raise MalformedMessage("not msgpack", type(error).__name__) from error


def unpacker(*, limit: int) -> msgpack.Unpacker:
    """A reader of values one after the other, holding at most ``limit`` bytes."""
    return msgpack.Unpacker(
        raw=True, strict_map_key=False, max_buffer_size=limit, ext_hook=_no_extension
    )


def build(kind: type[StructT], value: Any) -> StructT:
    """The ``kind`` that a parsed ``value`` describes; missing fields take their defaults.

    Raises:
        MalformedMessage: a field has the wrong type or is out of range.
    """
    try:
        return typing.cast("StructT", _reader(kind)(value))
    except (TypeError, ValueError, UnicodeDecodeError) as error:
        raise MalformedMessage("wrong fields", f"{kind.__name__}: {error}") from error


def read_strings(content: bytes) -> tuple[str, ...]:
    """A list of strings, which stands alone in ``content``.

    Raises:
        MalformedMessage: it is something else.
    """
    return typing.cast("tuple[str, ...]", _guarded(tuple[str, ...], parse(content)))


def read_string_map(content: bytes) -> dict[str, str]:
    """A map of strings to strings, which stands alone in ``content``.

    Raises:
        MalformedMessage: it is something else.
    """
    return typing.cast("dict[str, str]", _guarded(dict[str, str], parse(content)))


def _guarded(kind: Any, value: Any) -> Any:
    try:
        return _reader(kind)(value)
    except (TypeError, ValueError, UnicodeDecodeError) as error:
        raise MalformedMessage("wrong fields", str(error)) from error


def _no_extension(code: int, content: bytes) -> Any:
    raise ValueError(f"extension type {code} of {len(content)} bytes")


MALFORMED: Final = (
    msgpack.UnpackException,
    ValueError,
    TypeError,
    RecursionError,
    OverflowError,
    MemoryError,
)
"""What msgpack raises for bytes that are not its format."""


NOT_YET: Final = msgpack.OutOfData
"""What an unpacker raises until it was fed a whole value."""


def repack(value: Any) -> bytes:
    """A parsed value, packed again."""
    return bytes(_packer.pack(value))


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        plain = {}
        for name, attribute, optional in _written(type(value)):
            content = getattr(value, attribute)
            if not (optional and not content):
                plain[name] = _plain(content)
        return plain
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


@cache
def _written(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, bool], ...]:
    optional = getattr(kind, "omitted_when_empty", ())
    return tuple(
        (field.encode_name, field.name, field.name in optional)
        for field in msgspec.structs.fields(kind)
    )


@cache
def _reader(kind: Any) -> Read:
    """How to turn a parsed value into ``kind``."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct_reader(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _int_reader(arguments[1])
    if origin in (types.UnionType, typing.Union):
        inner = _reader(next(each for each in arguments if each is not types.NoneType))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        each = _reader(arguments[0])
        return lambda value: tuple([each(item) for item in _expect(value or [], list)])
    if origin is dict:
        each = _reader(arguments[1])
        return lambda value: {
            _read_str(key): each(item) for key, item in _expect(value or {}, dict).items()
        }
    return _SCALARS[kind]


def _struct_reader(kind: type[msgspec.Struct]) -> Read:
    hints = typing.get_type_hints(kind, include_extras=True)
    readers = {
        field.encode_name.encode(): (field.name, _reader(hints[field.name]))
        for field in msgspec.structs.fields(kind)
    }

    def read(value: Any) -> Any:
        fields = {}
        for key, content in _expect(value, dict).items():
            known = readers.get(key)
            if known is not None:
                fields[known[0]] = known[1](content)
        return kind(**fields)

    return read


def _int_reader(bits: int) -> Read:
    limit = 1 << bits

    def read(value: Any) -> int:
        if type(value) is not int or not 0 <= value < limit:
            raise ValueError(f"not an unsigned number of {bits} bits")
        return value

    return read


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"not a {kind.__name__}")
    return value


def _read_bytes(value: Any) -> bytes:
    if value is None:
        return b""
    return typing.cast("bytes", _expect(value, bytes))


def _read_str(value: Any) -> str:
    return _read_bytes(value).decode()


def _read_bool(value: Any) -> bool:
    return typing.cast("bool", _expect(value, bool))


def _read_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)


def _read_int(value: Any) -> int:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise ValueError("not a signed number of 64 bits")
    return value


_SCALARS: Final[dict[Any, Read]] = {
    bytes: _read_bytes,
    str: _read_str,
    bool: _read_bool,
    float: _read_float,
    int: _read_int,
}
