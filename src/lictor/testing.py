"""A real agent inside your tests: started in milliseconds, on free ports, nothing left behind.

With pytest the fixture is there by itself::

    def test_lookup(lictor_agent):
        client = consul.Consul(port=lictor_agent.http_port)
        client.kv.put("a", "1")

In asynchronous code::

    async with lictor.testing.running_agent() as agent:
        ...

The agent keeps everything in memory, listens on 127.0.0.1 and takes the same settings as a
configuration file.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lictor.raft.runtime import Runtime
    from lictor.registry.config import AgentConfig

try:
    import pytest
except ImportError:  # the agent can be had without pytest, the fixture cannot
    pytest = None  # type: ignore[assignment]

START_TIMEOUT = 30.0
"""Seconds an agent may take to answer; it takes well under one."""


@dataclass(frozen=True, slots=True)
class TestAgent:
    """Where a running agent answers."""

    __test__ = False

    http_host: str
    http_port: int
    dns_host: str
    dns_port: int

    @property
    def http_url(self) -> str:
        """The base of every API address, without a slash at the end."""
        return f"http://{self.http_host}:{self.http_port}"


def dev_config(settings: Mapping[str, object] | None = None) -> AgentConfig:
    """An in-memory agent's configuration on free ports; ``settings`` by path (``dns_config.x``).

    Raises:
        InvalidConfig: a setting is unknown or has a value that it cannot have.
    """
    import msgspec

    from lictor.raft.system import system_runtime
    from lictor.registry.config import Listen, load

    def nothing(path: object) -> Any:
        raise FileNotFoundError(path)

    config = load(
        flags={"log_level": "WARN", **(settings or {})},
        dev=True,
        read=nothing,
        names=nothing,
        hostname="test",
        rng=system_runtime().rng,
    ).config
    free = (Listen("127.0.0.1", 0),)
    return msgspec.structs.replace(
        config,
        listeners=msgspec.structs.replace(
            config.listeners, http=free, dns=free, rpc=free[0], serf_lan=free[0]
        ),
    )


def _write_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")


@asynccontextmanager
async def running_agent(
    settings: Mapping[str, object] | None = None, *, runtime: Runtime | None = None
) -> AsyncIterator[TestAgent]:
    """An agent on the caller's loop, until the block ends.

    It logs warnings and worse, on stderr, unless the program has set up structlog by itself.
    """
    import structlog

    from lictor.cli.logs import configure
    from lictor.cli.start import start_agent
    from lictor.raft.system import system_runtime

    runtime = runtime or system_runtime()
    if not structlog.is_configured():
        configure("WARN", json=False, wall=runtime.clock.wall, write=_write_stderr)
    agent = await start_agent(dev_config(settings), runtime)
    try:
        yield TestAgent(*agent.http_addresses[0], *agent.dns_addresses[0])
    finally:
        await agent.close()


@contextmanager
def background_agent(settings: Mapping[str, object] | None = None) -> Iterator[TestAgent]:
    """An agent on a loop in a thread of its own, until the block ends."""
    ready: list[TestAgent | BaseException] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def live() -> None:
        try:
            async with running_agent(settings) as agent:
                ready.append(agent)
                started.set()
                await stop.wait()
        except BaseException as error:
            ready.append(error)
            started.set()
            raise

    def run() -> None:
        try:
            loop.run_until_complete(live())
        except Exception:  # noqa: BLE001  # told to whoever waits in background_agent
            assert ready
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="lictor-agent", daemon=True)
    thread.start()
    if not started.wait(START_TIMEOUT):
        message = f"the agent did not answer within {START_TIMEOUT:.0f} s"
        raise TimeoutError(message)
    if isinstance(ready[0], BaseException):
        raise ready[0]
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_TIMEOUT)


if pytest is not None:

    @pytest.fixture
    def lictor_agent() -> Iterator[TestAgent]:
        """A running agent of the test's own."""
        with background_agent() as agent:
            yield agent
