"""The bundled load generator: closed loop, one request under way per connection, in asyncio.

It is a Python client, so that fast servers are limited by it; ``wrk`` and ``dnsperf`` are used
instead where they are installed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable

import msgspec
from dnslib import DNSRecord


class Measured(msgspec.Struct, frozen=True):
    """What one run saw. Latencies are in seconds."""

    rate: float
    p50: float
    p99: float
    errors: int = 0

    @classmethod
    def of(cls, latencies: Iterable[float], duration: float, errors: int) -> Measured:
        ordered = sorted(latencies)
        if not ordered:
            return cls(0.0, float("nan"), float("nan"), errors)
        at = [ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.5, 0.99)]
        return cls(len(ordered) / duration, at[0], at[1], errors)


class HTTPLoad(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, requests: Callable[[], bytes], latencies: list[float]) -> None:
        self.requests = requests
        self.latencies = latencies
        self.errors = 0
        self.running = True
        self.ended = asyncio.get_running_loop().create_future()
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self._sent_at = time.perf_counter()
        self.transport.write(self.requests())

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_whole():
            return
        self.latencies.append(time.perf_counter() - self._sent_at)
        if self._received[9:10] != b"2":
            self.errors += 1
        self._received = b""
        if self.running:
            self.ask()
        else:
            self.transport.close()

    def _is_whole(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._received[:end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            return self._received.endswith(b"0\r\n\r\n")  # chunked
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        return len(self._received) >= end + 4 + length

    def connection_lost(self, exc: Exception | None) -> None:
        self.errors += self.running
        if not self.ended.done():
            self.ended.set_result(None)


async def http_load(
    port: int, requests: Callable[[], bytes], *, connections: int, seconds: float
) -> Measured:
    """Keep ``connections`` connections busy for ``seconds``."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    opened = [
        (await loop.create_connection(lambda: HTTPLoad(requests, latencies), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    for each in opened:
        each.running = False
    duration = time.perf_counter() - began
    await asyncio.wait([each.ended for each in opened], timeout=5.0)
    return Measured.of(latencies, duration, sum(each.errors for each in opened))


def get_requests(path: str) -> Callable[[], bytes]:
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    return lambda: request


def put_requests(path: str, value: bytes) -> Callable[[], bytes]:
    numbers = itertools.count()
    tail = b" HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%b" % (len(value), value)
    head = b"PUT " + path.encode()
    return lambda: head + b"%d" % (next(numbers) % 1000) + tail


class DNSLoad(asyncio.DatagramProtocol):
    """One socket with ``window`` questions under way; a lost one is counted at the end."""

    def __init__(self, question: bytes, window: int, latencies: list[float]) -> None:
        self.question = question
        self.window = window
        self.latencies = latencies
        self.errors = 0
        self.running = True
        self._sent_at: dict[int, float] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        for number in range(self.window):
            self.ask(number)

    def ask(self, number: int) -> None:
        self._sent_at[number] = time.perf_counter()
        self.transport.sendto(number.to_bytes(2, "big") + self.question[2:])

    def datagram_received(self, data: bytes, addr: object) -> None:
        number = int.from_bytes(data[:2], "big")
        sent_at = self._sent_at.pop(number, None)
        if sent_at is None:
            return
        self.latencies.append(time.perf_counter() - sent_at)
        if data[3] & 0x0F:
            self.errors += 1
        if self.running:
            self.ask((number + self.window) % 65536)

    def error_received(self, exc: Exception) -> None:
        self.errors += 1


async def dns_load(port: int, name: str, kind: str, *, window: int, seconds: float) -> Measured:
    """Keep ``window`` questions under way for ``seconds``."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    question = DNSRecord.question(name, kind).pack()
    transport, load = await loop.create_datagram_endpoint(
        lambda: DNSLoad(question, window, latencies), remote_addr=("127.0.0.1", port)
    )
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    load.running = False
    duration = time.perf_counter() - began
    await asyncio.sleep(0.1)
    transport.close()
    return Measured.of(latencies, duration, load.errors)
