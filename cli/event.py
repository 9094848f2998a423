"""``lictor event``."""

from __future__ import annotations

import click
import msgspec

from .client import Client
from .command import command
from .errors import Failure, Misuse, saying
from .flags import TEXT, flag
from .formats import format_flag, to_json, wants_json
from .regexps import compile_pattern
from .settings import Http


class Fired(msgspec.Struct, frozen=True, rename="pascal"):
    """The event as the agent fired it."""

    id: str = msgspec.field(name="ID")


@command("event", usage="[options] [PAYLOAD]", http=Http.SERVER)
@flag("-name", TEXT, "The name of the event.", default="")
@flag("-node", TEXT, "Only for nodes whose name matches this regular expression.", default="")
@flag("-service", TEXT, "Only for nodes with a service that matches.", default="")
@flag("-tag", TEXT, "Only for nodes whose -service has a tag that matches.", default="")
@format_flag
def event(
    agent: Client,
    args: tuple[str, ...],
    name: str,
    node: str,
    service: str,
    tag: str,
    format: str,  # noqa: A002
) -> None:
    """Sends a user event through the cluster by gossip.

    It reaches every member within seconds, and is not stored: handlers and watches
    that run at the time see it.

    $ lictor event -name=deploy 1609030
    $ lictor event -name=restart -service='^web$'
    """
    as_json = wants_json(format)
    if not name:
        raise Misuse("Event name must be specified")
    for kind, pattern in (("node", node), ("service", service), ("tag", tag)):
        try:
            compile_pattern(pattern)
        except ValueError as error:
            raise Failure(f"Failed to compile {kind} filter regexp: {error}") from error
    if tag and not service:
        raise Failure("Cannot provide tag filter without service filter.")
    if len(args) > 1:
        raise Misuse("Too many command line arguments.")
    with saying("Error querying Consul agent"):
        agent.get("/v1/agent/self")
    query = {"node": node or None, "service": service or None, "tag": tag or None}
    payload = args[0].encode(errors="surrogateescape") if args else b""
    with saying("Error firing event"):
        answer = agent.put(f"/v1/event/fire/{name}", query, body=payload)
        fired = answer.decode(Fired)
    click.echo(to_json(answer.value()) if as_json else f"Event ID: {fired.id}")
