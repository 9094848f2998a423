"""What a handler decides: a question to ask, a command to propose, or the reply itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lictor.registry.answers import Answer, encode_json
from lictor.registry.commands import AnyCommand, Command
from lictor.registry.queries import Question

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    """Empty leaves it to Go's guess: plain text when there is a body."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """``value`` as JSON."""
        return cls(status, encode_json(value), JSON, headers or {})


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask ``question``, then answer as ``present`` says; without it, 200 with the value."""

    question: Question
    present: Callable[[Answer], Reply] | None = None
    """Must depend on nothing but the answer. Its reply gets the index headers."""


@dataclass(frozen=True, slots=True)
class Propose:
    """Propose ``command``, then answer its result as ``present`` says; without it, as JSON."""

    command: AnyCommand
    present: Callable[[object], Reply] | None = None


Outcome: TypeAlias = "Question | Command | Ask | Propose | Reply"
