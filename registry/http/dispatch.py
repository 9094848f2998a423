"""From an aiohttp request to a response: path, method, body, handler, outcome, bytes.

The order of the refusals is Consul's, and clients see it: broken escapes, unprintable paths, path
cleaning, unknown paths, blocked paths, broken queries, methods, then whatever the handler finds.
"""

from __future__ import annotations

import asyncio
import html
from collections import OrderedDict
from collections.abc import Awaitable
from ipaddress import ip_address, ip_network
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web
from msgspec import structs

from lictor.registry.answers import Answer
from lictor.registry.commands import Command
from lictor.registry.errors import RegistryError, TooLarge
from lictor.registry.queries import FILTERS, Filtered, Question

from . import options
from .counting import HTTPMetrics
from .errors import Stated, status_of
from .gourl import BadEscape, clean_path, decode_path, encode_path, is_printable, parse_query
from .lane import Connection, Lane, malformed
from .outcomes import JSON, Ask, Propose, Reply
from .request import Request, Surroundings
from .respond import (
    Dates,
    Wire,
    WireResponse,
    Zipper,
    accepts_gzip,
    canonical,
    index_headers,
    to_wire,
)
from .root import front_page
from .routes import Match, Route, Router

T = TypeVar("T")

log = structlog.get_logger("http")

MAX_CACHED: Final = 1000
"""Questions that are remembered as asked with ``?cached``."""

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_DOCS: Final = "https://www.consul.io/docs/agent/options.html"


