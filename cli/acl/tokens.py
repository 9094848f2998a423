"""``lictor acl token``."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import click

from lictor.cli.client import Client
from lictor.cli.command import Group
from lictor.cli.errors import Failure, saying
from lictor.cli.flags import BOOL, DURATION, TEXT, flag
from lictor.cli.settings import Http
from lictor.registry import durations

from . import layout
from .finding import find_token
from .grants import grant_flags, granted, print_flags, role_flags, with_grants
from .group import acl
from .layout import Object, show_token, show_tokens

group: Final = Group(
    "token",
    parent=acl,
    summary="Make, change and remove tokens",
    help="""
    A token is a secret that a person or a program sends with each request, and what
    it grants.

    $ lictor acl token create -description="CI" -policy-name=deploy
    $ lictor acl token list
    $ lictor acl token delete -id=986193
    """,
)

MERGED: Final = {
    "Policies": ("merge_policies", "append_policy_id", "append_policy_name"),
    "Roles": ("merge_roles", "append_role_id", "append_role_name"),
    "ServiceIdentities": ("merge_service_identities", "append_service_identity"),
    "NodeIdentities": ("merge_node_identities", "append_node_identity"),
}
"""The flags that make an update add to what a token has."""


@group.command("create", http=Http.SERVER, summary="Make a token")
@flag("-accessor", TEXT, "The accessor ID; by default a new one.", default="")
@flag("-secret", TEXT, "The secret; by default a new one.", default="")
@flag("-description", TEXT, "Who it is for.", default="")
@flag("-expires-ttl", DURATION, "Let it expire after this time, between 1m and 24h.")
@flag("-local", BOOL, "Valid in this datacenter only.")
@role_flags
@grant_flags
@print_flags
def create(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Makes a token. It must grant something: a policy, a role or an identity.

    $ lictor acl token create -description="web's sidecars" -service-identity=web
    $ lictor acl token create -policy-name=deploy -expires-ttl=1h
    """
    kinds = (
        "policy_name",
        "policy_id",
        "role_name",
        "role_id",
        "service_identity",
        "node_identity",
    )
    if not any(given[kind] for kind in kinds):
        raise Failure(
            "Cannot create a token without specifying -policy-name, -policy-id, -role-name,"
            " -role-id, -service-identity, or -node-identity at least once"
        )
    wanted: Object = {
        "AccessorID": given["accessor"],
        "SecretID": given["secret"],
        "Description": given["description"],
        "Local": given["local"],
        **granted(agent, given),
    }
    if given["expires_ttl"]:
        wanted["ExpirationTTL"] = durations.format(given["expires_ttl"])
    with saying("Failed to create new token"):
        answer = agent.put("/v1/acl/token", body={k: v for k, v in wanted.items() if v})
    show_token(answer, format, partial(layout.token, meta=meta))


@group.command("read", http=Http.SERVER, summary="Show a token")
@flag("-id", TEXT, "The accessor ID, or the start of it; anonymous for those without.", default="")
@flag("-self", BOOL, "The token that this request itself is made with.")
@flag("-expanded", BOOL, "Ask for the rules that it adds up to as well.")
@print_flags
def read(
    agent: Client,
    args: tuple[str, ...],
    id: str,  # noqa: A002
    self: bool,
    expanded: bool,
    meta: bool,
    format: str,  # noqa: A002
) -> None:
    """Prints a token, secret included.

    $ lictor acl token read -id=986193
    $ lictor acl token read -self
    """
    query = {"expanded": "true" if expanded else None}
    if self:
        with saying("Error reading token"):
            answer = agent.get("/v1/acl/token/self", query)
    else:
        if not id:
            raise Failure("Must specify the -id parameter")
        accessor = find_token(agent, id)
        with saying(f'Error reading token "{accessor}"'):
            answer = agent.get(f"/v1/acl/token/{accessor}", query)
    show_token(answer, format, partial(layout.token, meta=meta))


