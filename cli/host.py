"""What the agent's configuration needs to know of this host: files, name, addresses, chance."""

from __future__ import annotations

import array
import fcntl
import ipaddress
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Final

from lictor.registry.config import InterfaceAddress, Loaded, load

_SIOCGIFCONF: Final = 0x8912
_IFREQ_SIZE: Final = 40
_MOST_ADDRESSES: Final = 1024
_IPV6_TABLE: Final = Path("/proc/net/if_inet6")


def load_here(
    *,
    paths: Sequence[Path],
    fragments: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    dev: bool = False,
    config_format: str | None = None,
) -> Loaded:
    """The configuration that these sources make on this host.

    Raises:
        InvalidConfig: in words for the operator.
    """
    return load(
        files=paths,
        fragments=fragments,
        flags=flags,
        dev=dev,
        config_format=config_format,
        read=Path.read_bytes,
        names=os.listdir,
        hostname=socket.gethostname(),
        rng=SystemRandom(),
        interfaces=interface_addresses,
    )


def interface_addresses() -> list[InterfaceAddress]:
    """Every address of this host by interface, IPv4 first; link-local IPv6 is left out.

    Source: Linux, netdevice(7). Elsewhere, the addresses of the host's name.
    """
    try:
        return [*_ipv4_addresses(), *_ipv6_addresses()]
    except OSError:
        # not Linux; the resolver knows at least what others call us by
        return [
            InterfaceAddress("", str(address[0]))
            for *_, address in socket.getaddrinfo(
                socket.gethostname(), None, type=socket.SOCK_DGRAM
            )
        ]


def _ipv4_addresses() -> list[InterfaceAddress]:
    table = array.array("B", bytes(_IFREQ_SIZE * _MOST_ADDRESSES))
    address, size = table.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        answer = fcntl.ioctl(asked.fileno(), _SIOCGIFCONF, struct.pack("iL", size, address))
    used, _ = struct.unpack("iL", answer)
    rows = table.tobytes()[:used]
    return [
        InterfaceAddress(
            rows[at : at + 16].partition(b"\0")[0].decode(),
            socket.inet_ntoa(rows[at + 20 : at + 24]),
        )
        for at in range(0, used, _IFREQ_SIZE)
    ]


def _ipv6_addresses() -> list[InterfaceAddress]:
    if not _IPV6_TABLE.exists():
        return []
    found = []
    for line in _IPV6_TABLE.read_text().splitlines():
        digits, *_, interface = line.split()
        address = ipaddress.IPv6Address(int(digits, 16))
        if not address.is_link_local:
            found.append(InterfaceAddress(interface, str(address)))
    return found
