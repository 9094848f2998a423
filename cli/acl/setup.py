"""``lictor acl bootstrap`` and ``set-agent-token``: the first steps of a cluster with ACLs."""

from __future__ import annotations

from functools import partial
from typing import Final

import click

from lictor.cli.client import Client
from lictor.cli.errors import Failure, saying
from lictor.cli.formats import format_flag
from lictor.cli.settings import Http

from . import layout
from .group import acl
from .layout import show_token

AGENT_TOKENS: Final = {
    "default": "default",
    "agent": "agent",
    "master": "agent_master",
    "recovery": "agent_recovery",
    "replication": "replication",
    "dns": "dns",
    "config_file_service_registration": "config_file_service_registration",
}
"""What a token can be to an agent, and its name in the API."""


@acl.command("bootstrap", http=Http.SERVER, summary="Make the first token")
@format_flag
def bootstrap(agent: Client, args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Makes a cluster's first token, which may do everything. It works once.

    $ lictor acl bootstrap
    """
    with saying("Failed ACL bootstrapping"):
        answer = agent.put("/v1/acl/bootstrap")
    show_token(answer, format, partial(layout.token, meta=False))


@acl.command(
    "set-agent-token",
    usage="[options] TYPE TOKEN",
    http=Http.CLIENT,
    summary="Give the agent a token",
)
def set_agent_token(agent: Client, args: tuple[str, ...]) -> None:
    """Gives the agent a token for its own work.

    TYPE is what for: default (requests that bring none), agent (its own registration),
    recovery (its API when the servers are gone), replication, dns.

    $ lictor acl set-agent-token agent 6a2b1c0e-6f0a-4a55-9d3f-0a5f0d2c7e11
    """
    if not args:
        raise Failure("Error! Missing TYPE and TOKEN arguments")
    if len(args) == 1:
        raise Failure("Error! Missing TOKEN argument")
    if len(args) > 2:
        raise Failure(f"Error! Too many arguments: expected 2 got {len(args)}")
    kind, token = args
    if kind not in AGENT_TOKENS:
        raise Failure("Unknown token type")
    with saying(f'Failed to set ACL token "{kind}"'):
        agent.put(f"/v1/agent/token/{AGENT_TOKENS[kind]}", body={"Token": token})
    click.echo(f'ACL token "{kind}" set successfully')
