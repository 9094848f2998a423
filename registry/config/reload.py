"""What a running agent takes over from a configuration that was read again."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from .agent import AgentConfig
from .keys import Section, fields

SectionT = TypeVar("SectionT", bound=Section)


class Reloaded(NamedTuple):
    """The configuration to go on with, and what became of each change."""

    config: AgentConfig
    applied: tuple[str, ...]
    """Paths of settings that changed, and ``services`` and ``checks``; in order of declaration."""

    ignored: tuple[str, ...]
    """Paths of settings that changed and keep their value until a restart."""


def reload(running: AgentConfig, read_again: AgentConfig) -> Reloaded:
    """``running`` with every change of ``read_again`` that takes no restart."""
    applied: list[str] = []
    ignored: list[str] = []
    if running.dev or not read_again.node_id:
        # made up, or read from the data directory: not a change of the configuration
        read_again = msgspec.structs.replace(read_again, node_id=running.node_id)
    config = _merge(running, read_again, applied, ignored)
    applied += [
        name
        for name in ("services", "checks")
        if getattr(running, name) != getattr(read_again, name)
    ]
    config = msgspec.structs.replace(config, services=read_again.services, checks=read_again.checks)
    return Reloaded(config, tuple(applied), tuple(ignored))


def _merge(
    running: SectionT, wanted: SectionT, applied: list[str], ignored: list[str], prefix: str = ""
) -> SectionT:
    taken: dict[str, object] = {}
    for field in fields(type(running)):
        path = prefix + field.name
        before, after = getattr(running, field.name), getattr(wanted, field.name)
        if before == after:
            continue
        if field.section is not None:
            taken[field.name] = _merge(before, after, applied, ignored, f"{path}.")
        elif field.key is not None and field.key.reload:
            taken[field.name] = after
            applied.append(path)
        else:
            ignored.append(path)
    return msgspec.structs.replace(running, **taken)
