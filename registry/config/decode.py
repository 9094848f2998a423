"""Checking what a file says against the shape of the configuration.

Values come out as they are, of the right type, under their canonical names; durations are still
text. Everything wrong with one file is told at once, in the words of Consul's decoder.
"""

from __future__ import annotations

import sys
from typing import Any

from lictor.registry.errors import InvalidConfig
from lictor.registry.hcl import Blocks

from .shapes import Kind, ListOf, MapOf, Shape

_LARGEST = 2**63


def decode(raw: dict[str, Any], shape: Shape, *, source: str, is_json: bool) -> dict[str, Any]:
    """The fields of ``raw`` that are set, by canonical name.

    Raises:
        InvalidConfig: a type is wrong or a key is unknown.
    """
    decoder = _Decoder(is_json=is_json)
    found = decoder.object(raw, shape, "")
    if decoder.wrong:
        lines = "".join(f"\n* {line}" for line in sorted(decoder.wrong))
        raise InvalidConfig(
            f"failed to parse {source}: {len(decoder.wrong)} error(s) decoding:\n{lines}"
        )
    if decoder.unknown:
        lines = several([f"invalid config key {path}" for path in decoder.unknown])
        raise InvalidConfig(f"failed to parse {source}: {lines}")
    return found


def several(errors: list[str]) -> str:
    """Errors as Go's ``multierror`` prints them."""
    head = "1 error occurred:" if len(errors) == 1 else f"{len(errors)} errors occurred:"
    return head + "".join(f"\n\t* {error}" for error in errors) + "\n\n"


def plain(value: Any) -> Any:
    """An opaque value without HCL's traces: one block is an object, several are a list."""
    if isinstance(value, Blocks) and len(value) == 1:
        return plain(value[0])
    if isinstance(value, list):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {key: plain(element) for key, element in value.items()}
    return value


class _Decoder:
    def __init__(self, *, is_json: bool) -> None:
        self.wrong: list[str] = []
        self.unknown: list[str] = []
        self._is_json = is_json

    def object(self, raw: dict[str, Any], shape: Shape, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        # The exact spelling of a key goes before others of the same key.
        exact = {name for name in raw if name in shape.fields}
        unknown: list[str] = []
        for key, value in raw.items():
            name = shape.canonical(key)
            if name is None or name in found or (name != key and name in exact):
                unknown.append(f"{path}.{key}" if path else key)
            elif value is not None:
                decoded = self.value(value, shape.fields[name], f"{path}.{name}" if path else name)
                if decoded is not None:
                    found[name] = decoded
        self.unknown.extend(unknown)
        return found

    def value(self, value: Any, kind: Kind, path: str) -> Any:
        """The checked value; ``None``, with a complaint noted, if it is of another kind."""
        match kind:
            case Shape() as shape:
                mapping = self._mapping(value, path)
                return None if mapping is None else self.object(mapping, shape, path)
            case ListOf(shape):
                return [self.object(entry, shape, at) for at, entry in self._objects(value, path)]
            case MapOf(shape):
                mapping = self._mapping(value, path) or {}
                entries = {
                    key: self.value(entry, shape, f"{path}[{key}]")
                    for key, entry in mapping.items()
                }
                return {key: entry for key, entry in entries.items() if entry is not None}
            case "objects":
                return [plain(entry) for _, entry in self._objects(value, path)]
            case "strings":
                return [
                    self._scalar(element, "string", f"{path}[{at}]")
                    for at, element in enumerate(self._sequence(value, path))
                ]
            case "any":
                mapping = self._mapping(value, path)
                return None if mapping is None else plain(mapping)
            case "map" | "durations" | "headers":
                inner = "strings" if kind == "headers" else "string"
                return {
                    key: self.value(entry, inner, f"{path}[{key}]")
                    for key, entry in (self._mapping(value, path) or {}).items()
                }
            case str():
                return self._scalar(value, kind, path)

    def _mapping(self, value: Any, path: str) -> dict[str, Any] | None:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, dict):
            return value
        if value == []:
            return {}
        self.wrong.append(f"'{path}' expected a map, got '{self._type(value)}'")
        return None

    def _sequence(self, value: Any, path: str) -> list[Any]:
        if isinstance(value, list) and not isinstance(value, Blocks):
            return value
        self.wrong.append(
            f"'{path}': source data must be an array or slice, got {self._type(value)}"
        )
        return []

    def _objects(self, value: Any, path: str) -> list[tuple[str, dict[str, Any]]]:
        """The objects of a list, each with its path. A single object is a list of one."""
        if isinstance(value, dict):
            value = [value]
        if isinstance(value, Blocks):
            value = list(value)
        found: list[tuple[str, dict[str, Any]]] = []
        for at, entry in enumerate(self._sequence(value, path)):
            mapping = self._mapping(entry, f"{path}[{at}]")
            if mapping is not None:
                found.append((f"{path}[{at}]", mapping))
        return found

    def _scalar(self, value: Any, kind: str, path: str) -> Any:
        match kind:
            case "string" | "duration" if isinstance(value, str):
                return value
            case "bool" if isinstance(value, bool):
                return value
            case "float" if isinstance(value, int | float) and not isinstance(value, bool):
                return max(-sys.float_info.max, min(sys.float_info.max, value)) + 0.0
            case "int" | "unsigned" if isinstance(value, int | float) and not isinstance(
                value, bool
            ):
                if not -_LARGEST <= value < _LARGEST:
                    self.wrong.append(f"cannot parse '{path}', {value} overflows int")
                    return None
                if kind == "unsigned" and value < 0:
                    self.wrong.append(f"cannot parse '{path}', {value:g} overflows uint")
                    return None
                return int(value)
            case _:
                return self._mismatch(value, kind, path)

    def _mismatch(self, value: Any, kind: str, path: str) -> None:
        want = {"duration": "string", "float": "float64", "unsigned": "uint"}.get(kind, kind)
        self.wrong.append(
            f"'{path}' expected type '{want}', got unconvertible type '{self._type(value)}'"
        )

    def _type(self, value: Any) -> str:
        """The name Go has for the type of ``value``."""
        match value:
            case bool():
                return "bool"
            case str():
                return "string"
            case int():
                return "float64" if self._is_json else "int"
            case float():
                return "float64"
            case dict() | [{}]:
                return "map"
            case _:
                return "slice"
