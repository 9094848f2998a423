"""TCP and UDP checks: does anybody take a connection, does anybody refuse a datagram?"""

from __future__ import annotations

import asyncio

from typing_extensions import override

from lictor.raft.runtime import Clock, Network
from lictor.registry.agent.definitions import CheckRules
from lictor.registry.agent.verdict import ProbeFailed, Verdict
from lictor.registry.records import CRITICAL, PASSING

from .dial import client_context, dial, timeout_of
from .gonet import dial_failed, host_port, reason


async def probe_tcp(network: Network, rules: CheckRules) -> Verdict:
    """Connect once, with TLS where the rules say so, and hang up."""
    context = client_context(skip_verify=rules.tls_skip_verify) if rules.tcp_use_tls else None
    try:
        transport, _ = await dial(
            network,
            asyncio.Protocol,
            rules.tcp,
            timeout=timeout_of(rules),
            context=context,
            server_name=rules.tls_server_name,
        )
    except ProbeFailed as error:
        return Verdict(CRITICAL, str(error))
    transport.abort()
    return Verdict(PASSING, f"TCP connect {rules.tcp}: Success")


class _Echo(asyncio.DatagramProtocol):
    """Waits for the first reply or refusal."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.error: Exception | None = None

    @override
    def datagram_received(self, data: bytes, addr: object) -> None:
        self.ended.set()

    @override
    def error_received(self, exc: Exception) -> None:
        self.error = exc
        self.ended.set()


async def probe_udp(network: Network, clock: Clock, rules: CheckRules) -> Verdict:
    """Send one datagram; a reply passes, and so does silence, for many services never answer."""
    try:
        host, port = host_port(rules.udp)
    except ValueError as error:
        return Verdict(CRITICAL, f"dial udp: {error}".replace("tcp/", "udp/"))
    try:
        transport, echo = await network.connect_datagrams(_Echo, host, port)
    except OSError as error:
        return Verdict(CRITICAL, dial_failed(host, port, error, "udp"))
    try:
        transport.sendto(b"\n")
        await clock.wait(echo.ended, until=clock.now() + timeout_of(rules))
    finally:
        transport.close()
    if isinstance(echo.error, OSError):
        cause = reason(echo.error).removeprefix("connect: ")
        return Verdict(CRITICAL, f"read udp {rules.udp}: read: {cause}")
    return Verdict(PASSING, f"UDP connect {rules.udp}: Success")
