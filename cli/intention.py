"""``lictor intention``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import click
import msgspec

from .client import Client
from .columns import columns
from .command import Group
from .errors import AgentError, Failure, Refused, Silent, saying
from .flags import BOOL, PAIR, TEXT, flag
from .formats import format_flag, read_file, to_json, wants_json
from .intentions import (
    INTENTIONS,
    Intention,
    all_intentions,
    between,
    duplicate_error,
    find,
    remove,
    write,
)
from .settings import Http

NONE_FOUND: Final = 2
"""The exit code of ``intention list`` when there is nothing to list, and of a failed check."""

intention = Group(
    "intention",
    help="""
    Says which services may connect to which. The most precise intention decides;
    where none matches, the default policy does.

    Let web connect to db, and ask whether it may:

    $ lictor intention create -allow web db
    $ lictor intention check web db

    Everything that applies to connections to db, in the order it is tried:

    $ lictor intention match db
    """,
)


@intention.command(
    "create", usage="[options] SRC DST", http=Http.SERVER, summary="Allow or deny connections"
)
@flag("-allow", BOOL, "Allow the connection. This is the default.")
@flag("-deny", BOOL, "Deny the connection.")
@flag("-file", BOOL, "The arguments are JSON files, one intention in each.")
@flag("-meta", PAIR, "Keep this key=value with the intention. May be repeated.", multiple=True)
@flag("-description", TEXT, "Say what it is for.", default="")
@flag("-replace", BOOL, "Replace the intention between the two, if there is one.")
def create(
    agent: Client,
    args: tuple[str, ...],
    allow: bool,
    deny: bool,
    file: bool,
    meta: tuple[tuple[str, str], ...],
    description: str,
    replace: bool,
) -> None:
    """Allows, or with -deny forbids, connections from one service to another.

    The name "*" stands for every service.

    $ lictor intention create web db
    $ lictor intention create -deny '*' db

    Change one that exists:

    $ lictor intention create -replace -deny web db
    """
    if allow and deny:
        raise Failure("Only one of -allow or -deny may be specified.")
    if file:
        wanted = [_from_file(path) for path in args]
    elif len(args) != 2:
        raise Failure("Error: Must specify two arguments: source and destination")
    else:
        action = "deny" if deny else "allow"
        wanted = [between(*args, action=action, meta=dict(meta), description=description)]
    for one in wanted:
        if replace:
            failing = (
                "Error looking up intention for replacement with source"
                f' "{one.source}" and destination "{one.destination}"'
            )
            with saying(failing):
                existing = find(all_intentions(agent), one)
        else:
            existing = None
        with saying(f'Error creating intention "{one.sentence}"'):
            if not replace and (duplicate := find(all_intentions(agent), one)) is not None:
                raise Refused(500, duplicate_error(duplicate))
            write(agent, one, existing)
        if existing is None:
            click.echo(f"Created: {one.sentence}")


def _from_file(path: str) -> Intention:
    try:
        return msgspec.json.decode(read_file(path, failing="Error"), type=Intention)
    except msgspec.DecodeError as error:
        raise Failure(f"Error: {error}") from error


def _look_up(agent: Client, source: str, destination: str) -> Intention:
    wanted = between(source, destination, action="", meta={}, description="")
    with saying("Error"):
        found = find(all_intentions(agent), wanted)
    if found is None:
        raise Failure(
            f'Error: Intention with source "{source}" and destination "{destination}" not found.'
        )
    return found


@intention.command(
    "get", usage="[options] SRC DST, or ID", http=Http.SERVER, summary="Show one intention"
)
@format_flag
def get(agent: Client, args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Prints the intention between two services, or the one with an ID.

    $ lictor intention get web db
    """
    as_json = wants_json(format)
    if len(args) not in {1, 2}:
        raise Failure("Error: command requires exactly 1 or 2 arguments")
    if len(args) == 2:
        found = _look_up(agent, *args)
    else:
        try:
            found = agent.get(f"{INTENTIONS}/{args[0]}").decode(Intention)
        except Refused as refused:
            reason = f"Unexpected response {refused.status}: {refused.body}"
            raise Failure(f"Error reading the intention: {reason}") from refused
        except AgentError as error:
            raise Failure(f"Error reading the intention: {error}") from error
    if as_json:
        click.echo(to_json(msgspec.to_builtins(found)))
        return
    click.echo(columns(_facts(found)))


