"""``lictor acl role``."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import click

from lictor.cli.client import Answer, Client
from lictor.cli.command import Group
from lictor.cli.errors import Failure, Misuse, Refused, saying
from lictor.cli.flags import BOOL, TEXT, flag
from lictor.cli.settings import Http

from . import layout
from .finding import ROLE
from .grants import grant_flags, granted, print_flags, with_grants
from .group import acl
from .layout import Object, show

group: Final = Group(
    "role",
    parent=acl,
    summary="Make, change and remove roles",
    help="""
    A role bundles policies and identities under a name, for many tokens to have.

    $ lictor acl role create -name=deployer -policy-name=deploy -policy-name=kv-read
    $ lictor acl role read -name=deployer
    """,
)


@group.command("create", usage="-name NAME [options]", http=Http.SERVER, summary="Make a role")
@flag("-name", TEXT, "The name.", default="")
@flag("-description", TEXT, "What it is for.", default="")
@grant_flags
@print_flags
def create(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Makes a role. It must grant something: a policy or an identity.

    $ lictor acl role create -name=deployer -policy-name=deploy -service-identity=web
    """
    if not given["name"]:
        raise Misuse("Missing require '-name' flag", blank_line=False)
    kinds = ("policy_name", "policy_id", "service_identity", "node_identity")
    if not any(given[kind] for kind in kinds):
        raise Failure(
            "Cannot create a role without specifying -policy-name, -policy-id,"
            " -service-identity, or -node-identity at least once"
        )
    wanted = {
        "Name": given["name"],
        "Description": given["description"],
        **_granted(agent, given),
    }
    with saying("Failed to create new role"):
        answer = agent.put("/v1/acl/role", body=wanted)
    show(answer, format, partial(layout.role, meta=meta))


def _granted(agent: Client, given: dict[str, Any]) -> Object:
    """What the flags grant; roles have no roles."""
    return {kind: grants for kind, grants in granted(agent, given).items() if kind != "Roles"}


@group.command("read", http=Http.SERVER, summary="Show a role")
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
    """Prints a role.

    $ lictor acl role read -name=deployer
    """
    if not id and not name:
        raise Failure("Must specify either the -id or -name parameters")
    if id:
        answer = _read(agent, ROLE.chosen(agent, id))
    else:
        answer = _get(agent, f"/v1/acl/role/name/{name}", name, f'name "{name}"')
    show(answer, format, partial(layout.role, meta=meta))


def _read(agent: Client, identity: str) -> Answer:
    return _get(agent, f"/v1/acl/role/{identity}", identity, f'ID "{identity}"')


def _get(agent: Client, path: str, label: str, by: str) -> Answer:
    try:
        with saying(f'Error reading role "{label}"'):
            return agent.get(path)
    except Failure as failure:
        if isinstance(refused := failure.__cause__, Refused) and refused.status == 404:
            raise Failure(f"Role not found with {by}") from refused
        raise


@group.command("list", http=Http.SERVER, summary="List all roles")
@print_flags
def list_(agent: Client, args: tuple[str, ...], meta: bool, format: str) -> None:  # noqa: A002
    """Lists all roles.

    $ lictor acl role list
    """
    with saying("Failed to retrieve the role list"):
        answer = agent.get("/v1/acl/roles")
    show(answer, format, partial(layout.roles, meta=meta))


@group.command("update", http=Http.SERVER, summary="Change a role")
@flag("-id", TEXT, "The ID, or the start of it.", default="")
@flag("-name", TEXT, "The new name.", default="")
@flag("-description", TEXT, "What it is for.", default="")
@flag("-no-merge", BOOL, "Forget what is not given, instead of leaving it as it is.")
@grant_flags
@print_flags
def update(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Changes a role. What is given is added to what it has, unless -no-merge is.

    $ lictor acl role update -id=7a2f -policy-name=kv-write
    """
    if not given["id"]:
        raise Failure("Cannot update a role without specifying the -id parameter")
    identity = ROLE.chosen(agent, given["id"])
    new = _granted(agent, given)
    now = _read(agent, identity).decode(Object)
    words = {"Name": given["name"], "Description": given["description"]}
    if given["no_merge"]:
        wanted: Object = {"ID": identity, **words, **new}
    else:
        wanted = with_grants(now, new, merging=set(new))
        wanted |= {key: value for key, value in words.items() if value}
    with saying(f'Error updating role "{identity}"'):
        answer = agent.put(f"/v1/acl/role/{identity}", body=wanted)
    show(answer, format, partial(layout.role, meta=meta))


@group.command("delete", http=Http.SERVER, summary="Remove a role")
@flag("-id", TEXT, "The ID, or the start of it.", default="")
@flag("-name", TEXT, "The name.", default="")
def delete(agent: Client, args: tuple[str, ...], id: str, name: str) -> None:  # noqa: A002
    """Removes a role; tokens that have it lose it.

    $ lictor acl role delete -name=deployer
    """
    if not id and not name:
        raise Failure("Must specify the -id or -name parameters")
    identity = ROLE.chosen(agent, id, name)
    with saying(f'Error deleting role "{identity}"'):
        agent.delete(f"/v1/acl/role/{identity}")
    click.echo(f'Role "{identity}" deleted successfully')