@group.command("list", http=Http.SERVER, summary="List all tokens")
@print_flags
def list_(agent: Client, args: tuple[str, ...], meta: bool, format: str) -> None:  # noqa: A002
    """Lists all tokens, without their secrets.

    $ lictor acl token list
    """
    with saying("Failed to retrieve the token list"):
        answer = agent.get("/v1/acl/tokens")
    show_tokens(answer, format, partial(layout.tokens, meta=meta))


@group.command("update", http=Http.SERVER, summary="Change a token")
@flag("-id", TEXT, "The accessor ID, or the start of it.", default="")
@flag("-accessor-id", TEXT, "The same.", default="")
@flag("-description", TEXT, "Who it is for.", default="")
@flag("-merge-policies", BOOL, "Add policies to those it has, instead of replacing them.")
@flag("-merge-roles", BOOL, "Add roles to those it has.")
@flag("-merge-service-identities", BOOL, "Add service identities to those it has.")
@flag("-merge-node-identities", BOOL, "Add node identities to those it has.")
@flag("-append-policy-id", TEXT, "Add this policy. May be repeated.", multiple=True)
@flag("-append-policy-name", TEXT, "Add this policy. May be repeated.", multiple=True)
@flag("-append-role-id", TEXT, "Add this role. May be repeated.", multiple=True)
@flag("-append-role-name", TEXT, "Add this role. May be repeated.", multiple=True)
@flag("-append-service-identity", TEXT, "Add this identity. May be repeated.", multiple=True)
@flag("-append-node-identity", TEXT, "Add this identity. May be repeated.", multiple=True)
@role_flags
@grant_flags
@print_flags
def update(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Changes a token. What it grants is replaced, unless it is merged or appended.

    $ lictor acl token update -id=986193 -append-policy-name=deploy
    """
    identity = given["id"] or given["accessor_id"]
    if not identity:
        raise Failure("Cannot update a token without specifying the -id parameter")
    accessor = find_token(agent, identity)
    with saying("Error when retrieving current token"):
        now = agent.get(f"/v1/acl/token/{accessor}").decode(Object)
    joined = {
        name: (*given[name], *given[f"append_{name}"])
        for name in ("policy_id", "policy_name", "role_id", "role_name")
    } | {
        name: (*given[name], *given[f"append_{name}"])
        for name in ("service_identity", "node_identity")
    }
    merging = {kind for kind, flags in MERGED.items() if any(given[one] for one in flags)}
    wanted = with_grants(now, granted(agent, joined), merging=merging)
    if given["description"]:
        wanted["Description"] = given["description"]
    with saying(f"Failed to update token {accessor}"):
        answer = agent.put(f"/v1/acl/token/{accessor}", body=wanted)
    show_token(answer, format, partial(layout.token, meta=meta))


@group.command("clone", http=Http.SERVER, summary="Make a token that grants what another does")
@flag("-id", TEXT, "The accessor ID of the other, or the start of it.", default="")
@flag("-description", TEXT, "Who the new one is for; by default the other's.", default="")
@print_flags
def clone(
    agent: Client,
    args: tuple[str, ...],
    id: str,  # noqa: A002
    description: str,
    meta: bool,
    format: str,  # noqa: A002
) -> None:
    """Makes a new token that grants what another one does.

    $ lictor acl token clone -id=986193 -description="second CI"
    """
    if not id:
        raise Failure("Cannot update a token without specifying the -id parameter")
    accessor = find_token(agent, id)
    with saying("Error cloning token"):
        body = {"Description": description} if description else {}
        answer = agent.put(f"/v1/acl/token/{accessor}/clone", body=body)
    show_token(answer, format, partial(layout.token, meta=meta))


@group.command("delete", http=Http.SERVER, summary="Remove a token")
@flag("-id", TEXT, "The accessor ID, or the start of it.", default="")
def delete(agent: Client, args: tuple[str, ...], id: str) -> None:  # noqa: A002
    """Removes a token; who still sends it is refused.

    $ lictor acl token delete -id=986193
    """
    if not id:
        raise Failure("Must specify the -id parameter")
    accessor = find_token(agent, id)
    with saying(f'Error deleting token "{accessor}"'):
        agent.delete(f"/v1/acl/token/{accessor}")
    click.echo(f'Token "{accessor}" deleted successfully')
