"""A whole world from one seed: hosts with clocks, disks and a network, in virtual time.

The shipped code runs in it unchanged, handed a :class:`~lictor.raft.runtime.Runtime` that is not
real. One seed gives one history: what happened is hashed, and two runs can be compared.

    with World(seed=1) as world:
        host = world.host("a")
        world.run(serve(host.runtime))

Users know it as ``lictor.testing``.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from hashlib import sha256
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, TypeVar

from .memory import PLENTY_BYTES, MemoryStorage
from .runtime import Runtime
from .simulated_network import SimulatedNetwork, Wire
from .virtual_time import Stalled, VirtualLoop

T = TypeVar("T")

EPOCH = 1_767_225_600.0
"""The wall clock when a world begins: 2026-01-01, midnight UTC."""


class SimulatedClock:
    """A host's clock: ``rate`` seconds of it pass in one true second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, skew: float, rate: float) -> None:
        self._loop = loop
        self.skew = skew
        self.rate = rate

    def now(self) -> float:
        """Monotonic time of this host."""
        return self._loop.time() * self.rate + self.skew

    def wall(self) -> float:
        """What this host believes the time of day is."""
        return EPOCH + self.now()

    async def sleep(self, duration: float) -> None:
        """Let ``duration`` pass on this clock."""
        await asyncio.sleep(duration / self.rate)

    async def wait(self, event: asyncio.Event, *, until: float | None) -> bool:
        """Wait for ``event`` or the instant ``until``; return whether the event is set."""
        if until is None:
            await event.wait()
        elif not event.is_set():
            try:
                async with asyncio.timeout(max(0.0, until - self.now()) / self.rate):
                    await event.wait()
            except TimeoutError:
                return event.is_set()
        return event.is_set()


class SimulatedDisk:
    """A host's disk. It outlives crashes, which lose what was not synced.

    What :meth:`run` was given is synced when it completes, after ``delay`` seconds.
    """

    def __init__(self, loop: VirtualLoop, rng: Random, note: Callable[..., None]) -> None:
        self._loop = loop
        self._rng = rng
        self._note = note
        self.delay = (0.0001, 0.001)
        """Least and most seconds that a sync takes."""
        self.capacity = PLENTY_BYTES
        self.failure: OSError | None = None
        """Raised by everything that writes, while it is set."""
        self._files: dict[Path, bytes] = {}
        self._storages: dict[str, MemoryStorage] = {}
        self._queue: deque[Callable[[], None]] = deque()
        self._busy = False
        self._incarnation = 0

    def storage(self, name: str = "raft") -> MemoryStorage:
        """The Raft storage called ``name`` on this disk."""
        if name not in self._storages:
            self._storages[name] = MemoryStorage(autosync=False, inline=False)
        return self._storages[name]

    def read(self, path: Path) -> bytes:
        """The content of ``path``."""
        if path not in self._files:
            raise FileNotFoundError(2, "no such file", str(path))
        return self._files[path]

    def write_atomic(self, path: Path, content: bytes, *, mode: int = 0o600) -> None:
        """Replace ``path`` by ``content``."""
        del mode
        if self.failure is not None:
            raise self.failure
        if len(content) > self.free_bytes(path) + len(self._files.get(path, b"")):
            raise OSError(28, "no space left on the disk", str(path))
        self._files[path] = bytes(content)

    def names(self, directory: Path) -> list[str]:
        """Names in ``directory``, ascending; empty when there is no such directory."""
        depth = len(directory.parts)
        return sorted({path.parts[depth] for path in self._files if directory in path.parents})

    def remove(self, path: Path) -> None:
        """Remove the file ``path``; one that is not there is fine."""
        self._files.pop(path, None)

    def free_bytes(self, path: Path) -> int:
        """Bytes that can still be written."""
        del path
        return self.capacity - sum(map(len, self._files.values()))

    async def run(self, action: Callable[[], T]) -> T:
        """Run ``action``; calls run in the order made, and are synced when they complete."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._queue.append(lambda: self._start(action, done))
        self._next()
        return await done

    async def run_aside(self, action: Callable[[], T]) -> T:
        """Run ``action`` beside the others."""
        await asyncio.sleep(self._rng.uniform(*self.delay))
        return action()

    def _next(self) -> None:
        if self._queue and not self._busy:
            self._busy = True
            self._queue.popleft()()

    def _start(self, action: Callable[[], T], done: asyncio.Future[T]) -> None:
        error: BaseException | None = None
        result: T | None = None
        for storage in self._storages.values():
            storage.failure = self.failure
        try:
            result = action()
        except Exception as raised:  # noqa: BLE001 - it is raised where it is awaited
            error = raised
        incarnation = self._incarnation

        def finish() -> None:
            if incarnation != self._incarnation:
                return  # the host crashed before the sync
            for name, storage in self._storages.items():
                if storage.pending:
                    self._note("sync", name, storage.pending)
                    storage.sync()
            self._busy = False
            if not done.done():
                if error is not None:
                    done.set_exception(error)
                else:
                    done.set_result(result)  # type: ignore[arg-type]  # T may include None
            self._next()

        self._loop.call_later(self._rng.uniform(*self.delay), finish)

    def crash(self) -> None:
        """Lose what is not synced, but for a prefix that chance has kept."""
        self._incarnation += 1
        self._queue.clear()
        self._busy = False
        for storage in self._storages.values():
            storage.crash(keep=self._rng.randint(0, storage.pending))


class Host:
    """One machine. Its disk and clock outlive its crashes."""

    def __init__(self, world: World, name: str, address: str, *, skew: float, rate: float) -> None:
        self._world = world
        self.name = name
        self.address = address
        self.clock = SimulatedClock(world.loop, skew=skew, rate=rate)
        self.disk = SimulatedDisk(world.loop, world.child_rng(f"disk {name}"), world.note)
        self.starts = 0
        """How often it was started; the owner of what runs on it is (name, starts)."""
        self.network: SimulatedNetwork
        self._runtime: Runtime
        self._start()

    @property
    def runtime(self) -> Runtime:
        """What a process on this host is handed, until the host crashes."""
        return self._runtime

    @property
    def _context(self) -> contextvars.Context:
        return self.network.context

    def _start(self) -> None:
        self.starts += 1
        world = self._world
        context = contextvars.Context()
        context.run(world.loop.owner.set, (self.name, self.starts))
        self.network = SimulatedNetwork(world.wire, self.address, context, world.resolve)
        self._runtime = Runtime(
            clock=self.clock,
            rng=world.child_rng(f"host {self.name} {self.starts}"),
            disk=self.disk,
            network=self.network,
        )

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` on this host; what it starts belongs to the host and dies with it."""
        return self._world.loop.create_task(work, context=self._context.copy())

    def crash(self) -> None:
        """Pull the plug; a new machine with the old disk is there at once, and idle."""
        world = self._world
        world.note("crash", self.name)
        owner = (self.name, self.starts)
        self.network.die()
        self.disk.crash()
        for whose, task in list(world.loop.tasks.values()):
            if whose == owner:
                task.add_done_callback(_forget)
                task.cancel()
        self._start()


