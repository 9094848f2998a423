"""Why a peer could not be joined, in the words that operators know from Consul."""

from __future__ import annotations

import errno
import socket
from typing import Final

_REASONS: Final[dict[int | None, str]] = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.ENETUNREACH: "connect: network is unreachable",
    errno.EHOSTUNREACH: "connect: no route to host",
}


def in_words(error: Exception, address: str) -> str:
    """``error``, met on the way to ``address``."""
    if isinstance(error, socket.gaierror):
        host = address.rpartition(":")[0] or address
        return f"lookup {host}: no such host"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {address}: {_REASONS[errno.ECONNREFUSED]}"
    if isinstance(error, TimeoutError):
        return f"dial tcp {address}: i/o timeout"
    if isinstance(error, OSError) and error.errno in _REASONS:
        return f"dial tcp {address}: {_REASONS[error.errno]}"
    return str(error)
