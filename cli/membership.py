"""``lictor join``, ``leave``, ``force-leave`` and ``reload``: orders to an agent."""

from __future__ import annotations

import click

from .client import Client
from .command import command
from .errors import AgentError, Failure, Misuse, saying
from .flags import BOOL, flag
from .settings import Http


@command("join", usage="[options] ADDRESS...", http=Http.CLIENT)
@flag("-wan", BOOL, "Join the servers of another datacenter instead.")
def join(agent: Client, args: tuple[str, ...], wan: bool) -> None:
    """Makes the agent join a cluster, by the address of one or more of its members.

    One that answers is enough.

    $ lictor join 10.0.0.1 10.0.0.2
    """
    if not args:
        raise Misuse("At least one address to join must be specified.")
    joined = 0
    for address in args:
        try:
            agent.put(f"/v1/agent/join/{address}", {"wan": "1" if wan else None})
            joined += 1
        except AgentError as error:
            click.echo(f"Error joining address '{address}': {error}", err=True)
    if not joined:
        raise Failure("Failed to join any nodes.")
    click.echo(f"Successfully joined cluster by contacting {joined} nodes.")


@command("leave", http=Http.CLIENT)
def leave(agent: Client, args: tuple[str, ...]) -> None:
    """Makes the agent leave its cluster, so that nobody takes it for failed, and stop.

    $ lictor leave
    """
    if args:
        raise Misuse(f"Error found unexpected args: [{' '.join(args)}]", on_stdout=True)
    with saying("Error leaving"):
        agent.put("/v1/agent/leave")
    click.echo("Graceful leave complete")


@command("force-leave", usage="[options] NAME", http=Http.CLIENT)
@flag("-prune", BOOL, "Take the member off the list altogether.")
@flag("-wan", BOOL, "Look for the member among the servers of all datacenters.")
def force_leave(agent: Client, args: tuple[str, ...], prune: bool, wan: bool) -> None:
    """Makes the cluster take a failed member for one that has left.

    For a member that will never come back; one that is alive soon joins again.

    $ lictor force-leave web-3
    """
    if len(args) != 1:
        raise Misuse("A single node name must be specified to force leave.")
    query = {"prune": "1" if prune else None, "wan": "1" if wan else None}
    with saying("Error force leaving"):
        agent.put(f"/v1/agent/force-leave/{args[0]}", query)


@command("reload", http=Http.CLIENT)
def reload(agent: Client, args: tuple[str, ...]) -> None:
    """Makes the agent read its configuration files again.

    When they cannot be read the old configuration stays.

    $ lictor reload
    """
    with saying("Error reloading"):
        agent.put("/v1/agent/reload")
    click.echo("Configuration reload triggered")
