"""Network errors in the words of Go's ``net`` package, which people search for. Pure.

Source: outputs of checks that Consul 1.8.7 was observed to give.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from typing import Final

_CALL_FAILED: Final = re.compile(r"Connect call failed \('([^']+)', (\d+)")
_PORTS: Final = range(65536)


def host_port(address: str) -> tuple[str, int]:
    """Split ``host:port``; brackets around an IPv6 host go.

    Raises:
        ValueError: it is not one; the text is Go's.
    """
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")) or address.endswith("]"):
        many = address.count(":") > 1 and not address.startswith("[")
        problem = "too many colons in address" if many else "missing port in address"
        raise ValueError(f"address {address}: {problem}")
    if not port.isascii() or not port.isdecimal():
        raise ValueError(f"address tcp/{port}: unknown port")
    if int(port) not in _PORTS:
        raise ValueError(f"address {port}: invalid port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def dial_failed(host: str, port: int, error: OSError, network: str = "tcp") -> str:
    """What Go says when ``host:port`` could not be dialled because of ``error``."""
    if isinstance(error, socket.gaierror):
        return f"dial {network}: lookup {host}: no such host"
    failed = _CALL_FAILED.findall(str(error))
    if failed:
        host = failed[-1][0]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"dial {network} {where}: {reason(error)}"


def reason(error: OSError) -> str:
    """The cause alone."""
    if isinstance(error, TimeoutError) and error.errno != errno.ETIMEDOUT:
        return "i/o timeout"
    number = error.errno
    if number is None and "Connect call failed" in str(error):
        number = errno.ECONNREFUSED if "Errno 111" in str(error) else None
    if number is None:
        return f"connect: {error}"
    return f"connect: {os.strerror(number).lower()}"