class Dispatcher:
    """Answers every request of one HTTP server."""

    def __init__(
        self, router: Router, around: Surroundings, lane: Lane | None, metrics: HTTPMetrics
    ) -> None:
        self._router = router
        self._around = around
        self._lane = lane
        self._metrics = metrics
        self._dates = Dates()
        self._zipper = Zipper()
        self._cached: OrderedDict[Question, None] = OrderedDict()
        self._writes: set[asyncio.Task[Any]] = set()
        self._extra = {
            canonical(name): value for name, value in around.config.response_headers.items()
        }
        if around.config.translate_wan_addrs:
            self._extra["X-Consul-Translate-Addresses"] = "true"
        self._writers = tuple(ip_network(net) for net in around.config.allow_write_from)

    async def __call__(self, request: web.BaseRequest) -> WireResponse:
        """The response to ``request``."""
        if request.version < HttpVersion10:  # aiohttp takes a request line without a version
            return malformed(400)
        target = request.raw_path
        if "://" in target.partition("?")[0]:  # absolute form, as to a proxy
            parts = urlsplit(target)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        raw_path, _, raw_query = target.partition("?")
        try:
            path = decode_path(raw_path)
        except BadEscape:
            head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            return WireResponse(
                head + b"Connection: close\r\n\r\n400 Bad Request", keep_alive=False
            )
        reply, match = self._locate(request.method, path, raw_query)
        if match is None:
            assert reply is not None
            return self._finish(request, self._wire(request, reply, routed=False))
        return await self._routed(request, match, path, raw_query)

    def _locate(self, method: str, path: str, raw_query: str) -> tuple[Reply | None, Match | None]:
        """Where ``path`` leads, or the reply to one that leads nowhere."""
        if self._around.config.filter_unprintable and not is_printable(path):
            return Reply(400), None
        if path == "*":
            return Reply(200 if method == "OPTIONS" else 400), None
        cleaned = clean_path(path)
        match = self._router.find(cleaned)
        if match is None and self._router.lacks_slash(cleaned):
            cleaned += "/"
        if cleaned != path:
            return _moved(method, cleaned, raw_query), None
        if match is not None:
            return None, match
        return front_page(ui=self._around.config.ui) if path == "/" else Reply(404), None

    async def _routed(
        self, request: web.BaseRequest, match: Match, path: str, raw_query: str
    ) -> WireResponse:
        """The response of the endpoint that ``path`` leads to."""
        config = self._around.config
        if any(path.startswith(prefix) for prefix in config.blocked_prefixes):
            blocked = Reply(403, b"Endpoint is blocked by agent configuration")
            return self._finish(request, self._wire(request, blocked))
        if request.method not in READING and not self._may_write(request.remote or ""):
            return self._finish(request, self._wire(request, Reply(403, b"Access is restricted")))
        try:
            query = parse_query(raw_query)
        except BadEscape:
            return self._finish(request, self._wire(request, Reply(500)))
        route = match.endpoint.methods.get(request.method)
        if route is None:
            refusal = _other_method(request.method, match)
            return self._finish(request, self._wire(request, refusal))
        pretty = config.pretty or "pretty" in query
        parsed: Request | None = None
        try:
            parsed = Request(
                method=request.method,
                path=path,
                rest=match.rest,
                query=query,
                headers=request.headers,
                body=await self._body(request, route),
                remote=request.remote or "",
                around=self._around,
            )
            reply, answer = await self._evaluate(route, parsed)
        except RegistryError as error:
            reply, answer = _failure(route, error), None
        except Exception:
            log.exception("request failed", method=request.method, path=path)
            reply, answer = Reply(500, b"internal error"), None
        self._metrics.answers[route.group.name, f"{reply.status // 100}xx"] += 1
        wire = self._wire(request, reply, pretty=pretty)
        if answer is not None and parsed is not None and parsed.read_options.plain:
            self._keep(request, answer, wire)
        return self._finish(request, wire)

    def _may_write(self, remote: str) -> bool:
        """Whether the peer's address is among those that may change something."""
        if not self._writers:
            return True
        try:
            address = ip_address(remote)
        except ValueError:
            return False
        return any(address in network for network in self._writers)

    # -- outcomes ---------------------------------------------------------------------------------

    async def _evaluate(self, route: Route, request: Request) -> tuple[Reply, Answer | None]:
        """What the handler decided, carried out; with the answer it rests on alone, if any."""
        if route.blocking or route.reads_options:
            request.read_options  # noqa: B018 - its errors come before the handler's
        if route.namespaced:
            options.refuse_namespace(request.query, request.headers)
        outcome = route.handler(request)
        if isinstance(outcome, Awaitable):
            outcome = await (outcome if route.method == "GET" else self._shielded(outcome))
        if isinstance(outcome, Reply):
            return outcome, None
        if isinstance(outcome, Question):
            outcome = Ask(outcome)
        elif isinstance(outcome, Command):
            outcome = Propose(outcome)  # type: ignore[arg-type]  # every Command is one of the union
        if isinstance(outcome, Ask):
            return await self._ask(route, request, outcome)
        return await self._propose(request, outcome), None

    async def _ask(self, route: Route, request: Request, ask: Ask) -> tuple[Reply, Answer]:
        server = self._around.server
        read = request.read_options
        if route.group.shows_consistency and self._around.config.discovery_max_stale:
            read = options.discovery(read, request.query, self._around.config.discovery_max_stale)
        options.check_datacenter(request.query, self._around.config.datacenter)
        question = ask.question
        expression = request.query.get("filter")
        if expression and type(question) in FILTERS:
            question = Filtered(question, expression)
        if read.max_stale and server.last_contact > read.max_stale:
            read = structs.replace(read, mode="default")  # too stale: the leader is to answer
        if read.plain and read.mode == "default" and server.may_answer():
            answer = server.ask(question)
        else:
            answer = await server.read(question, mode=read.mode, index=read.index, wait=read.wait)
        reply = ask.present(answer) if ask.present else Reply(200, answer.body, JSON)
        headers = index_headers(
            answer.index, known_leader=server.known_leader, last_contact=server.last_contact
        )
        if route.group.shows_consistency:
            headers["X-Consul-Effective-Consistency"] = read.effective
        if read.cached and route.cacheable:
            headers |= self._cache_headers(ask.question)
        return Reply(
            reply.status, reply.body, reply.content_type, {**headers, **reply.headers}
        ), answer

    def _cache_headers(self, question: Question) -> dict[str, str]:
        """What ``?cached`` is told. Answers here are never older than the state."""
        known = question in self._cached
        self._cached[question] = None
        self._cached.move_to_end(question)
        if len(self._cached) > MAX_CACHED:
            self._cached.popitem(last=False)
        return {"X-Cache": "HIT", "Age": "0"} if known else {"X-Cache": "MISS"}

    async def _propose(self, request: Request, propose: Propose) -> Reply:
        server = self._around.server
        change = server.write(propose.command, request.origin)
        # a leader proposes at once, and then the command is carried through whoever still waits
        result = await (change if server.may_answer() else self._shielded(change))
        return propose.present(result) if propose.present else Reply.of(result)

    async def _shielded(self, change: Awaitable[T]) -> T:
        """Carry ``change`` through even when the client goes away in the middle of it."""
        task = asyncio.ensure_future(_coroutine(change))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)

    # -- bodies -----------------------------------------------------------------------------------

    async def _body(self, request: web.BaseRequest, route: Route) -> bytes:
        """The whole body of a request that may have one.

        Raises:
            TooLarge: it exceeds the bound of its route.
        """
        if not request.body_exists or route.method == "GET":
            return b""
        config = self._around.config
        limit: int = getattr(config, route.body_limit)
        length = request.content_length
        if length is not None and length > limit:
            message = f"Request body({length} bytes) too large, max size: {limit} bytes."
            if route.body_limit != "max_body_size":
                message += f" See {_DOCS}#{route.body_limit}."
            raise TooLarge(message)
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = request.content
        if content.is_eof() and length is not None:
            return content.read_nowait()  # it came with the head
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.body_since = self._around.runtime.clock.now()
        parts: list[bytes] = []
        size = 0
        try:
            async for part in content.iter_any():
                size += len(part)
                if size > config.max_body_size:
                    message = f"Request body too large, max size: {config.max_body_size} bytes."
                    raise TooLarge(message)
                parts.append(part)
        finally:
            connection.body_since = None
        return b"".join(parts)

    # -- bytes ------------------------------------------------------------------------------------

    def _wire(
        self, request: web.BaseRequest, reply: Reply, *, routed: bool = True, pretty: bool = False
    ) -> Wire:
        accepted = request.headers.get("Accept-Encoding", "")
        return to_wire(
            reply,
            extra=self._extra,
            routed=routed,
            pretty=pretty,
            zipper=self._zipper if accepts_gzip(accepted) else None,
            connection=_connection(request),
            without_body=request.method == "HEAD",
        )

    def _finish(self, request: web.BaseRequest, wire: Wire) -> WireResponse:
        date = self._dates.line(self._around.runtime.clock.wall())
        return WireResponse(wire.at(date), keep_alive=request.keep_alive)

    def _keep(self, request: web.BaseRequest, answer: Answer, wire: Wire) -> None:
        """Let the lane serve ``wire`` to the same bytes from now on, where that is sound."""
        connection = request.protocol
        if self._lane is None or not isinstance(connection, Connection) or not connection.head:
            return
        if self._around.server.may_answer():
            self._lane.record(connection.head, answer, wire)


