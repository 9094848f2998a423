"""``lictor acl binding-rule``."""

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
from .finding import BINDING_RULE
from .grants import print_flags
from .group import acl
from .layout import Object, show

group: Final = Group(
    "binding-rule",
    parent=acl,
    summary="Say what those who log in may do",
    help="""
    A binding rule says which role or identity somebody gets who logs in by an auth
    method and matches a selector.

    $ lictor acl binding-rule create -method=ci -bind-type=role -bind-name=deployer
    """,
)


@group.command("create", http=Http.SERVER, summary="Make a binding rule")
@flag("-method", TEXT, "The auth method it belongs to.", default="")
@flag("-bind-type", TEXT, "What is given: service, node, role or policy.", default="service")
@flag("-bind-name", TEXT, "Its name; ${...} stands for a fact about who logs in.", default="")
@flag("-selector", TEXT, "Only for those for whom this expression is true.", default="")
@flag("-description", TEXT, "What it is for.", default="")
@print_flags
def create(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: str) -> None:  # noqa: A002
    """Makes a binding rule.

    $ lictor acl binding-rule create -method=k8s -bind-name='${serviceaccount.name}'
    """
    for name in ("method", "bind_type", "bind_name"):
        if not given[name]:
            raise Misuse(f"Missing required '-{name.replace('_', '-')}' flag", blank_line=False)
    wanted = {"AuthMethod": given["method"], **_words(given)}
    with saying("Failed to create new binding rule"):
        answer = agent.put("/v1/acl/binding-rule", body=wanted)
    show(answer, format, partial(layout.binding_rule, meta=meta))


def _words(given: dict[str, Any]) -> Object:
    return {
        "Description": given["description"],
        "BindType": given["bind_type"],
        "BindName": given["bind_name"],
        "Selector": given["selector"],
    }


@group.command("read", http=Http.SERVER, summary="Show a binding rule")
@flag("-id", TEXT, "The ID, or the start of it.", default="")
@print_flags
def read(agent: Client, args: tuple[str, ...], id: str, meta: bool, format: str) -> None:  # noqa: A002
    """Prints a binding rule.

    $ lictor acl binding-rule read -id=4f3b
    """
    if not id:
        raise Failure("Must specify the -id parameter.")
    answer = _read(agent, BINDING_RULE.chosen(agent, id))
    show(answer, format, partial(layout.binding_rule, meta=meta))


def _read(agent: Client, identity: str) -> Answer:
    try:
        with saying(f'Error reading binding rule "{identity}"'):
            return agent.get(f"/v1/acl/binding-rule/{identity}")
    except Failure as failure:
        if isinstance(refused := failure.__cause__, Refused) and refused.status == 404:
            raise Failure(f'Binding rule not found with ID "{identity}"') from refused
        raise


@group.command("list", http=Http.SERVER, summary="List all binding rules")
@flag("-method", TEXT, "Only those of this auth method.", default="")
@print_flags
def list_(agent: Client, args: tuple[str, ...], method: str, meta: bool, format: str) -> None:  # noqa: A002
    """Lists all binding rules.

    $ lictor acl binding-rule list -method=ci
    """
    with saying("Failed to retrieve the binding rule list"):
        answer = agent.get("/v1/acl/binding-rules", {"authmethod": method or None})
    show(answer, format, partial(layout.binding_rules, meta=meta))


@group.command("update", http=Http.SERVER, summary="Change a binding rule")
@flag("-id", TEXT, "The ID, or the start of it.", default="")
@flag("-bind-type", TEXT, "What is given: service, node, role or policy.", default="")
@flag("-bind-name", TEXT, "Its name; ${...} stands for a fact about who logs in.", default="")
@flag("-selector", TEXT, "Only for those for whom this expression is true.", default="")
@flag("-description", TEXT, "What it is for.", default="")
@flag("-no-merge", BOOL, "Forget what is not given, instead of leaving it as it is.")
@print_flags
def update(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Changes a binding rule. What is not given stays, unless -no-merge is.

    $ lictor acl binding-rule update -id=4f3b -bind-name=deployer
    """
    if not given["id"]:
        raise Failure("Cannot update a binding rule without specifying the -id parameter")
    identity = BINDING_RULE.chosen(agent, given["id"])
    now = _read(agent, identity).decode(Object)
    words = _words(given)
    if given["no_merge"]:
        wanted = {"ID": identity, "AuthMethod": now["AuthMethod"], **words}
    else:
        wanted = now | {key: value for key, value in words.items() if value}
    with saying(f'Error updating binding rule "{identity}"'):
        answer = agent.put(f"/v1/acl/binding-rule/{identity}", body=wanted)
    show(answer, format, partial(layout.binding_rule, meta=meta))


@group.command("delete", http=Http.SERVER, summary="Remove a binding rule")
@flag("-id", TEXT, "The ID, or the start of it.", default="")
def delete(agent: Client, args: tuple[str, ...], id: str) -> None:  # noqa: A002
    """Removes a binding rule. Tokens it gave something to keep that.

    $ lictor acl binding-rule delete -id=4f3b
    """
    if not id:
        raise Failure("Must specify the -id parameter")
    identity = BINDING_RULE.chosen(agent, id)
    with saying(f'Error deleting binding rule "{identity}"'):
        agent.delete(f"/v1/acl/binding-rule/{identity}")
    click.echo(f'Binding rule "{identity}" deleted successfully')
