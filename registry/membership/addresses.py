"""IP addresses: text in the house, 4 or 16 bytes on the wire."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from .errors import InvalidAddress, MalformedMessage

Address = tuple[str, int]
"""Host and port."""


@lru_cache(maxsize=4096)
def to_bytes(host: str) -> bytes:
    """``host``, an IP address, as 4 or 16 bytes.

    Raises:
        ValueError: it is a name, or nothing at all.
    """
    return ip_address(host).packed


@lru_cache(maxsize=4096)
def to_text(packed: bytes) -> str:
    """An IP address in text; an IPv4 one inside IPv6 comes out as what it is.

    Raises:
        MalformedMessage: neither 4 nor 16 bytes.
    """
    if len(packed) not in (4, 16):
        raise MalformedMessage("wrong address", f"{len(packed)} bytes")
    address = ip_address(packed)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def parse_address(text: str, default_port: int) -> Address:
    """``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address.

    Raises:
        InvalidAddress: the port is not one, or there is no host.
    """
    host, port = text.strip(), default_port
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        text_port = rest.removeprefix(":")
    elif host.count(":") == 1:
        host, _, text_port = host.partition(":")
    else:
        text_port = ""
    if text_port:
        if not text_port.isascii() or not text_port.isdigit() or not 0 < int(text_port) < 65536:
            raise InvalidAddress(f"address {text}: invalid port")
        port = int(text_port)
    if not host:
        raise InvalidAddress(f"address {text}: missing host")
    return host, port
