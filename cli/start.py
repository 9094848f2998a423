"""From a configuration to a running agent: the one place that knows every room.

``lictor agent`` and ``lictor.testing`` both come in here; they differ in the runtime they bring.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from lictor.dns.metrics import DNSMetrics
from lictor.dns.options import DNSOptions, SOAOptions
from lictor.dns.server import DNSServer
from lictor.raft.config import RaftConfig
from lictor.raft.memory import MemoryStorage
from lictor.raft.node import Node
from lictor.raft.runtime import Listener, Runtime, uuid4
from lictor.raft.storage import SqliteStorage, Storage
from lictor.raft.transport import PeerTransport
from lictor.registry.agent.host import HostAgent
from lictor.registry.agent.report import COMPATIBLE_VERSION
from lictor.registry.client import RemoteServers
from lictor.registry.cluster.cluster import Cluster
from lictor.registry.cluster.pool import lan_pool
from lictor.registry.cluster.tags import ServerInfo, agent_tags
from lictor.registry.config import AgentConfig, InvalidConfig, Listen
from lictor.registry.config.reload import reload
from lictor.registry.http.app import HTTPServer
from lictor.registry.http.interfaces import HTTPConfig
from lictor.registry.machine import Machine
from lictor.registry.reconcile import Member
from lictor.registry.rpc.connection import Callee
from lictor.registry.rpc.port import Gate
from lictor.registry.server import Server

log = structlog.get_logger("agent")

MIN_SESSION_TTL: Final = 10.0

RAFT_TICK: Final = 0.025
"""Seconds. Elections after 0.5 to 1 s of silence, a heartbeat each 75 ms."""

CONSUL_MULTIPLIER: Final = 5
"""The ``raft_multiplier`` at which our timing is unscaled: Consul's default, for a slow machine."""


@contextmanager
def naming(what: str, address: Listen) -> Iterator[None]:
    """Say in the error which listener could not be had."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        message = f"{what} on {address.host}:{address.port}: {reason}"
        raise OSError(error.errno, message) from error


def open_storage(config: AgentConfig) -> Storage:
    """Raft's log: on disk, or in memory for an agent without a data directory."""
    if config.dev or not config.data_dir:
        return MemoryStorage()
    return SqliteStorage(Path(config.data_dir) / "raft")


class RunningAgent:
    """An agent with its listeners. Made by :func:`start_agent`."""

    def __init__(
        self,
        config: AgentConfig,
        *,
        server: Server | RemoteServers,
        host: HostAgent,
        http: HTTPServer,
        dns: DNSServer,
        rpc: Listener | None,
        runtime: Runtime,
        metrics: CollectorRegistry,
        node_id: str,
    ) -> None:
        self.config = config
        self.server = server
        self.host = host
        self.node_id = node_id
        self.http_addresses: list[tuple[str, int]] = []
        self.dns_addresses: list[tuple[str, int]] = []
        self._http = http
        self._dns = dns
        self._rpc = rpc
        self._runtime = runtime
        self._metrics = metrics
        self._cluster: Cluster | None = None
        self._never: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    @property
    def failed(self) -> asyncio.Future[BaseException]:
        """Done when the disk failed and the server ended itself."""
        if isinstance(self.server, Server):
            return self.server.raft.failed
        return self._never

    async def take_over(self, read_again: AgentConfig) -> None:
        """Go on with what a configuration read again says, where that needs no restart.

        Raises:
            InvalidConfig: a definition in it cannot be read; nothing was changed.
        """
        reloaded = reload(self.config, read_again)
        await self.host.take_over(reloaded.config)
        self._dns.configure(dns_options(reloaded.config), reloaded.config.recursors)
        self.config = reloaded.config
        log.info(
            "configuration reloaded",
            applied=",".join(reloaded.applied),
            needs_restart=",".join(reloaded.ignored),
        )

    async def meet(self, stop: Callable[[], None]) -> None:
        """Join the pool of agents. ``stop`` ends an agent that may not.

        Raises:
            InvalidConfig: the gossip key cannot be used.
            OSError: the gossip address cannot be had.
        """
        server = self.server if isinstance(self.server, Server) else None
        raft_id = server.raft.node_id if server else None
        tags = agent_tags(self.config, node_id=self.node_id, raft_id=raft_id)
        pool = lan_pool(
            self.config,
            self._runtime,
            tags=tags,
            events=lambda event: cluster.receive(event),
            registry=self._metrics,
        )
        cluster = Cluster(
            self.config, self._runtime, pool=pool, server=server, node_id=self.node_id
        )
        self._cluster = self.host.cluster = cluster
        with naming("gossip", self.config.listeners.serf_lan):
            await cluster.start(stop=stop)

    async def leave(self) -> None:
        """Tell the others that this agent goes, and that it is meant; then :meth:`close`."""
        if self._cluster is not None:
            if isinstance(self.server, Server):
                await self.server.hand_over()
            await self._cluster.close(leave=True)

    def servers(self) -> list[ServerInfo]:
        """The servers that are alive, as gossip has it."""
        return self._cluster.servers() if self._cluster is not None else []

    async def listen(self) -> None:
        """Open every listener.

        Raises:
            OSError: an address cannot be had.
        """
        for address in self.config.listeners.http:
            with naming("HTTP", address):
                listener = await self._http.serve(address.host, address.port)
            self.http_addresses.append(listener.address)
            log.info("http listener started", address=listener.address[0], port=listener.address[1])
        for address in self.config.listeners.dns:
            with naming("DNS", address):
                self.dns_addresses.append(await self._dns.serve(address.host, address.port))

    async def close(self) -> None:
        """Stop listening, then stop. What was acknowledged is on disk."""
        steps: tuple[Callable[[], Awaitable[None]], ...] = (
            self._http.close,
            self._dns.close,
            self.host.close,
            self._part,
            self.server.close,
        )
        if self._rpc is not None:
            await self._rpc.close()
        for step in steps:
            await step()

    async def _part(self) -> None:
        if self._cluster is not None:
            await self._cluster.close()


