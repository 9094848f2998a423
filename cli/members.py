"""``lictor members`` and ``lictor info``: what one agent knows of the cluster and of itself."""

from __future__ import annotations

from typing import Final

import click
import msgspec

from .client import Client
from .columns import columns
from .command import command
from .errors import Failure, Silent, saying
from .flags import BOOL, TEXT, flag
from .formats import format_flag, to_json, wants_json
from .regexps import compile_pattern
from .settings import Http

STATUSES: Final = {0: "none", 1: "alive", 2: "leaving", 3: "left", 4: "failed"}
"""Serf's member states by number."""

NO_MATCH: Final = 2
"""The exit code of ``members`` when nobody matches."""


class Member(msgspec.Struct, frozen=True, rename="pascal"):
    """One member as gossip knows it."""

    name: str
    addr: str
    port: int
    tags: dict[str, str]
    status: int

    @property
    def address(self) -> str:
        """Host and gossip port."""
        host = f"[{self.addr}]" if ":" in self.addr else self.addr
        return f"{host}:{self.port}"

    @property
    def kind(self) -> str:
        """What the member's ``role`` tag makes of it."""
        return {"consul": "server", "node": "client"}.get(self.tags.get("role", ""), "unknown")

    @property
    def segment(self) -> str:
        """The segment as people read it."""
        if self.kind == "server":
            return "<all>"
        return self.tags.get("segment", "") or "<default>"

    @property
    def state(self) -> str:
        """The status in words."""
        return STATUSES.get(self.status, "unknown")


class Self(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of ``/v1/agent/self`` that ``info`` prints."""

    stats: dict[str, dict[str, str]]


@command("members", http=Http.CLIENT, summary="List the members of the cluster")
@flag("-detailed", BOOL, "Show every tag of every member.")
@flag("-filter", TEXT, "Only members for which this expression is true.", default="")
@flag("-segment", TEXT, "Only members of this network segment.", default="_all")
@flag("-status", TEXT, "Only members whose status matches this regular expression.", default=".*")
@flag("-wan", BOOL, "List the servers of all datacenters instead.")
@format_flag
def members(
    agent: Client,
    args: tuple[str, ...],
    detailed: bool,
    filter: str,  # noqa: A002
    segment: str,
    status: str,
    wan: bool,
    format: str,  # noqa: A002
) -> None:
    """Lists the members of the cluster, as the agent sees them by gossip.

    Servers come first. Exits 2 when nobody matches.

    $ lictor members

    Who is gone, and by which tags is everybody known:

    $ lictor members -status='left|failed'
    $ lictor members -detailed
    """
    as_json = wants_json(format)
    try:
        wanted = compile_pattern(status)
    except ValueError as error:
        raise Failure(f"Failed to compile status regexp: {error}") from error
    query = {"segment": segment, "wan": "1" if wan else None, "filter": filter or None}
    with saying("Error retrieving members"):
        answer = agent.get("/v1/agent/members", query)
        everyone = answer.decode(list[Member])
    chosen = sorted(
        (one for one in everyone if wanted.search(one.state)),
        key=lambda one: (one.kind != "server", one.tags.get("segment", ""), one.name),
    )
    if not chosen:
        raise Silent(code=NO_MATCH)
    if as_json:
        names = {(one.name, one.addr, one.port) for one in chosen}
        raw = answer.decode(list[dict[str, object]])
        click.echo(
            to_json([one for one in raw if (one["Name"], one["Addr"], one["Port"]) in names])
        )
    elif detailed:
        rows = [[one.name, one.address, one.state, _tags(one)] for one in chosen]
        click.echo(columns([["Node", "Address", "Status", "Tags"], *rows]))
    else:
        head = ["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Segment"]
        click.echo(columns([head, *(_row(one) for one in chosen)]))


def _row(one: Member) -> list[str]:
    build = one.tags.get("build", "").partition(":")[0] or "< 0.3"
    protocol, datacenter = one.tags.get("vsn", ""), one.tags.get("dc", "")
    return [one.name, one.address, one.state, one.kind, build, protocol, datacenter, one.segment]


def _tags(one: Member) -> str:
    tags = one.tags | {"segment": one.segment}
    return ",".join(f"{key}={value}" for key, value in sorted(tags.items()))


@command("info", http=Http.CLIENT, summary="Show the agent's own statistics")
@format_flag
def info(agent: Client, args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Prints what the agent counts and knows about itself.

    That is its role, gossip, and on a server Raft's indexes.

    $ lictor info
    """
    as_json = wants_json(format)
    with saying("Error querying agent"):
        stats = agent.get("/v1/agent/self").decode(Self).stats
    if as_json:
        click.echo(to_json(stats))
        return
    for section, facts in sorted(stats.items()):
        click.echo(f"{section}:")
        for key, value in sorted(facts.items()):
            click.echo(f"\t{key} = {value}")