def _forget(task: asyncio.Task[Any]) -> None:
    """Nobody is left to hear how a task of a crashed host ended."""
    if not task.cancelled():
        task.exception()


class World:
    """Everything that exists, and the time in it. Use it as a context manager."""

    def __init__(
        self,
        seed: int = 0,
        *,
        latency: tuple[float, float] = (0.0002, 0.002),
        loss: float = 0.0,
    ) -> None:
        self.seed = seed
        self.rng = Random(seed)  # noqa: S311 - the point is that it repeats
        self.loop = VirtualLoop()
        self.hosts: dict[str, Host] = {}
        self._events = 0
        self._hash = sha256()
        self.trace: deque[tuple[Any, ...]] = deque(maxlen=1_000)
        """What happened last: (time, what, details...)."""
        self.wire = Wire(self.loop, self.child_rng("wire"), self.note, latency=latency, loss=loss)

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def now(self) -> float:
        """True time, in seconds since the world began."""
        return self.loop.time()

    @property
    def digest(self) -> str:
        """A hash of everything that has happened. Two runs of one seed agree on it."""
        return f"{self._events}:{self._hash.hexdigest()}"

    def host(self, name: str, *, skew: float = 0.0, rate: float = 1.0) -> Host:
        """The host called ``name``, made on first use. Clocks differ by ``skew`` and ``rate``."""
        if name not in self.hosts:
            number = len(self.hosts) + 1
            address = f"10.0.{number // 250}.{number % 250}"
            self.hosts[name] = Host(self, name, address, skew=skew, rate=rate)
        return self.hosts[name]

    def run(self, work: Coroutine[Any, Any, T], *, limit: float = 3_600.0) -> T:
        """Let time pass until ``work`` is done, for at most ``limit`` seconds of virtual time.

        Raises:
            TimeoutError: it was not done by then.
            Stalled: nothing was left to happen.
        """

        async def limited() -> T:
            async with asyncio.timeout(limit):
                return await work

        return self.loop.run_until_complete(limited())

    def crash(self, host: Host | str) -> None:
        """Pull the plug of ``host``: unsynced writes and all its tasks are lost."""
        (self.hosts[host] if isinstance(host, str) else host).crash()

    def partition(self, *groups: Iterable[Host | str]) -> None:
        """Let nothing pass between ``groups``. Hosts in none of them form one more group."""
        named = [[self._host(each) for each in group] for group in groups]
        rest = [host for host in self.hosts.values() if not any(host in each for each in named)]
        for one in [*named, rest]:
            for other in self.hosts.values():
                if other not in one:
                    for host in one:
                        self.cut(host, other)

    def cut(self, source: Host | str, target: Host | str) -> None:
        """Let nothing pass from ``source`` to ``target``; the other way stays open."""
        way = (self._host(source).address, self._host(target).address)
        self.note("cut", *way)
        self.wire.cut.add(way)

    def heal(self) -> None:
        """Let everything pass again."""
        self.note("heal")
        self.wire.heal(list(self.wire.cut))

    def note(self, *what: Any) -> None:
        """Record that something happened."""
        event = (round(self.loop.time(), 9), *what)
        self._events += 1
        self._hash.update(repr(event).encode())
        self.trace.append(event)

    def child_rng(self, name: str) -> Random:
        """A random source of its own for ``name``: one user's draws do not shift another's."""
        return Random(f"{self.seed} {name}")  # noqa: S311 - the point is that it repeats

    def resolve(self, host: str) -> str:
        """The address of the host called ``host``; addresses stand for themselves."""
        return self.hosts[host].address if host in self.hosts else host

    def close(self) -> None:
        """End every task, and the loop."""
        tasks = [task for _, task in self.loop.tasks.values()]
        for task in tasks:
            task.add_done_callback(_forget)
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=60.0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _host(self, host: Host | str) -> Host:
        return self.hosts[host] if isinstance(host, str) else host


__all__ = ["Host", "SimulatedClock", "SimulatedDisk", "SimulatedNetwork", "Stalled", "World"]