def _connection(request: web.BaseRequest) -> str:
    """The ``Connection`` header, where the version's default is not what happens."""
    if not request.keep_alive:
        return "close"
    return "keep-alive" if request.version < HttpVersion11 else ""


async def _coroutine(change: Awaitable[T]) -> T:
    return await change


def _moved(method: str, path: str, raw_query: str) -> Reply:
    """The redirect to the cleaned ``path``; only reads get a body."""
    location = encode_path(path) + (f"?{raw_query}" if raw_query else "")
    if method not in {"GET", "HEAD"}:
        return Reply(301, headers={"Location": location})
    body = f'<a href="{html.escape(location)}">Moved Permanently</a>.\n\n'
    return Reply(301, body.encode(), "text/html; charset=utf-8", {"Location": location})


def _other_method(method: str, match: Match) -> Reply:
    """The answer to a method that the endpoint has no row for."""
    allow = {"Allow": match.endpoint.allow}
    if method == "OPTIONS":
        return Reply(200, headers=allow)
    return Reply(405, f"method {method} not allowed".encode(), headers=allow)


def _failure(route: Route, error: RegistryError) -> Reply:
    """The answer to a request that failed in words the client may read."""
    headers: dict[str, str] = {}
    if route.blocking and route.group.index_on_failure and not isinstance(error, Stated):
        headers = index_headers(0, known_leader=False, last_contact=0.0)
    text = str(error).encode("utf-8", "surrogateescape")
    return Reply(status_of(error), text, headers=headers)
