"""``lictor acl policy``."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import click

from lictor.cli.client import Client
from lictor.cli.command import Group
from lictor.cli.errors import Failure, Misuse, saying
from lictor.cli.flags import BOOL, TEXT, VALUE, flag
from lictor.cli.formats import read_data
from lictor.cli.settings import Http

from . import layout
from .finding import POLICY
from .grants import print_flags
from .group import acl
from .layout import Object, show_policies

group: Final = Group(
    "policy",
    parent=acl,
    summary="Make, change and remove policies",
    help="""
    A policy is a set of rules about keys, services, nodes and the cluster itself.

    $ lictor acl policy create -name=web-write -rules=@web.hcl
    $ lictor acl policy read -name=web-write
    """,
)

MISSING: Final = "Must specify either the -id or -name parameters"


def _rules(text: str) -> str:
    return read_data(text, failing="Error loading rules: Failed to read file").decode()


@group.command("create", usage="-name NAME [options]", http=Http.SERVER, summary="Make a policy")
@flag("-name", TEXT, "The name.", default="")
@flag("-description", TEXT, "What it is for.", default="")
@flag("-rules", TEXT, "The rules: their text, @path for a file, or - for stdin.", default="")
@flag("-valid-datacenter", VALUE, "Valid only there. May be repeated.", multiple=True)
@print_flags
def create(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Makes a policy.

    $ lictor acl policy create -name=web-read -rules='service "web" { policy = "read" }'
    $ lictor acl policy create -name=deploy -rules=@deploy.hcl
    """
    if not given["name"]:
        raise Misuse("Missing require '-name' flag", blank_line=False)
    wanted: Object = {
        "Name": given["name"],
        "Description": given["description"],
        "Rules": _rules(given["rules"]),
        "Datacenters": list(given["valid_datacenter"]) or None,
    }
    with saying("Failed to create new policy"):
        answer = agent.put("/v1/acl/policy", body=wanted)
    show_policies(answer, format, partial(layout.policy, meta=meta))


@group.command("read", http=Http.SERVER, summary="Show a policy")
@flag("-id", TEXT, "The ID, or the start of it.", default="")
@flag("-name", TEXT, "The name.", default="")
@print_flags
def read(
    agent: Client,
    args: tuple[str, ...],
    id: str,  # noqa: A002
    name: str,
    meta: bool,
    format: str,  # noqa: A002
) -> None:
    """Prints a policy with its rules.

    $ lictor acl policy read -name=web-read
    """
    if not id and not name:
        raise Failure(MISSING)
    identity = POLICY.chosen(agent, id, name)
    with saying(f'Error reading policy "{identity}"'):
        answer = agent.get(f"/v1/acl/policy/{identity}")
    show_policies(answer, format, partial(layout.policy, meta=meta))


@group.command("list", http=Http.SERVER, summary="List all policies")
@print_flags
def list_(agent: Client, args: tuple[str, ...], meta: bool, format: str) -> None:  # noqa: A002
    """Lists all policies, without their rules.

    $ lictor acl policy list
    """
    with saying("Failed to retrieve the policy list"):
        answer = agent.get("/v1/acl/policies")
    show_policies(answer, format, partial(layout.policies, meta=meta))


@group.command("update", http=Http.SERVER, summary="Change a policy")
@flag("-id", TEXT, "The ID, or the start of it.", default="")
@flag("-name", TEXT, "With -id the new name, without it the policy meant.", default="")
@flag("-description", TEXT, "What it is for.", default="")
@flag("-rules", TEXT, "The rules: their text, @path for a file, or - for stdin.", default="")
@flag("-valid-datacenter", VALUE, "Valid only there. May be repeated.", multiple=True)
@flag("-no-merge", BOOL, "Forget what is not given, instead of leaving it as it is.")
@print_flags
def update(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Changes a policy. What is not given stays, unless -no-merge is.

    $ lictor acl policy update -name=deploy -rules=@deploy.hcl
    """
    if not given["id"] and not given["name"]:
        raise Failure(MISSING)
    identity = POLICY.chosen(agent, given["id"], given["name"])
    changes: Object = {
        "Name": given["name"],
        "Description": given["description"],
        "Rules": _rules(given["rules"]),
        "Datacenters": list(given["valid_datacenter"]),
    }
    with saying(f'Error reading policy "{identity}"'):
        now = agent.get(f"/v1/acl/policy/{identity}").decode(Object)
    kept = {"ID": identity} if given["no_merge"] else now
    wanted = kept | {key: value for key, value in changes.items() if value}
    with saying(f'Error updating policy "{identity}"'):
        answer = agent.put(f"/v1/acl/policy/{identity}", body=wanted)
    show_policies(answer, format, partial(layout.policy, meta=meta))


@group.command("delete", http=Http.SERVER, summary="Remove a policy")
@flag("-id", TEXT, "The ID, or the start of it.", default="")
@flag("-name", TEXT, "The name.", default="")
def delete(agent: Client, args: tuple[str, ...], id: str, name: str) -> None:  # noqa: A002
    """Removes a policy; tokens and roles that have it lose it.

    $ lictor acl policy delete -name=web-read
    """
    if not id and not name:
        raise Failure(MISSING)
    identity = POLICY.chosen(agent, id, name)
    with saying(f'Error deleting policy "{identity}"'):
        agent.delete(f"/v1/acl/policy/{identity}")
    click.echo(f'Policy "{identity}" deleted successfully')
