"""``lictor services``."""

from __future__ import annotations

from typing import Any

import click

from .client import Client
from .command import Group
from .definitions import read_definitions
from .errors import Failure, saying
from .flags import INT, PAIR, TEXT, flag
from .settings import Http

services = Group(
    "services",
    help="""
    Registers services with the local agent, and takes them off it again. What the
    whole cluster has is listed by "lictor catalog services".

    $ lictor services register -name=web -port=8080
    $ lictor services deregister -id=web
    """,
)


@services.command(
    "register", usage="[options] [FILE...]", http=Http.CLIENT, summary="Register services"
)
@flag("-name", TEXT, "The name of the service.", default="")
@flag("-id", TEXT, "The ID of this instance; by default the name.", default="")
@flag("-address", TEXT, "Its address; by default the agent's.", default="")
@flag("-port", INT, "Its port.", default=0)
@flag("-socket", TEXT, "The Unix socket it listens on, instead of address and port.", default="")
@flag("-tag", TEXT, "A tag. May be repeated.", multiple=True)
@flag("-meta", PAIR, "A key=value of its meta. May be repeated.", multiple=True)
@flag("-kind", TEXT, "What it is, if not a plain service: connect-proxy and so on.", default="")
@flag("-tagged-address", PAIR, "Another address: lan=10.0.0.1:80. May be repeated.", multiple=True)
def register(
    agent: Client,
    args: tuple[str, ...],
    name: str,
    id: str,  # noqa: A002
    address: str,
    port: int,
    socket: str,
    tag: tuple[str, ...],
    meta: tuple[tuple[str, str], ...],
    kind: str,
    tagged_address: tuple[tuple[str, str], ...],
) -> None:
    """Registers services with the local agent.

    They are those in files, written as in an agent's configuration (HCL or JSON),
    or one described by flags.

    $ lictor services register web.hcl db.json
    $ lictor services register -name=web -port=8080 -tag=v2 -meta=team=shop

    The registration stays until "lictor services deregister".
    """
    if not args and not name:
        raise Failure("Service registration requires at least one argument or flags.")
    if args and (name or id):
        raise Failure("Service registration requires arguments or -id, not both.")
    if args:
        wanted = read_definitions(args)
    else:
        described: dict[str, Any] = {
            "Kind": kind,
            "ID": id,
            "Name": name,
            "Address": address,
            "Port": port,
            "SocketPath": socket,
            "Tags": list(tag),
            "Meta": dict(meta),
            "TaggedAddresses": {key: _host_and_port(text) for key, text in tagged_address},
        }
        wanted = [{key: value for key, value in described.items() if value}]
    for one in wanted:
        label = one.get("Name", "")
        with saying(f'Error registering service "{label}"'):
            agent.put("/v1/agent/service/register", body=one)
        click.echo(f"Registered service: {label}")


def _host_and_port(text: str) -> dict[str, Any]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise Failure(f"Invalid Tagged Address: address {text}: missing port in address")
    if not port.isdecimal():
        reason = f'strconv.Atoi: parsing "{port}": invalid syntax'
        raise Failure(f"Invalid Tagged Address: {reason}")
    return {"Address": host.strip("[]"), "Port": int(port)}


@services.command(
    "deregister", usage="[options] [FILE...]", http=Http.CLIENT, summary="Deregister services"
)
@flag("-id", TEXT, "The ID of the instance to take off.", default="")
def deregister(agent: Client, args: tuple[str, ...], id: str) -> None:  # noqa: A002
    """Takes services off the local agent: one by its ID, or those that files define.

    $ lictor services deregister -id=web
    $ lictor services deregister web.hcl
    """
    if not args and not id:
        raise Failure("Service deregistration requires at least one argument or -id.")
    if args and id:
        raise Failure("Service deregistration requires arguments or -id, not both.")
    wanted = [{"ID": id}] if id else read_definitions(args)
    for one in wanted:
        name = one.get("ID") or one.get("Name") or ""
        with saying(f'Error registering service "{one.get("Name", "")}"'):
            agent.put(f"/v1/agent/service/deregister/{name}")
        click.echo(f"Deregistered service: {name}")
