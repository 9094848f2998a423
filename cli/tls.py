"""``lictor tls``: certificates for the TLS between agents."""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import Group
from .errors import Failure, go_error, open_error
from .flags import BOOL, INT, TEXT, VALUE, flag

if TYPE_CHECKING:
    from .issuing import Address, Pair

LOCALHOST = "localhost"
LOOPBACK = ipaddress.ip_address("127.0.0.1")

tls = Group(
    "tls",
    help="""
    Makes a certificate authority and certificates for the TLS between agents. No
    agent is asked; everything is a file in the current directory.

    $ lictor tls ca create
    $ lictor tls cert create -server
    $ lictor tls cert create -client
    """,
)

ca = Group(
    "ca",
    parent=tls,
    summary="Make a certificate authority",
    help="""
    The authority that agents trust: a certificate for every agent, and a key to be
    kept safe.

    $ lictor tls ca create
    """,
)

cert = Group(
    "cert",
    parent=tls,
    summary="Make certificates",
    help="""
    Certificates for servers, client agents and tools.

    $ lictor tls cert create -server -dc=dc1
    """,
)


@ca.command("create", summary="Make an authority")
@flag("-domain", TEXT, "The domain of the cluster: names the files.", default="consul")
@flag("-days", INT, "How many days it is valid.", default=1825)
@flag(
    "-name-constraint",
    BOOL,
    "Let it vouch only for the domain, localhost and the additional names.",
)
@flag(
    "-additional-name-constraint",
    VALUE,
    "Another name it may vouch for. May be repeated.",
    multiple=True,
)
def create_ca(
    args: tuple[str, ...],
    domain: str,
    days: int,
    name_constraint: bool,
    additional_name_constraint: tuple[str, ...],
) -> None:
    """Makes a certificate authority: <domain>-agent-ca.pem and its key beside it.

    $ lictor tls ca create -domain=consul
    """
    from .issuing import make_authority

    _check_days(days)
    certificate, key = Path(f"{domain}-agent-ca.pem"), Path(f"{domain}-agent-ca-key.pem")
    for path in (certificate, key):
        if path.exists():
            raise Failure(f"{path} already exists.")
    constraints = (*additional_name_constraint, domain, LOCALHOST) if name_constraint else ()
    _save(
        make_authority(days=days, now=datetime.now(UTC), constraints=constraints), certificate, key
    )


@cert.command("create", summary="Make a certificate")
@flag("-server", BOOL, "For a server.")
@flag("-client", BOOL, "For a client agent.")
@flag("-cli", BOOL, "For a tool such as this.")
@flag("-dc", TEXT, "The datacenter.", default="dc1")
@flag("-domain", TEXT, "The domain of the cluster.", default="consul")
@flag("-node", TEXT, "For a server: its node's name too, node.server.dc.domain.", default="")
@flag("-days", INT, "How many days it is valid.", default=365)
@flag("-ca", TEXT, "The authority's certificate; by default <domain>-agent-ca.pem.", default="")
@flag("-key", TEXT, "The authority's key; by default <domain>-agent-ca-key.pem.", default="")
@flag("-additional-dnsname", VALUE, "Another name. May be repeated.", multiple=True)
@flag("-additional-ipaddress", VALUE, "Another address. May be repeated.", multiple=True)
def create_cert(
    args: tuple[str, ...],
    server: bool,
    client: bool,
    cli: bool,
    dc: str,
    domain: str,
    node: str,
    days: int,
    ca: str,
    key: str,
    additional_dnsname: tuple[str, ...],
    additional_ipaddress: tuple[str, ...],
) -> None:
    """Makes a certificate, numbered so that it takes no other's place.

    $ lictor tls cert create -server -node=server-1 -additional-dnsname=consul.example.com
    $ lictor tls cert create -client
    """
    from .issuing import CLIENT_AUTH, SERVER_AUTH, CannotIssue, Pair, Wanted, issue

    if sum((server, client, cli)) != 1:
        raise Failure("Please provide either -server, -client, or -cli")
    if node and not server:
        raise Failure("-node requires -server")
    _check_days(days)
    kind = "server" if server else "client" if client else "cli"
    certificate, private = _free_names(f"{dc}-{kind}-{domain}")
    authority, authority_key = ca or f"{domain}-agent-ca.pem", key or f"{domain}-agent-ca-key.pem"
    signer = Pair(_read(authority, "CA"), _read(authority_key, "CA key"))
    own = [f"{kind}.{dc}.{domain}"]
    if server:
        _warn()
    click.echo(f"==> Using {authority} and {authority_key}")
    usages = {"server": [SERVER_AUTH, CLIENT_AUTH], "client": [CLIENT_AUTH, SERVER_AUTH], "cli": []}
    wanted = Wanted(
        names=[*own, *([f"{node}.{own[0]}"] if node else ()), *additional_dnsname, LOCALHOST],
        addresses=[*map(_address, additional_ipaddress), *(() if cli else (LOOPBACK,))],
        usages=usages[kind],
    )
    try:
        pair = issue(signer, wanted, days=days, now=datetime.now(UTC))
    except CannotIssue as error:
        raise Failure(str(error)) from error
    _save(pair, certificate, private)


def _warn() -> None:
    click.echo(
        "==> WARNING: Server Certificates grants authority to become a\n"
        "    server and access all state in the cluster including root keys\n"
        "    and all ACL tokens. Do not distribute them to production hosts\n"
        "    that are not server nodes. Store them as securely as CA keys."
    )


def _check_days(days: int) -> None:
    if days <= 0:
        raise Failure("-days must be positive")


def _free_names(start: str) -> tuple[Path, Path]:
    """The first numbered names that neither a certificate nor a key has yet."""
    for number in count():
        certificate, key = Path(f"{start}-{number}.pem"), Path(f"{start}-{number}-key.pem")
        if not certificate.exists() and not key.exists():
            return certificate, key
    raise AssertionError("unreachable: numbers do not end")


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise Failure(f"{text} is no IP address") from error


def _read(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Failure(f"Error reading {what}: {open_error(error, path)}") from error


def _save(pair: Pair, certificate: Path, key: Path) -> None:
    for path, content, mode in ((certificate, pair.certificate, 0o644), (key, pair.key, 0o600)):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor has no path)
                file.write(content)
        except OSError as error:
            raise Failure(f"Error writing {path}: {go_error(error)}") from error
        click.echo(f"==> Saved {path}")
