"""The route table: one row per route, and how a path finds its row.

Paths match as in Go's ``ServeMux``: a row's path is exact, or ends in one ``{name}`` that takes the
whole rest of the path, slashes included and possibly empty. The longest row wins.

Invariants
    I1  Rows with the same path have different methods and the same name for the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .outcomes import Outcome
    from .request import Request

Handler = Callable[["Request"], "Outcome | Awaitable[Outcome]"]
HandlerT = TypeVar("HandlerT", bound=Handler)


@dataclass(frozen=True, slots=True)
class Route:
    """One row."""

    method: str
    path: str
    handler: Handler
    acl: str
    """What the token must be allowed, ``resource:access``; empty for nothing."""
    blocking: bool
    cacheable: bool
    """Whether ``?cached`` is heeded."""
    reads_options: bool
    """Whether read options are looked at although nothing is read by them, as Consul does."""
    namespaced: bool
    """Whether it refuses a namespace; some endpoints of Consul 1.8 never look for one."""
    body_limit: str
    """The setting that bounds the body."""
    group: RouteTable
    since: str
    """The Consul version that first had it; ``lictor`` for ours."""

    @property
    def summary(self) -> str:
        """What it does, in one line: the first line of the handler's docstring."""
        return (self.handler.__doc__ or "").partition("\n")[0]


class RouteTable:
    """Rows of one API group; call it to add one."""

    def __init__(
        self,
        name: str = "other",
        *,
        shows_consistency: bool = False,
        index_on_failure: bool = False,
    ) -> None:
        self.name = name
        """The group's name in metrics."""
        self.rows: list[Route] = []
        self.shows_consistency = shows_consistency
        """Whether reads say how consistent they were."""
        self.index_on_failure = index_on_failure
        """Whether a failed read still carries index headers, as Consul 1.8's do."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        acl: str = "",
        blocking: bool = False,
        cacheable: bool = False,
        reads_options: bool = False,
        namespaced: bool = True,
        body_limit: str = "max_body_size",
        since: str = "1.8",
    ) -> Callable[[HandlerT], HandlerT]:
        """Make the decorated handler answer ``method`` on ``path``."""

        def add(handler: HandlerT) -> HandlerT:
            self.rows.append(
                Route(
                    method=method,
                    path=path,
                    handler=handler,
                    acl=acl,
                    blocking=blocking,
                    cacheable=cacheable,
                    reads_options=reads_options,
                    namespaced=namespaced,
                    body_limit=body_limit,
                    group=self,
                    since=since,
                )
            )
            return handler

        return add


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All methods of one path."""

    path: str
    """Without the ``{name}`` that ends it."""
    rest: str
    """The name of the rest of the path; empty when the path is exact."""
    methods: dict[str, Route] = field(default_factory=dict)

    @property
    def allow(self) -> str:
        """The ``Allow`` header; methods in the order of their rows, as Consul lists them."""
        return ",".join(["OPTIONS", *self.methods])


@dataclass(frozen=True, slots=True)
class Match:
    """Where a path leads: an endpoint and the rest of the path."""

    endpoint: Endpoint
    rest: str


class Router:
    """Finds the endpoint of a cleaned, decoded path."""

    def __init__(self, tables: Iterable[RouteTable]) -> None:
        self.rows = [row for table in tables for row in table.rows]
        self._exact: dict[str, Endpoint] = {}
        self._subtrees: dict[str, Endpoint] = {}
        for row in self.rows:
            base, brace, name = row.path.partition("{")
            place = self._subtrees if brace else self._exact
            endpoint = place.setdefault(base, Endpoint(base, name.rstrip("}")))
            assert row.method not in endpoint.methods, f"two rows for {row.method} {row.path}"
            endpoint.methods[row.method] = row

    def find(self, path: str) -> Match | None:
        """The endpoint of ``path``; the most specific when several fit."""
        endpoint = self._exact.get(path)
        if endpoint is not None:
            return Match(endpoint, "")
        end = path.rfind("/") + 1
        while end > 0:
            endpoint = self._subtrees.get(path[:end])
            if endpoint is not None:
                return Match(endpoint, path[end:])
            end = path.rfind("/", 0, end - 1) + 1
        return None

    def lacks_slash(self, path: str) -> bool:
        """Whether ``path`` names a subtree but for its final slash."""
        return f"{path}/" in self._subtrees
