"""``lictor config``: central configuration entries."""

from __future__ import annotations

from typing import Any, Final

import click
import msgspec

from .client import Client
from .command import Group
from .documents import parse_either
from .errors import Failure, Refused, saying
from .flags import BOOL, TEXT, UINT, flag
from .formats import format_flag, read_data, read_file, to_json, wants_json
from .settings import Http

config = Group(
    "config",
    help="""
    Writes and reads central configuration entries: defaults of services and proxies,
    routing, gateways, intentions.

    $ lictor config write web.hcl
    $ lictor config read -kind=service-defaults -name=web
    $ lictor config list -kind=service-resolver
    """,
)

LISTS: Final = frozenset(
    "bind_addresses consumers default_allow header hosts http_header listeners members overrides"
    " parents paths permissions query_param retry_on_status_codes routes rules services sources"
    " splits targets".replace("_", "").split()
)
"""Keys that hold a list, without underscores: one block under them is a list of one."""

REQUEST_DECODING: Final = "Bad request: Request decoding failed: "
"""How the server opens its complaint about an entry it cannot read."""


class Named(msgspec.Struct, frozen=True, rename="pascal"):
    """What every entry has."""

    kind: str
    name: str = ""


@config.command("write", usage="[options] FILE", http=Http.SERVER, summary="Write an entry")
@flag("-cas", BOOL, "Write only if the entry is still at -modify-index.")
@flag(
    "-modify-index", UINT, "The ModifyIndex that -cas expects; 0: the entry must be new.", default=0
)
def write(agent: Client, args: tuple[str, ...], cas: bool, modify_index: int) -> None:
    """Writes a configuration entry from a file in HCL or JSON; - is stdin.

    $ lictor config write web.hcl

    A file may say:

    $ cat web.hcl
    Kind     = "service-defaults"
    Name     = "web"
    Protocol = "http"
    """
    if len(args) != 1:
        raise Failure(
            "Must provide exactly one positional argument to specify the config entry to write"
        )
    failing = "Failed to load data: Failed to read file"
    text = read_data("-") if args[0] == "-" else read_file(args[0], failing=failing)
    try:
        document = parse_either(text.decode())
    except ValueError as error:
        said = "Failed to decode config entry input"
        raise Failure(f"{said}: {said}: {error}") from error
    entry = _plain(document)
    label = _label(entry)
    try:
        with saying(f"Error writing config entry {label}"):
            query = {"cas": str(modify_index) if cas else None}
            done = agent.put("/v1/config", query, body=entry).decode(bool)
    except Failure as failure:
        # Consul's tool decodes the entry itself; ours leaves that to the server, and says the same
        if isinstance(cause := failure.__cause__, Refused) and REQUEST_DECODING in cause.body:
            reason = cause.body.removeprefix(REQUEST_DECODING)
            raise Failure(f"Failed to decode config entry input: {reason}") from failure
        raise
    if not done:
        raise Failure(f"Config entry not updated: {label}")
    click.echo(f"Config entry written: {label}")


def _plain(value: Any, key: str = "") -> Any:
    """``value`` as JSON has it: a block of HCL as an object, or a list where one belongs."""
    from lictor.registry.hcl import Blocks

    if isinstance(value, dict):
        return {name: _plain(inner, name) for name, inner in value.items()}
    if isinstance(value, Blocks) and key.replace("_", "").lower() not in LISTS:
        return {name: _plain(inner, name) for block in value for name, inner in block.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def _label(entry: dict[str, Any]) -> str:
    named = {key.lower(): value for key, value in entry.items()}
    kind, name = named.get("kind"), named.get("name", "")
    if not isinstance(kind, str):
        said = "Payload does not contain a kind/Kind key at the top level"
        raise Failure(f"Failed to decode config entry input: {said}")
    return f"{kind}/{name}"


@config.command("read", http=Http.SERVER, summary="Print an entry")
@flag("-kind", TEXT, "The kind of the entry.", default="")
@flag("-name", TEXT, "The name of the entry.", default="")
@format_flag
def read(agent: Client, args: tuple[str, ...], kind: str, name: str, format: str) -> None:  # noqa: A002
    """Prints a configuration entry, as JSON.

    $ lictor config read -kind=service-defaults -name=web
    """
    wants_json(format)  # an entry has no other form; the flag is taken, and checked
    _needs(kind, name)
    with saying(f"Error reading config entry {kind}/{name}"):
        entry = agent.get(f"/v1/config/{kind}/{name}").decode(dict[str, Any])
    click.echo(
        to_json(
            {key: value for key, value in entry.items() if value not in ("", None) or key == "Name"}
        )
    )


def _needs(kind: str, name: str) -> None:
    if not kind:
        raise Failure("Must specify the -kind parameter")
    if not name:
        raise Failure("Must specify the -name parameter")


@config.command("list", http=Http.SERVER, summary="List the entries of a kind")
@flag("-kind", TEXT, "The kind of the entries.", default="")
@flag("-filter", TEXT, "Only entries for which this expression is true.", default="")
@format_flag
def list_(agent: Client, args: tuple[str, ...], kind: str, filter: str, format: str) -> None:  # noqa: A002
    """Lists the names of the entries of a kind, one in a line.

    $ lictor config list -kind=service-defaults
    """
    as_json = wants_json(format)
    if not kind:
        raise Failure("Must specify the -kind parameter")
    with saying(f'Error listing config entries for kind "{kind}"'):
        answer = agent.get(f"/v1/config/{kind}", {"filter": filter or None})
        entries = answer.decode(list[Named])
    if as_json:
        click.echo(to_json(answer.value()))
        return
    for entry in entries:
        click.echo(entry.name)


@config.command("delete", http=Http.SERVER, summary="Remove an entry")
@flag("-kind", TEXT, "The kind of the entry.", default="")
@flag("-name", TEXT, "The name of the entry.", default="")
@flag("-cas", BOOL, "Remove only if the entry is still at -modify-index.")
@flag("-modify-index", UINT, "The ModifyIndex that -cas expects.", default=0)
def delete(
    agent: Client,
    args: tuple[str, ...],
    kind: str,
    name: str,
    cas: bool,
    modify_index: int,
) -> None:
    """Removes a configuration entry. To remove one that is not there is no error.

    $ lictor config delete -kind=service-defaults -name=web
    """
    _needs(kind, name)
    if cas and not modify_index:
        raise Failure("Must specify a -modify-index greater than 0 with -cas")
    if modify_index and not cas:
        raise Failure("Cannot specify -modify-index without -cas")
    with saying(f"Error deleting config entry {kind}/{name}"):
        query = {"cas": str(modify_index) if cas else None}
        answer = agent.delete(f"/v1/config/{kind}/{name}", query)
        # an old server answers {} whatever happened
        done = not cas or answer.value() is not False
    if not done:
        raise Failure(f"Config entry not deleted: {kind}/{name}")
    click.echo(f"Config entry deleted: {kind}/{name}")