async def start_agent(
    config: AgentConfig,
    runtime: Runtime,
    *,
    storage: Callable[[AgentConfig], Storage] = open_storage,
    stop: Callable[[], None] = lambda: None,
    read_config: Callable[[], AgentConfig] | None = None,
) -> RunningAgent:
    """Start an agent; when this returns, it answers.

    ``stop`` is called when it is asked to leave, ``read_config`` when it is to read its
    configuration again; without one it keeps what it has.

    Raises:
        InvalidConfig: the configuration asks for what this version cannot do.
        OSError: a listener's address cannot be had.
        StorageError: what is on disk cannot be used.
    """
    node_id = _node_id(config, runtime)
    if not config.server:
        running = _assemble_client(
            config, runtime, node_id=node_id, stop=stop, read_config=read_config
        )
        return await _started(running, stop)
    gate = Gate()
    with naming("calls between agents", config.listeners.rpc):
        rpc = await runtime.network.serve_stream(gate, *config.listeners.rpc)
    try:
        running = _assemble(
            _with_rpc_port(config, rpc.address[1]),
            runtime,
            gate=gate,
            rpc=rpc,
            node_id=node_id,
            storage=storage(config),
            stop=stop,
            read_config=read_config,
        )
    except BaseException:
        await rpc.close()
        raise
    return await _started(running, stop)


async def _started(running: RunningAgent, stop: Callable[[], None]) -> RunningAgent:
    try:
        if isinstance(running.server, Server):
            await running.server.start()
        await running.meet(stop)
        await running.host.begin()
        await running.listen()
    except BaseException:
        await running.close()
        raise
    return running


def _assemble(
    config: AgentConfig,
    runtime: Runtime,
    *,
    gate: Gate,
    rpc: Listener,
    node_id: str,
    storage: Storage,
    stop: Callable[[], None],
    read_config: Callable[[], AgentConfig] | None,
) -> RunningAgent:
    """Every room, connected; nothing runs yet."""
    metrics = CollectorRegistry()
    machine = Machine()
    transport = PeerTransport(
        runtime, cluster=config.datacenter, address=_raft_config(config).address
    )
    raft = Node(
        config=_raft_config(config),
        runtime=runtime,
        storage=storage,
        machine=machine,
        registry=metrics,
        transport=transport,
    )
    member = Member(
        node_id=node_id,
        name=config.node_name,
        address=config.advertise_lan,
        datacenter=config.datacenter,
        server_port=config.listeners.rpc.port,
        version=COMPATIBLE_VERSION,
    )
    server = Server(
        node=raft,
        machine=machine,
        runtime=runtime,
        member=member,
        hold=config.performance.rpc_hold_timeout,
    )
    running = _faces(
        config,
        runtime,
        server=server,
        rpc=rpc,
        node_id=node_id,
        stop=stop,
        read_config=read_config,
        metrics=metrics,
    )
    gate.open(raft=transport.accept, calls=lambda: Callee(server.handle))
    return running


def _assemble_client(
    config: AgentConfig,
    runtime: Runtime,
    *,
    node_id: str,
    stop: Callable[[], None],
    read_config: Callable[[], AgentConfig] | None,
) -> RunningAgent:
    """The rooms of an agent whose servers are elsewhere; nothing runs yet."""
    servers = RemoteServers(
        runtime, lambda: running.servers(), hold=config.performance.rpc_hold_timeout
    )
    running = _faces(
        config,
        runtime,
        server=servers,
        rpc=None,
        node_id=node_id,
        stop=stop,
        read_config=read_config,
        metrics=CollectorRegistry(),
    )
    return running


