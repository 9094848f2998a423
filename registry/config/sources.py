"""Where configuration comes from, read one after the other and merged.

Scalars: the later one wins. Lists grow. Maps and objects merge by key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lictor.registry import hcl
from lictor.registry.errors import InvalidConfig

from .agent import AgentConfig
from .decode import decode
from .definitions import CHECK, SERVICE
from .json_text import MalformedJSON, parse_json
from .legacy import LEGACY, put, take
from .shapes import Kind, ListOf, MapOf, Shape, shape_of

FORMATS: Final = ("hcl", "json")


def _file_shape() -> Shape:
    """The settings, the names they had, and what else may stand in a file."""
    shape = _copy(shape_of(AgentConfig))
    for name, definition in (("service", SERVICE), ("check", CHECK)):
        shape.fields |= {name: definition, f"{name}s": ListOf(definition)}
    for old, _, kind in LEGACY:
        *groups, name = old.split(".")
        inner: Kind = shape
        for group in groups:
            inner = inner.fields[group] if isinstance(inner, Shape) else inner
        if not isinstance(inner, Shape):
            raise TypeError(f"{old} is not in a group of settings")
        inner.fields[name] = kind
    return shape


def _copy(shape: Shape) -> Shape:
    return Shape(
        {
            name: _copy(kind) if isinstance(kind, Shape) else kind
            for name, kind in shape.fields.items()
        }
    )


FILE: Final = _file_shape()


def collect(
    paths: Sequence[Path],
    *,
    config_format: str | None,
    read: Callable[[Path], bytes],
    names: Callable[[Path], Sequence[str]],
    warn: Callable[[str], None],
) -> list[dict[str, Any]]:
    """What each file of ``paths`` says, in order; a directory stands for the files in it.

    Raises:
        InvalidConfig: one cannot be read.
    """
    if config_format not in {None, "", *FORMATS}:
        raise InvalidConfig("config: -config-format must be either 'hcl' or 'json'")
    found: list[dict[str, Any]] = []
    for path in paths:
        for name, content in _expand(path, read=read, names=names):
            kind = config_format or path_format(name)
            if kind is None:
                warn(
                    f"skipping file {name}, extension must be .hcl or .json, "
                    "or config format must be set"
                )
                continue
            found.append(parse(content, source=name, kind=kind))
    return found


def path_format(name: str) -> str | None:
    """The format that the extension of ``name`` stands for."""
    suffix = name.rpartition(".")[2]
    return suffix if suffix in FORMATS else None


def _expand(
    path: Path, *, read: Callable[[Path], bytes], names: Callable[[Path], Sequence[str]]
) -> list[tuple[str, bytes]]:
    try:
        return [(str(path), read(path))]
    except IsADirectoryError:
        pass
    except OSError as error:
        raise InvalidConfig(f"config: Open failed on {path}. {_go_error(path, error)}") from error
    found: list[tuple[str, bytes]] = []
    for name in sorted(names(path)):
        try:
            found.append((str(path / name), read(path / name)))
        except IsADirectoryError:
            continue
        except OSError as error:
            message = f"config: ReadFile failed on {path / name}: {_go_error(path / name, error)}"
            raise InvalidConfig(message) from error
    return found


def _go_error(path: Path, error: OSError) -> str:
    return f"open {path}: {(error.strerror or str(error)).lower()}"


def parse(content: bytes | str, *, source: str, kind: str) -> dict[str, Any]:
    """What one file says, checked against the shape of the configuration.

    Raises:
        InvalidConfig: it cannot be read; the text begins with ``failed to parse <source>``.
    """
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    is_json = kind == "json" or text.lstrip().startswith("{")
    try:
        raw = parse_json(text) if is_json else hcl.parse(text)
    except hcl.MalformedHCL as error:
        raise InvalidConfig(f"failed to parse {source}: {error}") from error
    except MalformedJSON as error:
        raise InvalidConfig(f"failed to parse {source}: {error}") from error
    take(raw, "snapshot_agent")  # read by the snapshot agent, which shares our files
    found = decode(raw, FILE, source=source, is_json=is_json)
    for one, many in (("service", "services"), ("check", "checks")):
        if one in found:
            found.setdefault(many, []).append(found.pop(one))
    return found


def from_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    """Flags, by the path of the setting each stands for, in the shape of a file."""
    found: dict[str, Any] = {}
    for path, value in flags.items():
        put(found, path, value)
    return found


def merge(low: dict[str, Any], high: dict[str, Any], kind: Kind = FILE) -> dict[str, Any]:
    """``high`` over ``low``; neither is changed."""
    merged = dict(low)
    for key, value in high.items():
        earlier = merged.get(key)
        inner: Kind = kind.fields[key] if isinstance(kind, Shape) else "any"
        if isinstance(earlier, dict) and isinstance(inner, Shape):
            merged[key] = merge(earlier, value, inner)
        elif isinstance(earlier, dict) and isinstance(inner, str | MapOf):
            merged[key] = {**earlier, **value}
        elif isinstance(earlier, list):
            merged[key] = [*earlier, *value]
        else:
            merged[key] = value
    return merged
