"""An agent without a cluster: the shipped HTTP API over a state in memory.

Raft is left out and nothing else: commands go through the same encoding and the same apply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import msgspec

from lictor.raft.runtime import Runtime
from lictor.raft.system import system_runtime
from lictor.registry.answers import Answer
from lictor.registry.commands import SERVER, AnyCommand, Entry, Origin, RegisterEntity, encode
from lictor.registry.errors import NoLeader, NotFound
from lictor.registry.http.app import GROUPS, HTTPServer
from lictor.registry.http.interfaces import HTTPConfig, Mode
from lictor.registry.http.routes import RouteTable
from lictor.registry.machine import Machine
from lictor.registry.queries import Question
from lictor.registry.records import (
    DEFAULT_WEIGHTS,
    NO_CONNECT,
    NO_DEFINITION,
    NO_PROXY,
    PASSING,
    SERF_HEALTH,
    HealthCheck,
    Node,
    NodeService,
    Session,
)

NODE = Node(
    id="76b5e6a2-9739-0db7-67f7-51f904628fea",
    name="n1",
    address="127.0.0.1",
    datacenter="dc1",
    tagged_addresses={
        "lan": "127.0.0.1",
        "lan_ipv4": "127.0.0.1",
        "wan": "127.0.0.1",
        "wan_ipv4": "127.0.0.1",
    },
    meta={"consul-network-segment": ""},
    create_index=0,
    modify_index=0,
)
CONSUL = NodeService(
    id="consul",
    name="consul",
    tags=(),
    address="",
    meta={
        "raft_version": "3",
        "serf_protocol_current": "2",
        "serf_protocol_max": "5",
        "serf_protocol_min": "1",
        "version": "1.8.7:",
    },
    port=8300,
    weights=DEFAULT_WEIGHTS,
    enable_tag_override=False,
    proxy=NO_PROXY,
    connect=NO_CONNECT,
    create_index=0,
    modify_index=0,
)
SERF = HealthCheck(
    node="n1",
    check_id=SERF_HEALTH,
    name="Serf Health Status",
    status=PASSING,
    notes="",
    output="Agent alive and reachable",
    service_id="",
    service_name="",
    service_tags=(),
    type="",
    definition=NO_DEFINITION,
    create_index=0,
    modify_index=0,
)


class MemoryServer:
    """What the HTTP API needs of the servers, over one state."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.machine = Machine()
        self.index = 0
        self.leads = True
        self.origins: list[Origin] = []
        self.reads = 0

    def apply(self, command: AnyCommand, origin: Origin = SERVER) -> object:
        """Apply ``command`` at the next index; its result, or its error raised."""
        self.index += 1
        self.origins.append(origin)
        entry = encode(Entry(int(self._runtime.clock.wall() * 1e9), origin, command))
        (result,) = self.machine.apply([(self.index, entry)])
        if isinstance(result, Exception):
            raise result
        return result

    async def write(self, command: AnyCommand, origin: Origin = SERVER) -> object:
        if not self.leads:
            raise NoLeader("No cluster leader")
        return self.apply(command, origin)

    def ask(self, question: Question) -> Answer:
        if not self.leads:
            raise NoLeader("No cluster leader")
        return self.machine.answers.get(question)

    async def read(
        self, question: Question, *, mode: Mode = "default", index: int = 0, wait: float = 0.0
    ) -> Answer:
        self.reads += 1
        if not self.leads and mode != "stale":
            raise NoLeader("No cluster leader")
        until = self._runtime.clock.now() + (wait or 300.0)
        answer = self.machine.answers.get(question)
        while index and answer.index <= index:
            answer.watchers += 1
            try:
                woken = await self._runtime.clock.wait(answer.changed(), until=until)
            finally:
                answer.watchers -= 1
            if not woken:
                return answer
            answer = self.machine.answers.get(question)
        return answer

    async def refresh(self) -> None:
        pass

    def may_answer(self) -> bool:
        return self.leads

    async def renew_session(self, session: str) -> Session:
        found = self.machine.state.sessions.rows.get(session)
        if found is None:
            message = f"Session id '{session}' not found"
            raise NotFound(message)
        return found

    @property
    def known_leader(self) -> bool:
        return self.leads

    @property
    def leader_address(self) -> str:
        return "127.0.0.1:8300" if self.leads else ""

    @property
    def last_contact(self) -> float:
        return 0.0

    def peers(self) -> list[str]:
        return ["127.0.0.1:8300"]


class MemoryAgent:
    """An HTTP server on loopback over a :class:`MemoryServer`."""

    def __init__(
        self,
        *,
        runtime: Runtime | None = None,
        agent: Any = None,
        server: MemoryServer | None = None,
        groups: Iterable[RouteTable] = GROUPS,
        **config: Any,
    ) -> None:
        self.runtime = runtime or replace(system_runtime(), rng=Random(7))
        self.server = server or MemoryServer(self.runtime)
        if not self.server.index:
            # as a server comes up: the leader notes the node, the agent completes it
            bare = msgspec.structs.replace(NODE, tagged_addresses=None, meta=None)
            self.server.apply(RegisterEntity(node=bare, service=CONSUL, checks=(SERF,)))
            self.server.apply(RegisterEntity(node=NODE))
        self.config = HTTPConfig(
            **{
                "node_name": NODE.name,
                "node_id": NODE.id,
                "meta": {"consul-network-segment": ""},
                **config,
            }
        )
        self.http = HTTPServer(
            self.config, runtime=self.runtime, server=self.server, agent=agent, groups=groups
        )
        self.address = ("127.0.0.1", 0)

    async def __aenter__(self) -> MemoryAgent:
        listener = await self.http.serve("127.0.0.1", 0)
        self.address = listener.address
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close(grace=0.05)

    async def connect(self) -> Client:
        """A connection of one's own."""
        return Client(*await asyncio.open_connection(*self.address))

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Received:
        """One request on a connection of its own."""
        client = await self.connect()
        try:
            return await client.request(method, path, body, headers)
        finally:
            await client.close()

    async def get(self, path: str, **headers: str) -> Received:
        return await self.request("GET", path, headers=headers)

    async def put(self, path: str, body: bytes = b"") -> Received:
        return await self.request("PUT", path, body)


class Received:
    """A response as it came: status, header lines in order, body."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
        self.status = int(first.split()[1])
        self.lines = lines
        self.headers = dict(line.split(": ", 1) for line in lines)
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """One connection, raw."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Received:
        self.send(head(method, path, body, headers) + (body or b""))
        return await self.receive(with_body=method != "HEAD")

    async def receive(self, *, with_body: bool = True) -> Received:
        """The next response."""
        top = await self.reader.readuntil(b"\r\n\r\n")
        received = Received(top, b"")
        length = received.headers.get("Content-Length")
        if not with_body:
            return received
        received.body = (
            await self.reader.read()
            if length is None
            else await self.reader.readexactly(int(length))
        )
        return received

    async def close(self) -> None:
        self.writer.close()


def head(
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
) -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: agent"]
    lines += [f"{name}: {value}" for name, value in dict(headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