def _faces(
    config: AgentConfig,
    runtime: Runtime,
    *,
    server: Server | RemoteServers,
    rpc: Listener | None,
    node_id: str,
    stop: Callable[[], None],
    read_config: Callable[[], AgentConfig] | None,
    metrics: CollectorRegistry,
) -> RunningAgent:
    """What every agent has, whatever stands behind ``server``: itself, HTTP and DNS."""

    async def reread() -> None:
        await running.take_over(read_config() if read_config else running.config)

    host = HostAgent(
        config,
        runtime=runtime,
        server=server,
        node_id=node_id,
        stop=stop,
        reread=reread,
        cpus=os.cpu_count() or 1,
    )
    http = HTTPServer(
        _http_config(config, node_id), runtime=runtime, server=server, agent=host, metrics=metrics
    )
    dns = DNSServer(
        dns_options(config),
        runtime=runtime,
        registry=server,
        node_name=config.node_name,
        datacenter=config.datacenter,
        metrics=DNSMetrics(metrics),
        domain=config.domain,
        alt_domain=config.alt_domain,
        recursors=config.recursors,
    )
    running = RunningAgent(
        config,
        server=server,
        host=host,
        http=http,
        dns=dns,
        rpc=rpc,
        runtime=runtime,
        metrics=metrics,
        node_id=node_id,
    )
    return running


def _with_rpc_port(config: AgentConfig, port: int) -> AgentConfig:
    """``config`` with the server port that was bound, where any free one was asked for."""
    rpc = Listen(config.listeners.rpc.host, port)
    return msgspec.structs.replace(
        config, listeners=msgspec.structs.replace(config.listeners, rpc=rpc)
    )


def _raft_config(config: AgentConfig) -> RaftConfig:
    rpc: Listen = config.listeners.rpc
    usual = RaftConfig()
    return RaftConfig(
        bootstrap=config.bootstrap or config.dev,
        read_timeout=config.performance.rpc_hold_timeout,
        address=f"{config.advertise_lan}:{rpc.port}",
        tick=RAFT_TICK,
        multiplier=max(1, round(config.performance.raft_multiplier / CONSUL_MULTIPLIER)),
        snapshot_threshold=config.raft_snapshot_threshold or usual.snapshot_threshold,
        trailing_logs=config.raft_trailing_logs or usual.trailing_logs,
    )


def _node_id(config: AgentConfig, runtime: Runtime) -> str:
    """The node's UUID: as configured, as kept in the data directory, or a new one.

    Raises:
        InvalidConfig: what is kept is no UUID. A new one would make this another node.
    """
    if config.dev or not config.data_dir:
        return config.node_id or uuid4(runtime.rng)
    path = Path(config.data_dir) / "node-id"
    kept = ""
    try:
        kept = runtime.disk.read(path).decode("utf-8", "replace").strip()
        if kept:
            UUID(kept)
    except FileNotFoundError:
        pass  # the first start in this directory
    except ValueError as error:
        raise InvalidConfig(f"{path} holds no node ID: {kept[:40]!r} is not a UUID") from error
    node_id = config.node_id or kept or uuid4(runtime.rng)
    if node_id != kept:
        runtime.disk.write_atomic(path, node_id.encode())
    return node_id


def _http_config(config: AgentConfig, node_id: str) -> HTTPConfig:
    return HTTPConfig(
        datacenter=config.datacenter,
        node_name=config.node_name,
        node_id=node_id,
        server=config.server,
        meta=config.node_meta,
        pretty=config.dev,
        ui=config.ui_config.enabled,
        default_allow=not config.acl.enabled or config.acl.default_policy != "deny",
        response_headers=config.http_config.response_headers,
        blocked_prefixes=config.http_config.block_endpoints,
        allow_write_from=config.http_config.allow_write_http_from,
        translate_wan_addrs=config.translate_wan_addrs,
        discovery_max_stale=config.discovery_max_stale,
        filter_unprintable=not config.disable_http_unprintable_char_filter,
        kv_max_value_size=config.limits.kv_max_value_size,
        max_connections_per_client=config.limits.http_max_conns_per_client,
        session_ttl_min=config.session_ttl_min or MIN_SESSION_TTL,
    )


def dns_options(config: AgentConfig) -> DNSOptions:
    """The part of the configuration that DNS answers by."""
    given = config.dns_config
    return DNSOptions(
        allow_stale=given.allow_stale,
        max_stale=given.max_stale,
        node_ttl=given.node_ttl,
        service_ttl=given.service_ttl,
        enable_truncate=given.enable_truncate,
        only_passing=given.only_passing,
        recursor_timeout=given.recursor_timeout,
        recursor_strategy="random" if given.recursor_strategy == "random" else "sequential",
        disable_compression=given.disable_compression,
        udp_answer_limit=given.udp_answer_limit,
        a_record_limit=given.a_record_limit,
        enable_additional_node_meta_txt=given.enable_additional_node_meta_txt,
        soa=SOAOptions(
            refresh=given.soa.refresh,
            retry=given.soa.retry,
            expire=given.soa.expire,
            min_ttl=given.soa.min_ttl,
        ),
        use_cache=given.use_cache,
        cache_max_age=given.cache_max_age,
    )
