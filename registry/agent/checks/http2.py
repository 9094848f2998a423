"""H2PING and gRPC checks: as much of an HTTP/2 client as they need.

Requests are sent with literal headers only; of answers, headers are skipped and data is read. So a
gRPC error's own words, which travel in compressed headers, are not known here.

Source: RFC 9113 (frames), RFC 7541 section 6.2.2 (literals), gRPC over HTTP/2, grpc.health.v1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from typing_extensions import override

from lictor.raft.runtime import Clock, Network
from lictor.registry.agent.definitions import CheckRules
from lictor.registry.agent.verdict import ProbeFailed, Verdict
from lictor.registry.records import CRITICAL, PASSING

from .dial import client_context, dial, timeout_of

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME: Final = 16_384
MAX_ANSWER: Final = 64 * 1024
"""Bytes of data taken of one answer."""

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
PING_PAYLOAD: Final = b"lictor!!"
STREAM: Final = 1

DEADLINE: Final = "context deadline exceeded"

HEALTH: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def literal(name: str, value: str) -> bytes:
    """One header, neither indexed nor compressed; both parts are ASCII."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: str) -> bytes:
    data = text.encode("ascii", "replace")
    if len(data) < 127:
        return bytes((len(data),)) + data
    rest, size = len(data) - 127, bytearray((127,))
    while rest >= 128:
        size.append(rest % 128 + 128)
        rest //= 128
    size.append(rest)
    return bytes(size) + data


class Client(asyncio.Protocol):
    """The client's end of one connection, for one ping or one request."""

    def __init__(self) -> None:
        self.moved = asyncio.Event()
        """Set whenever something below changes."""
        self.settled = False
        """The server sent its settings: it speaks HTTP/2."""
        self.ponged = False
        self.data = bytearray()
        self.ended = False
        self.failed = ""
        """Why nothing more will come."""
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def begin(self, transport: asyncio.Transport, *frames: bytes) -> None:
        """Greet the server and send ``frames``."""
        self._transport = transport
        transport.write(PREFACE + frame(SETTINGS, 0, 0) + b"".join(frames))

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 9 and not self.failed:
            length = int.from_bytes(self._buffer[:3], "big")
            if length > MAX_FRAME:
                self._fail("not an HTTP/2 server, or a frame too large")
                return
            if len(self._buffer) < 9 + length:
                return
            kind, flags = self._buffer[3], self._buffer[4]
            payload = bytes(self._buffer[9 : 9 + length])
            del self._buffer[: 9 + length]
            self._take(kind, flags, payload)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(str(exc) if exc else "EOF")

    def _take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self.settled = True
            self._write(frame(SETTINGS, ACK, 0))
        elif not self.settled:
            self._fail("not an HTTP/2 server")
        elif kind == PING:
            if flags & ACK:
                self.ponged = self.ponged or payload == PING_PAYLOAD
            else:
                self._write(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self._fail("the server went away")
        elif kind == RST_STREAM:
            self._fail("the server reset the stream")
        elif kind == DATA:
            padding = payload[0] if flags & PADDED and payload else 0
            self.data += payload[1 if flags & PADDED else 0 : len(payload) - padding]
            if len(self.data) > MAX_ANSWER:
                self._fail("the answer is too large")
        if kind in {DATA, HEADERS} and flags & END_STREAM:
            self.ended = True
        self.moved.set()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _fail(self, why: str) -> None:
        self.failed = self.failed or why
        self.moved.set()


async def probe_h2ping(network: Network, clock: Clock, rules: CheckRules) -> Verdict:
    """Connect, ping once over HTTP/2, and hang up."""
    ping = frame(PING, 0, 0, PING_PAYLOAD)
    try:
        await _talk(network, clock, rules, rules.h2ping, rules.h2ping_use_tls, (ping,), _ponged)
    except ProbeFailed as error:
        return Verdict(CRITICAL, f"HTTP2 ping {rules.h2ping}: {error}")
    return Verdict(PASSING, f"HTTP2 ping {rules.h2ping}: Success")


def _ponged(client: Client) -> bool:
    return client.ponged


async def probe_grpc(network: Network, clock: Clock, rules: CheckRules) -> Verdict:
    """Ask a gRPC server for its health, or that of the service after the slash."""
    address, _, service = rules.grpc.partition("/")
    request = _request(address, service, secure=rules.grpc_use_tls)
    try:
        client = await _talk(network, clock, rules, address, rules.grpc_use_tls, request, _ended)
    except ProbeFailed as error:
        why = str(error)
        if why.startswith("dial "):
            why = f'connection error: desc = "transport: Error while dialing {why}"'
        code = "DeadlineExceeded" if why == DEADLINE else "Unavailable"
        return Verdict(CRITICAL, f"rpc error: code = {code} desc = {why}")
    status = health(bytes(client.data))
    if status is None:
        return Verdict(CRITICAL, f"gRPC check {rules.grpc}: no health service answered")
    if status != "SERVING":
        return Verdict(CRITICAL, f"gRPC check {rules.grpc}: the status is {status}")
    return Verdict(PASSING, f"gRPC check {rules.grpc}: success")


def _ended(client: Client) -> bool:
    return client.ended


def _request(address: str, service: str, *, secure: bool) -> tuple[bytes, ...]:
    """The frames of ``grpc.health.v1.Health/Check``."""
    headers = {
        ":method": "POST",
        ":scheme": "https" if secure else "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": address,
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": "Consul Health Check",
    }
    name = service.encode()[: MAX_FRAME // 2]
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    body = b"\x00" + len(message).to_bytes(4, "big") + message
    block = b"".join(literal(key, value) for key, value in headers.items())
    return frame(HEADERS, END_HEADERS, STREAM, block), frame(DATA, END_STREAM, STREAM, body)


def _varint(number: int) -> bytes:
    data = bytearray()
    while number >= 128:
        data.append(number % 128 + 128)
        number //= 128
    data.append(number)
    return bytes(data)


def health(data: bytes) -> str | None:
    """The status in a ``HealthCheckResponse`` as it came; ``None`` when there is none."""
    if len(data) < 5 or data[0] != 0:
        return None
    message = data[5 : 5 + int.from_bytes(data[1:5], "big")]
    if not message:
        return HEALTH[0]  # protobuf leaves zeros out
    if message[0] != 0x08 or len(message) < 2 or message[1] >= len(HEALTH):
        return None
    return HEALTH[message[1]]


async def _talk(
    network: Network,
    clock: Clock,
    rules: CheckRules,
    address: str,
    secure: bool,  # noqa: FBT001 - a member of the rules
    frames: tuple[bytes, ...],
    done: Callable[[Client], bool],
) -> Client:
    """Send ``frames`` to ``address`` and listen until ``done``.

    Raises:
        ProbeFailed: it came to nothing, or took too long.
    """
    until = clock.now() + timeout_of(rules)
    context = None
    if secure:
        context = client_context(skip_verify=rules.tls_skip_verify, protocols=("h2",))
    transport, client = await dial(
        network,
        Client,
        address,
        timeout=timeout_of(rules),
        context=context,
        server_name=rules.tls_server_name,
    )
    try:
        client.begin(transport, *frames)
        while not done(client):
            if client.failed:
                raise ProbeFailed(client.failed)
            client.moved.clear()
            if not await clock.wait(client.moved, until=until):
                raise ProbeFailed(DEADLINE)
    finally:
        transport.abort()
    return client
