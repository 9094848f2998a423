"""The real runtime: the machine's clock, disk, network and randomness. Thin on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from random import Random
from threading import Thread
from typing import Any, TypeVar

from .runtime import Listener, Runtime
from .system_datagrams import BatchedNetwork

T = TypeVar("T")
ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)


class SystemClock:
    """The monotonic clock and the wall clock."""

    def now(self) -> float:
        """Monotonic time."""
        return time.monotonic()  # noqa: TID251 - the one place that may ask the machine

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()  # noqa: TID251 - the one place that may ask the machine

    async def sleep(self, duration: float) -> None:
        """Let ``duration`` pass."""
        await asyncio.sleep(duration)

    async def wait(self, event: asyncio.Event, *, until: float | None) -> bool:
        """Wait for ``event`` or the instant ``until``; return whether the event is set."""
        if until is None:
            await event.wait()
        elif not event.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, until - self.now())):
                    await event.wait()
        return event.is_set()


class _Worker:
    """One thread that runs what it is given, in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def run(self, action: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = action()
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                _tell(loop, _fail, done, error)
            else:
                _tell(loop, _resolve, done, result)

        self._queue.put(job)
        return await done

    def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            job()


def _tell(loop: asyncio.AbstractEventLoop, action: Callable[..., None], *arguments: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(action, *arguments)


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


class SystemDisk:
    """The file system, with one storage thread, and one beside it for long work."""

    def __init__(self) -> None:
        self._storage = _Worker("storage")
        self._aside = _Worker("storage-aside")

    def read(self, path: Path) -> bytes:
        """The content of ``path``."""
        return path.read_bytes()

    def write_atomic(self, path: Path, content: bytes, *, mode: int = 0o600) -> None:
        """Replace ``path`` by ``content``, durably."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.tmp")
        handle = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode)
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, mode)
            stream.write(content)
            stream.flush()
            os.fsync(handle)
        partial.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def names(self, directory: Path) -> list[str]:
        """Names in ``directory``, ascending; empty when there is no such directory."""
        try:
            return sorted(entry.name for entry in directory.iterdir())
        except FileNotFoundError:
            return []

    def remove(self, path: Path) -> None:
        """Remove the file ``path``; one that is not there is fine."""
        path.unlink(missing_ok=True)

    def free_bytes(self, path: Path) -> int:
        """Bytes that can still be written below ``path``."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize

    async def run(self, action: Callable[[], T]) -> T:
        """Run ``action``, which blocks, on the storage thread; calls run in the order made."""
        return await self._storage.run(action)

    async def run_aside(self, action: Callable[[], T]) -> T:
        """Run ``action``, which takes long, beside what :meth:`run` does; in the order made."""
        return await self._aside.run(action)

    def close(self) -> None:
        """End both threads, after what they were given."""
        self._storage.close()
        self._aside.close()


class _StreamListener:
    """A listening socket of asyncio."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        name = server.sockets[0].getsockname()
        self._address: tuple[str, int] = (name[0], name[1])

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    async def close(self) -> None:
        self._server.close()  # wait_closed would wait for established connections, too


class _DatagramListener:
    """A bound datagram socket of asyncio."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport
        name = transport.get_extra_info("sockname")
        self._address: tuple[str, int] = (name[0], name[1])

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    async def close(self) -> None:
        self._transport.close()


class SystemNetwork:
    """Sockets, through the running event loop."""

    async def serve_stream(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        backlog: int = 1024,
    ) -> Listener:
        """Accept streams on ``host:port``."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, host, port, backlog=backlog, reuse_address=True)
        return _StreamListener(server)

    async def connect_stream(
        self, factory: Callable[[], ProtocolT], host: str, port: int, *, timeout: float
    ) -> tuple[asyncio.Transport, ProtocolT]:
        """Connect to ``host:port``."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout):
            return await loop.create_connection(factory, host, port)

    async def serve_datagrams(
        self, factory: Callable[[], ProtocolT], host: str, port: int
    ) -> tuple[Listener, asyncio.DatagramTransport, ProtocolT]:
        """Receive datagrams on ``host:port``."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(factory, local_addr=(host, port))
        return _DatagramListener(transport), transport, protocol

    async def connect_datagrams(
        self, factory: Callable[[], ProtocolT], host: str, port: int
    ) -> tuple[asyncio.DatagramTransport, ProtocolT]:
        """A datagram endpoint whose peer is ``host:port``."""
        loop = asyncio.get_running_loop()
        return await loop.create_datagram_endpoint(factory, remote_addr=(host, port))


def system_runtime() -> Runtime:
    """The machine this process runs on. The rng is seeded by the kernel."""
    return Runtime(
        clock=SystemClock(),
        rng=Random(int.from_bytes(os.urandom(32), "big")),  # noqa: S311 - keys use `secrets`
        disk=SystemDisk(),
        network=BatchedNetwork(SystemNetwork()),
    )
