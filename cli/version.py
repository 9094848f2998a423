"""``lictor version``."""

from __future__ import annotations

import click

import lictor

from .command import command
from .errors import Failure
from .flags import TEXT, flag
from .formats import to_json

PROTOCOL_DEFAULT = 2
PROTOCOL_MIN = 2
PROTOCOL_MAX = 3
"""Versions of the gossip protocol. Source: ``/v1/agent/self``, and Serf's member tags."""


@command("version", summary="Print the version")
@flag("-format", TEXT, "How to print: pretty or json.", default="pretty")
def version(args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Prints the version of this program and of the gossip protocol it speaks.

    $ lictor version -format=json
    """
    if format == "json":
        protocols = {"Default": PROTOCOL_DEFAULT, "Min": PROTOCOL_MIN, "Max": PROTOCOL_MAX}
        shown = {"Version": lictor.__version__, "Revision": "", "Prerelease": "", "RPC": protocols}
        click.echo(to_json(shown, indent=3))
        return
    if format != "pretty":
        raise Failure(f"Unknown format: {format}")
    click.echo(f"Lictor v{lictor.__version__}")
    click.echo(
        f"Protocol {PROTOCOL_DEFAULT} spoken by default, understands {PROTOCOL_MIN} to"
        f" {PROTOCOL_MAX} (agent will automatically use protocol >{PROTOCOL_DEFAULT} when"
        " speaking to compatible agents)\n"
    )
