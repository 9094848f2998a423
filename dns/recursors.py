"""Other name servers, for names that are not ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, Literal, cast

import structlog
from typing_extensions import override

from lictor.raft.runtime import Runtime

from .errors import MalformedMessage
from .names import Name
from .records import A, Record
from .wire import HEADER_SIZE, MAX_MESSAGE, NOERROR, NXDOMAIN, build_query, parse_reply, read_name

log = structlog.get_logger("dns")

DNS_PORT: Final = 53


def parse_recursor(text: str) -> tuple[str, int]:
    """Host and port of a recursor: ``10.0.0.1``, ``10.0.0.1:53``, ``::1`` or ``[::1]:53``.

    Raises:
        ValueError: it is none of these.
    """
    host, port = text, DNS_PORT
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest:
            port = int(rest.removeprefix(":"))
    elif text.count(":") == 1:
        host, _, digits = text.partition(":")
        port = int(digits)
    ip_address(host)
    if not 0 < port < 65536:
        raise ValueError(f"no port has the number {port}")
    return host, port


class Recursors:
    """The recursors in their order, each asked until one knows."""

    def __init__(
        self,
        addresses: Sequence[str],
        runtime: Runtime,
        *,
        timeout: float,
        strategy: Literal["sequential", "random"] = "sequential",
    ) -> None:
        """``timeout`` is for one recursor, in seconds.

        Raises:
            ValueError: an address is not one.
        """
        self._addresses = tuple(dict.fromkeys(map(parse_recursor, addresses)))
        self._runtime = runtime
        self._timeout = timeout
        self._strategy = strategy

    def __bool__(self) -> bool:
        return bool(self._addresses)

    async def relay(self, packet: bytes, *, tcp: bool) -> bytes | None:
        """The first reply to ``packet`` that says yes or no; ``None`` when nobody does."""
        for host, port in self._order():
            reply = await self._exchange(packet, host, port, tcp=tcp)
            if reply is not None and reply[3] & 0xF in (NOERROR, NXDOMAIN):
                return reply
        return None

    async def chase(self, target: Name) -> tuple[Record, ...]:
        """The address records that somebody else's name ``target`` leads to; none when unknown.

        The first recursor that replies at all decides.
        """
        query = build_query(self._runtime.rng.getrandbits(16), target, A)
        for host, port in self._order():
            reply = await self._exchange(query, host, port, tcp=False)
            if reply is None:
                continue
            try:
                return parse_reply(reply).answers
            except MalformedMessage as error:
                log.warning("recursor sent nonsense", recursor=host, error=str(error))
        return ()

    def _order(self) -> list[tuple[str, int]]:
        order = list(self._addresses)
        if self._strategy == "random":
            self._runtime.rng.shuffle(order)
        return order

    async def _exchange(self, packet: bytes, host: str, port: int, *, tcp: bool) -> bytes | None:
        exchange = (_StreamExchange if tcp else _DatagramExchange)(packet)
        deadline = self._runtime.clock.now() + self._timeout
        transport: asyncio.BaseTransport | None = None
        try:
            if tcp:
                transport, _ = await self._runtime.network.connect_stream(
                    lambda: exchange, host, port, timeout=self._timeout
                )
            else:
                transport, _ = await self._runtime.network.connect_datagrams(
                    lambda: exchange, host, port
                )
            await self._runtime.clock.wait(exchange.done, until=deadline)
        except OSError as error:
            log.debug("recursor failed", recursor=host, error=str(error))
            return None
        finally:
            if transport is not None:
                transport.close()
        return exchange.reply


class _Exchange:
    """One question to one recursor, and its reply."""

    def __init__(self, packet: bytes) -> None:
        self.done = asyncio.Event()
        self.reply: bytes | None = None
        self._packet = packet

    def received(self, reply: bytes) -> None:
        """Take ``reply`` if it belongs to the question; a forged or late one is ignored."""
        if self.reply is None and _belongs(self._packet, reply):
            self.reply = reply
            self.done.set()


class _DatagramExchange(_Exchange, asyncio.DatagramProtocol):
    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.DatagramTransport", transport).sendto(self._packet)

    @override
    def datagram_received(self, data: bytes, addr: object) -> None:
        self.received(data)

    @override
    def error_received(self, exc: Exception) -> None:
        self.done.set()


class _StreamExchange(_Exchange, asyncio.Protocol):
    def __init__(self, packet: bytes) -> None:
        super().__init__(packet)
        self._buffer = bytearray()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(len(self._packet).to_bytes(2) + self._packet)

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data[: MAX_MESSAGE + 2]
        size = int.from_bytes(self._buffer[:2])
        if len(self._buffer) >= 2 + size:
            self.received(bytes(self._buffer[2 : 2 + size]))
            self.done.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set()


def _belongs(packet: bytes, reply: bytes) -> bool:
    """Whether ``reply`` answers ``packet``: same id, and the same question if it repeats one.

    Source: RFC 5452, section 9.1.
    """
    if len(reply) < HEADER_SIZE or reply[:2] != packet[:2] or not reply[2] & 0x80:
        return False
    if reply[4:6] == b"\0\0":
        return True
    try:
        asked, end = read_name(packet, HEADER_SIZE)
        told, told_end = read_name(reply, HEADER_SIZE)
    except MalformedMessage:
        return False
    same_type = packet[end : end + 4] == reply[told_end : told_end + 4]
    return same_type and asked.lower() == told.lower()
