"""Connections that checks make: plain or TLS, with errors in the words of Go."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, TypeVar

from lictor.raft.runtime import Network
from lictor.registry.agent.definitions import CheckRules
from lictor.registry.agent.verdict import ProbeFailed

from .gonet import dial_failed, host_port

NANOSECONDS: Final = 1_000_000_000
DEFAULT_TIMEOUT: Final = 10.0

ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)

UNKNOWN_AUTHORITY: Final = frozenset({18, 19, 20, 21})
EXPIRED: Final = frozenset({9, 10})
WRONG_NAME: Final = frozenset({62, 64})
"""OpenSSL's numbers for what Go tells apart. Source: ``x509_vfy.h``."""


def timeout_of(rules: CheckRules) -> float:
    """Seconds that one run may take."""
    return rules.timeout / NANOSECONDS if rules.timeout > 0 else DEFAULT_TIMEOUT


def client_context(*, skip_verify: bool, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
    """How checks speak TLS: by the machine's authorities, unless told to take anybody."""
    context = ssl.create_default_context()
    if skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def tls_failed(error: ssl.SSLError) -> str:
    """What Go says when a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in UNKNOWN_AUTHORITY:
            return "x509: certificate signed by unknown authority"
        if error.verify_code in EXPIRED:
            return "x509: certificate has expired or is not yet valid"
        if error.verify_code in WRONG_NAME:
            return f"x509: {error.verify_message.rstrip('.')}"
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}:
        return "tls: first record does not look like a TLS handshake"
    return f"tls: {(error.reason or str(error)).lower().replace('_', ' ')}"


async def dial(
    network: Network,
    factory: Callable[[], ProtocolT],
    address: str,
    *,
    timeout: float,
    context: ssl.SSLContext | None = None,
    server_name: str = "",
) -> tuple[asyncio.Transport, ProtocolT]:
    """Connect to ``host:port``, with TLS where a ``context`` is given.

    Raises:
        ProbeFailed: it did not work; the text is Go's.
    """
    try:
        host, port = host_port(address)
    except ValueError as error:
        raise ProbeFailed(f"dial tcp: {error}") from error
    try:
        transport, protocol = await network.connect_stream(factory, host, port, timeout=timeout)
    except OSError as error:
        raise ProbeFailed(dial_failed(host, port, error)) from error
    if context is None:
        return transport, protocol
    try:
        secured = await asyncio.get_running_loop().start_tls(
            transport,
            protocol,
            context,
            server_hostname=server_name or host,
            ssl_handshake_timeout=timeout,
        )
    except ssl.SSLError as error:
        transport.abort()
        raise ProbeFailed(tls_failed(error)) from error
    except OSError as error:
        transport.abort()
        raise ProbeFailed(f"tls: {str(error) or 'handshake timed out'}") from error
    if secured is None:
        raise ProbeFailed("EOF")
    return secured, protocol