def _facts(one: Intention) -> list[list[str]]:
    facts = [["Source:", one.source], ["Destination:", one.destination]]
    if not one.permissions:
        facts.append(["Action:", one.action])
    if one.id:
        facts.append(["ID:", one.id])
    if one.description:
        facts.append(["Description:", one.description])
    facts += [[f"Meta[{key}]:", value] for key, value in sorted((one.meta or {}).items())]
    if one.created_at:
        facts.append(["Created At:", _weekday_form(one.created_at)])
    return facts


def _weekday_form(instant: str) -> str:
    """An RFC 3339 instant as RFC 850 writes it: ``Monday, 23-Nov-26 05:13:45 UTC``."""
    moment = datetime.fromisoformat(instant).astimezone(UTC)
    return moment.strftime("%A, %d-%b-%y %H:%M:%S UTC")


@intention.command(
    "check",
    usage="[options] SRC DST",
    http=Http.SERVER,
    summary="Ask whether a connection is allowed",
)
def check(agent: Client, args: tuple[str, ...]) -> int:
    """Prints Allowed and exits 0, or Denied and exits 1.

    Anything that kept us from finding out exits 2.

    $ lictor intention check web db && deploy
    """
    if len(args) != 2:
        raise Failure("Error: command requires exactly two arguments: src and dst", code=NONE_FOUND)
    query = {"source": args[0], "destination": args[1], "source-type": "consul"}
    with saying("Error checking the connection", code=NONE_FOUND):
        allowed = agent.get(f"{INTENTIONS}/check", query).decode(dict[str, bool])["Allowed"]
    click.echo("Allowed" if allowed else "Denied")
    return 0 if allowed else 1


@intention.command(
    "match", usage="[options] NAME", http=Http.SERVER, summary="List what applies to a service"
)
@flag("-destination", BOOL, "Intentions that have NAME as destination. This is the default.")
@flag("-source", BOOL, "Intentions that have NAME as source.")
@format_flag
def match(
    agent: Client,
    args: tuple[str, ...],
    destination: bool,
    source: bool,
    format: str,  # noqa: A002
) -> None:
    """Lists the intentions that apply to a service, in the order they are tried.

    The first that matches a connection decides.

    $ lictor intention match db
    $ lictor intention match -source web
    """
    as_json = wants_json(format)
    if len(args) != 1:
        raise Failure("Error: command requires exactly one argument: src or dst")
    if source and destination:
        raise Failure("Error: only one of -source or -destination may be specified")
    query = {"by": "source" if source else "destination", "name": args[0]}
    with saying("Error matching the connection"):
        answer = agent.get(f"{INTENTIONS}/match", query)
        matched = answer.decode(dict[str, list[Intention] | None])
    if as_json:
        click.echo(to_json(answer.value()))
        return
    for one in matched.get(args[0]) or ():
        click.echo(one.sentence)


@intention.command("list", http=Http.SERVER, summary="List all intentions")
@format_flag
def list_(agent: Client, args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Lists all intentions, the most precise first. Exits 2 when there are none.

    $ lictor intention list
    """
    as_json = wants_json(format)
    with saying("Error listing intentions"):
        answer = agent.get(INTENTIONS)
        found = answer.decode(list[Intention])
    if as_json:
        click.echo(to_json(answer.value()))
        return
    if not found:
        click.echo("There are no intentions.", err=True)
        raise Silent(code=NONE_FOUND)
    head = ["ID", "Source", "Action", "Destination", "Precedence"]
    rows = [
        [one.id, one.source, one.decision, one.destination, str(one.precedence)] for one in found
    ]
    click.echo(columns([head, *rows]))


@intention.command(
    "delete", usage="[options] SRC DST, or ID", http=Http.SERVER, summary="Remove one intention"
)
def delete(agent: Client, args: tuple[str, ...]) -> None:
    """Removes the intention between two services, or the one with an ID.

    $ lictor intention delete web db
    """
    if len(args) not in {1, 2}:
        raise Failure("Error: command requires exactly 1 or 2 arguments")
    if len(args) == 2:
        found = _look_up(agent, *args)
        with saying("Error"):
            remove(agent, found)
    else:
        with saying("Error reading the intention"):
            agent.delete(f"{INTENTIONS}/{args[0]}")
    click.echo("Intention deleted.")
