"""``lictor catalog``."""

from __future__ import annotations

import click
import msgspec

from .client import Client
from .columns import columns
from .command import Group, at_most
from .errors import saying
from .flags import BOOL, PAIR, TEXT, flag
from .formats import format_flag, to_json, wants_json
from .settings import Http

SHORT_ID = 8
"""Characters of a node's ID that the short listing shows."""
TAGS_GAP = 6
"""Blanks between the longest name and the tags, in this one listing."""

catalog = Group(
    "catalog",
    help="""
    Lists what the whole cluster has registered, whichever agent it is registered with.

    $ lictor catalog datacenters
    $ lictor catalog nodes -service=redis
    $ lictor catalog services -tags
    """,
)


class NodeRow(msgspec.Struct, frozen=True, rename="pascal"):
    """A node, or one instance of a service with its node's fields, as the catalog lists it."""

    node: str
    address: str = ""
    id: str = msgspec.field(name="ID", default="")
    datacenter: str = ""
    tagged_addresses: dict[str, str] | None = None
    meta: dict[str, str] | None = None
    node_meta: dict[str, str] | None = None


class ServiceTags(msgspec.Struct, frozen=True, rename="pascal"):
    """One instance on a node."""

    service: str
    tags: list[str] | None = None


class NodeServices(msgspec.Struct, frozen=True, rename="pascal"):
    """A node's instances by ID."""

    services: dict[str, ServiceTags]


@catalog.command("datacenters", http=Http.CLIENT, summary="List the known datacenters")
@format_flag
def datacenters(agent: Client, args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Lists the datacenters the agent knows, one in a line.

    $ lictor catalog datacenters
    """
    as_json = wants_json(format)
    at_most(args, 0)
    with saying("Error listing datacenters"):
        names = agent.get("/v1/catalog/datacenters").decode(list[str])
    if as_json:
        click.echo(to_json(names))
        return
    for name in names:
        click.echo(name)


@catalog.command("nodes", http=Http.SERVER, summary="List the nodes")
@flag("-detailed", BOOL, "Show whole IDs, tagged addresses and meta.")
@flag("-filter", TEXT, "Only nodes for which this expression is true.", default="")
@flag("-near", TEXT, "Sort by round trip time from this node; _agent is the one asked.", default="")
@flag(
    "-node-meta",
    PAIR,
    "Only nodes with this key=value in their meta. May be repeated.",
    multiple=True,
)
@flag("-service", TEXT, "Only nodes with an instance of this service.", default="")
@format_flag
def nodes(
    agent: Client,
    args: tuple[str, ...],
    detailed: bool,
    filter: str,  # noqa: A002
    near: str,
    node_meta: tuple[tuple[str, str], ...],
    service: str,
    format: str,  # noqa: A002
) -> None:
    """Lists the nodes of the datacenter.

    $ lictor catalog nodes

    Those that run redis, the nearest first; those in one rack:

    $ lictor catalog nodes -service=redis -near=_agent
    $ lictor catalog nodes -node-meta=rack=a7
    """
    as_json = wants_json(format)
    at_most(args, 0)
    query = {
        "filter": filter or None,
        "near": near or None,
        "node-meta": [f"{key}:{value}" for key, value in node_meta] or None,
    }
    path = f"/v1/catalog/service/{service}" if service else "/v1/catalog/nodes"
    with saying("Error listing nodes for service" if service else "Error listing nodes"):
        answer = agent.get(path, query)
        found = answer.decode(list[NodeRow])
    if as_json:
        click.echo(to_json(answer.value()))
        return
    if not found:
        click.echo("No nodes match the given query - try expanding your search.", err=True)
        return
    if service:
        # a node may run many instances; it is listed once
        found = list({(one.id, one.node): one for one in found}.values())
    head = ["Node", "ID", "Address", "DC"]
    if not detailed:
        rows = [[one.node, one.id[:SHORT_ID], one.address, one.datacenter] for one in found]
        click.echo(columns([head, *rows]))
        return
    rows = [
        [
            one.node,
            one.id,
            one.address,
            one.datacenter,
            _pairs(one.tagged_addresses),
            _pairs(one.node_meta if service else one.meta),
        ]
        for one in found
    ]
    click.echo(columns([[*head, "TaggedAddresses", "Meta"], *rows]))


@catalog.command("services", http=Http.SERVER, summary="List the services")
@flag("-node", TEXT, "Only services on the node of this name or ID.", default="")
@flag(
    "-node-meta",
    PAIR,
    "Only on nodes with this key=value in their meta. May be repeated.",
    multiple=True,
)
@flag("-tags", BOOL, "Show the tags of each service too.")
@format_flag
def services(
    agent: Client,
    args: tuple[str, ...],
    node: str,
    node_meta: tuple[tuple[str, str], ...],
    tags: bool,
    format: str,  # noqa: A002
) -> None:
    """Lists the names of the services in the datacenter.

    $ lictor catalog services

    With their tags; only those on one node:

    $ lictor catalog services -tags
    $ lictor catalog services -node=web-1
    """
    as_json = wants_json(format)
    at_most(args, 0)
    if node:
        with saying("Error listing services for node"):
            answer = agent.get(f"/v1/catalog/node/{node}")
            on_node = answer.decode(NodeServices | None)  # type: ignore[arg-type]  # a union is a shape
        found = _tags_by_name(on_node)
    else:
        query = {"node-meta": [f"{key}:{value}" for key, value in node_meta] or None}
        with saying("Error listing services"):
            answer = agent.get("/v1/catalog/services", query)
            found = answer.decode(dict[str, list[str]])
    if as_json:
        click.echo(to_json(answer.value()))
        return
    if not found:
        click.echo("No services match the given query - try expanding your search.", err=True)
        return
    names = sorted(found)
    if not tags:
        click.echo("\n".join(names))
        return
    width = max(map(len, names)) + TAGS_GAP
    for name in names:
        click.echo(f"{name:<{width}}{','.join(sorted(found[name]))}")


def _tags_by_name(on_node: NodeServices | None) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for instance in on_node.services.values() if on_node else ():
        found.setdefault(instance.service, set()).update(instance.tags or ())
    return {name: sorted(tags) for name, tags in found.items()}


def _pairs(pairs: dict[str, str] | None) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted((pairs or {}).items()))
