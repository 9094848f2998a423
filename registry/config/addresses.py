"""Addresses as operators write them, made into IP addresses.

A value may be a go-sockaddr template: ``{{ GetPrivateIP }}``, ``{{ GetInterfaceIP "eth0" }}``.
Which addresses the host has is told by whoever calls; nothing here asks the system.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from lictor.registry.errors import RegistryError

from .agent import Listen


class InterfaceAddress(NamedTuple):
    """One address of one of the host's interfaces."""

    interface: str
    address: str


Interfaces = Callable[[], Sequence[InterfaceAddress]]


class InvalidAddress(RegistryError):
    """An address cannot be used; the text names no setting."""


_TEMPLATE: Final = re.compile(r"{{-?\s*(?P<name>\w+)(?:\s+[\"`](?P<argument>[^\"`]*)[\"`])?\s*-?}}")
_FUNCTION: Final = re.compile(r"{{-?\s*(?P<name>\w*)")
_PRIVATE: Final = tuple(
    ipaddress.ip_network(block)
    for block in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "fc00::/7",
        "fe80::/10",
    )
)
"""What counts as private. Source: Consul, ``ipaddr``; RFC 6890."""


def expand(text: str, interfaces: Interfaces) -> list[str]:
    """The addresses in ``text``, in order: templates filled in, then split at blanks.

    Raises:
        InvalidAddress: a template cannot be filled in.
    """

    def fill(match: re.Match[str]) -> str:
        name, argument = match["name"], match["argument"]
        found = _function(name, argument, interfaces)
        if found is None:
            raise InvalidAddress(_template_error(text, name))
        return " ".join(found)

    filled = _TEMPLATE.sub(fill, text)
    if rest := _FUNCTION.search(filled):
        raise InvalidAddress(
            f'error parsing "{text}": not a template of one function, near "{rest[0]}"'
        )
    return filled.split()


def _function(name: str, argument: str | None, interfaces: Interfaces) -> list[str] | None:
    match name, argument:
        case "GetPrivateIP", None:
            return _v4(private for private in _addresses(interfaces) if is_private(private))[:1]
        case "GetPrivateIPs", None:
            return _v4(private for private in _addresses(interfaces) if is_private(private))
        case "GetPublicIP", None:
            return [public for public in _addresses(interfaces) if is_public(public)][:1]
        case "GetPublicIPs", None:
            return [public for public in _addresses(interfaces) if is_public(public)]
        case "GetInterfaceIP", str():
            return _addresses(interfaces, argument)[:1]
        case "GetInterfaceIPs", str():
            return _addresses(interfaces, argument)
        case _:
            return None


def _template_error(text: str, name: str) -> str:
    return (
        f'error parsing "{text}": unable to parse template "{text}": '
        f'template: sockaddr.Parse:1: function "{name}" not defined'
    )


def _addresses(interfaces: Interfaces, name: str | None = None) -> list[str]:
    return [found.address for found in interfaces() if name in {None, found.interface}]


def _v4(addresses: Iterable[str]) -> list[str]:
    return [address for address in addresses if ":" not in address]


def is_private(address: str) -> bool:
    """Whether ``address`` is of a network that is not routed between organisations."""
    ip = ipaddress.ip_address(address)
    return any(ip in block for block in _PRIVATE if block.version == ip.version)


def is_public(address: str) -> bool:
    """Whether ``address`` is neither private nor of this host alone."""
    ip = ipaddress.ip_address(address)
    return not (ip.is_loopback or ip.is_unspecified or ip.is_link_local or is_private(address))


def is_ip(address: str) -> bool:
    """Whether ``address`` is an IP address, without a zone."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return "%" not in address


def is_any(address: str) -> bool:
    """Whether ``address`` means every address of the host."""
    return ipaddress.ip_address(address).is_unspecified


def one_ip(text: str, interfaces: Interfaces) -> str:
    """The one IP address ``text`` stands for; empty for none.

    Raises:
        InvalidAddress: there are several, or it is no IP address.
    """
    found = expand(text, interfaces)
    if len(found) > 1:
        raise InvalidAddress(f"multiple addresses found: {' '.join(found)}")
    if found and not is_ip(found[0]):
        raise InvalidAddress(f"invalid ip address: {found[0]}")
    return found[0] if found else ""


def detect_advertised(bind: str, interfaces: Interfaces) -> str:
    """The address others reach us at when ``bind`` means all of ours.

    Raises:
        InvalidAddress: there is none, or more than one.
    """
    if ":" in bind:
        family, found = (
            "public IPv6",
            [a for a in _addresses(interfaces) if ":" in a and is_public(a)],
        )
    else:
        family, found = "private IPv4", [a for a in _v4(_addresses(interfaces)) if is_private(a)]
    if not found:
        raise InvalidAddress(f"No {family} address found")
    if len(found) > 1:
        raise InvalidAddress(
            f"Multiple {family} addresses found. "
            "Please configure one with 'bind' and/or 'advertise'."
        )
    return found[0]


def listen_at(places: Sequence[str], port: int) -> tuple[Listen, ...]:
    """Where to listen: every place at ``port``, or nowhere if that is off."""
    if port <= 0:
        return ()
    return tuple(
        Listen(place.removeprefix("unix://"), 0)
        if place.startswith("unix://")
        else Listen(place, port)
        for place in places
    )
