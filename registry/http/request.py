"""One request, parsed as far as its handler needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from prometheus_client.registry import CollectorRegistry

from lictor.raft.runtime import Runtime
from lictor.registry.commands import Origin
from lictor.registry.durations import InvalidDuration

from . import options
from .errors import bad_body, bad_request
from .gojson import decode
from .gosyntax import InvalidJson
from .gourl import Query, parse_bool, parse_uint
from .options import ReadOptions

if TYPE_CHECKING:
    from .interfaces import AgentAccess, HTTPConfig, ServerAccess

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every request of one HTTP server shares."""

    config: HTTPConfig
    runtime: Runtime
    server: ServerAccess
    agent: AgentAccess | None
    metrics: CollectorRegistry
    """Everything that this process counts."""


class Request:
    """What a handler sees. ``rest`` is the part of the path that the row's ``{name}`` took."""

    def __init__(
        self,
        *,
        method: str,
        path: str,
        rest: str,
        query: Query,
        headers: Mapping[str, str],
        body: bytes,
        remote: str,
        around: Surroundings,
    ) -> None:
        self.method = method
        self.path = path
        self.rest = rest
        self.query = query
        self.headers = headers
        """Names match in any letter case."""
        self.body = body
        """Whole; its size was bounded before it was read."""
        self.remote = remote
        """The peer's address, or empty."""
        self.around = around

    @property
    def config(self) -> HTTPConfig:
        """The settings of this HTTP server."""
        return self.around.config

    @property
    def server(self) -> ServerAccess:
        """The servers."""
        return self.around.server

    @property
    def agent(self) -> AgentAccess:
        """The agent that answers."""
        agent = self.around.agent
        if agent is None:
            message = "this HTTP server was started without an agent"
            raise AssertionError(message)
        return agent

    @cached_property
    def read_options(self) -> ReadOptions:
        """Consistency, index and wait.

        Raises:
            Stated: 400, they cannot be read or contradict each other.
        """
        return options.read_options(self.query, self.headers)

    @cached_property
    def origin(self) -> Origin:
        """On whose behalf a change is made; part of the log."""
        request_id = f"{self.around.runtime.rng.getrandbits(64):016x}"
        return Origin(address=self.remote, request_id=request_id)

    @cached_property
    def token(self) -> str:
        """The ACL token: query, then header, then bearer; empty when none was sent."""
        given = self.query.get("token") or self.headers.get("X-Consul-Token", "")
        if given:
            return given
        scheme, _, rest = self.headers.get("Authorization", "").strip().partition(" ")
        return rest.split()[0] if scheme.lower() == "bearer" and rest.strip() else ""

    def decode(self, type_: type[T], *, strict: bool = True, empty_is_null: bool = False) -> T:
        """The JSON body as a ``type_``.

        Raises:
            Stated: 400, the body does not fit; the text says why, as Go would.
        """
        try:
            return decode(self.body, type_, strict=strict, empty_is_null=empty_is_null)
        except (InvalidJson, InvalidDuration) as error:
            raise bad_body(error) from error

    def required(self, text: str) -> str:
        """The rest of the path.

        Raises:
            Stated: 400 with ``text``, it is empty.
        """
        if not self.rest:
            raise bad_request(text)
        return self.rest

    def flag(self, name: str) -> bool | None:
        """A boolean parameter as Go reads it; ``None`` when it is not one."""
        return parse_bool(self.query.get(name))

    def number(self, name: str) -> int:
        """An unsigned parameter of 64 bits.

        Raises:
            BadNumber: it is none, in Go's words.
        """
        return parse_uint(self.query.get(name))
