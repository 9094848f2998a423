"""``lictor monitor``."""

from __future__ import annotations

from typing import Final

import click

from .client import Client
from .command import command
from .errors import saying
from .flags import BOOL, TEXT, flag
from .interrupts import until_interrupted
from .settings import Http

PIECE_BYTES: Final = 64 << 10


@command("monitor", http=Http.CLIENT)
@flag("-log-level", TEXT, "The least severe level to show.", default="INFO")
@flag("-log-json", BOOL, "Show one JSON object a line.")
def monitor(agent: Client, args: tuple[str, ...], log_level: str, log_json: bool) -> None:
    """Prints the agent's log as it is written, until interrupted.

    The level is ours alone: the agent's own log is not changed by it.

    $ lictor monitor -log-level=debug
    """
    query = {"loglevel": log_level, "logjson": "true" if log_json else None}
    with (
        until_interrupted(),
        saying("Error starting monitor"),
        agent.open("GET", "/v1/agent/monitor", query, timeout=None) as stream,
    ):
        while piece := stream.read1(PIECE_BYTES):
            click.echo(piece, nl=False)
        click.echo("")
        click.echo(
            "Remote side ended the monitor! This usually means that the\n"
            "remote side has exited or crashed."
        )
