"""The agent's configuration: read from files and flags, merged, checked and typed.

``load`` is the one door. Nobody above it merges, nobody below it reads a file or a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from lictor.raft.runtime import uuid4
from lictor.registry.errors import InvalidConfig

from . import checks, sources
from .addresses import InterfaceAddress, Interfaces
from .agent import AgentConfig, Listen, Listeners, Timings
from .build import DEV, build
from .debug import debug_config
from .legacy import modernise
from .notices import notices

__all__ = [
    "AgentConfig",
    "InterfaceAddress",
    "InvalidConfig",
    "Listen",
    "Listeners",
    "Loaded",
    "Timings",
    "debug_config",
    "load",
]


class Loaded(NamedTuple):
    """A configuration, and what its operator should be told."""

    config: AgentConfig
    warnings: tuple[str, ...]


def _no_interfaces() -> Sequence[InterfaceAddress]:
    return ()


def load(
    *,
    files: Sequence[Path] = (),
    directories: Sequence[Path] = (),
    fragments: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    dev: bool = False,
    config_format: str | None = None,
    read: Callable[[Path], bytes],
    names: Callable[[Path], Sequence[str]],
    hostname: str,
    rng: Random,
    interfaces: Interfaces = _no_interfaces,
) -> Loaded:
    """Read and merge every source, the later over the earlier, and check the result.

    Args:
        files: Read in this order; a directory among them stands for the files in it.
        directories: Read after ``files``.
        fragments: Texts in HCL, read after the files.
        flags: Values by the path of the setting each flag stands for, over everything else. Of the
            types files have: durations are text, lists are lists.
        dev: Whether dev mode's values lie beneath every source.
        config_format: The format of every file; ``None`` to go by their extensions.
        read: The content of a file; raises ``OSError`` (``IsADirectoryError`` for a directory).
        names: The names in a directory.
        hostname: Name of the node where none is given.
        rng: Where a node id comes from in dev mode, which keeps none.
        interfaces: The host's addresses, ``lo`` included.

    Raises:
        InvalidConfig: something cannot be read or may not be.
    """
    warnings: list[str] = []
    merged: dict[str, Any] = sources.from_flags(DEV) if dev else {}
    layers = sources.collect(
        [*files, *directories],
        config_format=config_format,
        read=read,
        names=names,
        warn=warnings.append,
    )
    layers += [
        sources.parse(text, source=f"flags-{at}.hcl", kind="hcl")
        for at, text in enumerate(fragments)
    ]
    given: dict[str, Any] = {}
    for layer in (*layers, sources.from_flags(flags or {})):
        given = sources.merge(given, layer)
    _refuse_two_uis(given)
    modernise(given, warn=warnings.append)
    told = set(_paths(given))
    config = build(sources.merge(merged, given), dev=dev, hostname=hostname, interfaces=interfaces)
    if dev and not config.node_id:
        config = msgspec.structs.replace(config, node_id=uuid4(rng))
    checks.check(config, read=read)
    if given.get("bootstrap_expect") == 1:
        warnings.append("BootstrapExpect is set to 1; this is the same as Bootstrap mode.")
    warnings.extend(notices(config, given=told))
    return Loaded(config, tuple(warnings))


def _refuse_two_uis(given: Mapping[str, Any]) -> None:
    if given.get("ui") and given.get("ui_dir"):
        raise InvalidConfig(
            "Both the ui and ui-dir flags were specified, please provide only one.\n"
            "If trying to use your own web UI resources, use the ui-dir flag.\n"
            "The web UI is included in the binary so use ui to enable it"
        )


def _paths(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in values.items():
        found.append(prefix + name)
        if isinstance(value, dict):
            found += _paths(value, f"{prefix}{name}.")
    return found
