"""A small world for the agent's driver: virtual time, files in a dict, a catalogue that is real."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from lictor.raft.runtime import Runtime
from lictor.registry.agent.agent import Agent
from lictor.registry.agent.checks.runner import Probers
from lictor.registry.agent.identity import AgentIdentity
from lictor.registry.agent.verdict import ProbeFailed
from lictor.registry.commands import SERVER, Entry, encode
from lictor.registry.errors import NoLeader, RegistryError
from lictor.registry.machine import Machine
from lictor.registry.queries import NodeChecks, NodeServices

TURNS = 60
"""How often the loop turns before virtual time moves on: enough for any chain of wake-ups here."""


class FakeClock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._order = count()
        self._sleeping: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return 1_700_000_000 + self.time

    async def sleep(self, duration: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heappush(self._sleeping, (self.time + duration, next(self._order), future))
        await future

    async def wait(self, event: asyncio.Event, *, until: float | None) -> bool:
        if until is None:
            await event.wait()
            return True
        if until <= self.time or event.is_set():
            await asyncio.sleep(0)
            return event.is_set()
        waiting = asyncio.ensure_future(event.wait())
        sleeping = asyncio.ensure_future(self.sleep(until - self.time))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()
        return event.is_set()

    async def advance(self, duration: float) -> None:
        """Let ``duration`` seconds pass, with everything that is due in them."""
        end = self.time + duration
        await settle()
        while self._sleeping and self._sleeping[0][0] <= end:
            at, _, future = heappop(self._sleeping)
            if not future.done():
                self.time = max(self.time, at)
                future.set_result(None)
                await settle()
        self.time = end
        await settle()


async def settle() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


class MemoryDisk:
    """Files in a dict."""

    def __init__(self) -> None:
        self.files: dict[Path, bytes] = {}
        self.modes: dict[Path, int] = {}
        self.full = False

    def read(self, path: Path) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def write_atomic(self, path: Path, content: bytes, *, mode: int = 0o600) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.files[path] = content
        self.modes[path] = mode

    def names(self, directory: Path) -> list[str]:
        below = {
            path.relative_to(directory).parts[0] for path in self.files if directory in path.parents
        }
        return sorted(below)

    def remove(self, path: Path) -> None:
        self.files.pop(path, None)

    def free_bytes(self, path: Path) -> int:
        return 1 << 30

    async def run(self, action: Any) -> Any:
        await asyncio.sleep(0)
        return action()


class FakeRegistry:
    """The servers' side: the real state machine, without Raft."""

    def __init__(self, clock: FakeClock) -> None:
        self.machine = Machine()
        self.clock = clock
        self.index = 0
        self.commands: list[Any] = []
        self.leader = True
        self.refuse: dict[str, RegistryError] = {}
        """Errors by id of the service in a command."""

    async def write(self, command: Any, origin: Any = SERVER) -> object:
        await asyncio.sleep(0)
        if not self.leader:
            raise NoLeader("No cluster leader")
        service = getattr(command, "service", None)
        if service is not None and service.id in self.refuse:
            raise self.refuse[service.id]
        self.index += 1
        self.commands.append(command)
        entry = Entry(int(self.clock.wall() * 1e9), origin, command)
        (result,) = self.machine.apply([(self.index, encode(entry))])
        if isinstance(result, RegistryError):
            raise result
        return result

    async def read(self, question: Any, *, index: int = 0, wait: float = 0.0) -> Any:
        await asyncio.sleep(0)
        if not self.leader:
            raise NoLeader("No cluster leader")
        answer = self.machine.answers.get(question)
        until = self.clock.now() + wait
        while index and answer.index <= index:
            if not await self.clock.wait(answer.changed(), until=until):
                return answer
            answer = self.machine.answers.get(question)
        return answer

    def services(self, node: str = "n1") -> dict[str, Any]:
        found: Any = self.machine.answers.get(NodeServices(node)).value
        return dict(found.services) if found else {}

    def checks(self, node: str = "n1") -> dict[str, Any]:
        found: Any = self.machine.answers.get(NodeChecks(node)).value
        return {check.check_id: check for check in found}


class ScriptedHTTP:
    """Answers HTTP checks from a table; what is not there refuses."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[float, str]] = []
        self.clock: FakeClock | None = None

    async def request(self, request: Any) -> Any:
        assert self.clock is not None
        self.asked.append((self.clock.now(), request.url))
        answer = self.answers.get(request.url)
        if callable(answer):
            return await answer(request)
        if answer is None:
            raise ProbeFailed(f'Get "{request.url}": dial tcp: connection refused')
        return answer


class ScriptedCommands:
    """Answers script checks from a table."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, ...], Any] = {}

    async def run(self, command: tuple[str, ...], *, timeout: float, keep: int) -> Any:
        return self.answers[command]


class World:
    """One agent with everything around it."""

    def __init__(self, *, seed: int = 1, data_dir: Path | None = None, **identity: Any) -> None:
        self.clock = FakeClock()
        self.disk = MemoryDisk()
        self.registry = FakeRegistry(self.clock)
        self.http = ScriptedHTTP()
        self.http.clock = self.clock
        self.commands = ScriptedCommands()
        self.data_dir = data_dir
        self.identity = AgentIdentity(
            **{
                "node_name": "n1",
                "node_id": "11111111-2222-3333-4444-555555555555",
                "address": "10.0.0.1",
                "tagged_addresses": {"lan": "10.0.0.1"},
                **identity,
            }
        )
        self._seed = seed
        self.agent = self.new_agent()

    def new_agent(self) -> Agent:
        runtime = Runtime(
            clock=self.clock,
            rng=Random(self._seed),
            disk=self.disk,
            network=None,  # type: ignore[arg-type]  # nothing here dials
        )
        return Agent(
            self.identity,
            runtime,
            self.registry,
            data_dir=self.data_dir,
            probers=Probers(self.http, self.commands),
        )

    async def restart(self, *args: Any) -> None:
        await self.agent.close()
        self.agent = self.new_agent()
        await self.agent.start(*args)
        await settle()

    async def __aenter__(self) -> World:
        await self.agent.start()
        await settle()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.agent.close()
