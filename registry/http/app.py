"""The HTTP server: listeners, connections and everything that answers on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from prometheus_client.registry import CollectorRegistry

from lictor.raft.runtime import Listener, Runtime

from . import agent, catalog, health, intentions, kv, metrics, root, session, status
from .counting import HTTPMetrics
from .dispatch import Dispatcher
from .interfaces import AgentAccess, HTTPConfig, ServerAccess
from .lane import Door, Lane, LaneServer
from .request import Surroundings
from .routes import Router, RouteTable

MAX_LINE: Final = 64 * 1024
"""Bytes of a request line or of one header."""

MAX_HEADERS: Final = 128
BODY_TIMEOUT: Final = 60.0
"""Seconds that a body may take to arrive."""

GROUPS: Final[tuple[RouteTable, ...]] = (
    root.route,
    kv.route,
    catalog.route,
    health.route,
    agent.route,
    status.route,
    session.route,
    intentions.route,
    metrics.route,
)
"""Every API group; the reference documentation is read off their rows."""


class HTTPServer:
    """The HTTP API of one agent, on any number of addresses."""

    def __init__(
        self,
        config: HTTPConfig,
        *,
        runtime: Runtime,
        server: ServerAccess,
        agent: AgentAccess | None = None,
        groups: Iterable[RouteTable] = GROUPS,
        metrics: CollectorRegistry | None = None,
    ) -> None:
        self._config = config
        self._runtime = runtime
        self.lane = Lane(server.may_answer, runtime.clock) if config.answer_lane else None
        self.router = Router(groups)
        self.door = Door(runtime.clock, max_per_client=config.max_connections_per_client)
        self.metrics = HTTPMetrics(
            CollectorRegistry() if metrics is None else metrics, door=self.door, lane=self.lane
        )
        around = Surroundings(
            config=config,
            runtime=runtime,
            server=server,
            agent=agent,
            metrics=self.metrics.registry,
        )
        self._dispatcher = Dispatcher(self.router, around, self.lane, self.metrics)
        self._listeners: list[Listener] = []
        self._connections: LaneServer | None = None
        self._watch: asyncio.Task[None] | None = None

    async def serve(self, host: str, port: int) -> Listener:
        """Answer on ``host:port`` too; port 0 picks a free one."""
        if self._connections is None:
            self._connections = LaneServer(
                self._dispatcher,
                self.lane,
                self.door,
                keepalive_timeout=self._config.idle_timeout,
                access_log=None,
                logger=logging.getLogger("lictor.http"),
                max_line_size=MAX_LINE,
                max_field_size=MAX_LINE,
                max_headers=MAX_HEADERS,
                auto_decompress=False,
            )
            self._watch = asyncio.get_running_loop().create_task(
                self.door.end_stalled(
                    head_timeout=self._config.head_timeout, body_timeout=BODY_TIMEOUT
                )
            )
        listener = await self._runtime.network.serve_stream(self._connections, host, port)
        self._listeners.append(listener)
        return listener

    async def close(self, *, grace: float = 0.5) -> None:
        """Stop listening; end every connection, those that are being answered after ``grace``."""
        for listener in self._listeners:
            await listener.close()
        self._listeners.clear()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        if self._connections is not None:
            self._connections.pre_shutdown()
            await self._connections.shutdown(grace)
            self._connections = None
