"""``lictor acl auth-method``."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import click

from lictor.cli.client import Answer, Client
from lictor.cli.command import Group
from lictor.cli.documents import parse_json
from lictor.cli.errors import Failure, Misuse, Refused, saying
from lictor.cli.flags import BOOL, DURATION, TEXT, flag
from lictor.cli.formats import read_data
from lictor.cli.settings import Http
from lictor.registry import durations

from . import layout
from .grants import print_flags
from .group import acl
from .layout import Object, show

group: Final = Group(
    "auth-method",
    parent=acl,
    summary="Make, change and remove ways to log in",
    help="""
    An auth method trusts somebody else's identities, such as signed JWTs, and lets
    those who have one exchange it for a token by "lictor login".

    $ lictor acl auth-method create -type=jwt -name=ci -config=@jwt.json
    $ lictor acl auth-method list
    """,
)

KUBERNETES: Final = {
    "kubernetes_host": "Host",
    "kubernetes_ca_cert": "CACert",
    "kubernetes_service_account_jwt": "ServiceAccountJWT",
}
"""The flags of a Kubernetes method, and their names in its configuration."""


def _config_flags(function: Any) -> Any:
    for name, text in (
        (
            "-kubernetes-service-account-jwt",
            "The JWT that lets the servers ask Kubernetes; @path for a file.",
        ),
        ("-kubernetes-ca-cert", "The CA of the Kubernetes API; @path for a file."),
        ("-kubernetes-host", "Where the Kubernetes API is."),
        ("-config", "The configuration as JSON: its text, @path for a file, or - for stdin."),
        ("-token-locality", "local or global: where the tokens it makes are valid."),
        ("-display-name", "How to show it in the UI."),
        ("-description", "What it is for."),
    ):
        function = flag(name, TEXT, text, default="")(function)
    return flag("-max-token-ttl", DURATION, "How long the tokens it makes are valid.")(function)


def _config(given: dict[str, Any]) -> Object:
    """The configuration that the flags describe.

    Raises:
        Failure: it is no JSON, or a file cannot be read.
    """
    if given["config"]:
        text = read_data(
            given["config"], failing="Error loading configuration file: Failed to read file"
        )
        try:
            config = parse_json(text.decode())
        except ValueError as error:
            raise Failure(f"Error parsing JSON configuration file: {error}") from error
        if not isinstance(config, dict):
            raise Failure("Error parsing JSON configuration file: it is no object")
        return config
    return {
        key: read_data(given[name], failing="Failed to read file").decode()
        for name, key in KUBERNETES.items()
        if given[name]
    }


def _words(given: dict[str, Any]) -> Object:
    ttl = given["max_token_ttl"]
    words = {
        "Description": given["description"],
        "DisplayName": given["display_name"],
        "TokenLocality": given["token_locality"],
        "MaxTokenTTL": durations.format(ttl) if ttl else "",
    }
    return {key: value for key, value in words.items() if value}


@group.command(
    "create",
    usage="-name NAME -type TYPE [options]",
    http=Http.SERVER,
    summary="Make an auth method",
)
@flag("-name", TEXT, "The name.", default="")
@flag("-type", TEXT, "jwt or kubernetes.", default="")
@_config_flags
@print_flags
def create(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Makes an auth method.

    $ lictor acl auth-method create -type=jwt -name=ci -config=@jwt.json -max-token-ttl=1h
    """
    for name in ("type", "name"):
        if not given[name]:
            raise Misuse(f"Missing required '-{name}' flag", blank_line=False)
    if given["type"] == "kubernetes" and not given["config"]:
        for name in KUBERNETES:
            if not given[name]:
                raise Failure(f"Missing required '-{name.replace('_', '-')}' flag")
    wanted = {
        "Name": given["name"],
        "Type": given["type"],
        **_words(given),
        "Config": _config(given),
    }
    with saying("Failed to create new auth method"):
        answer = agent.put("/v1/acl/auth-method", body=wanted)
    show(answer, format, partial(layout.method, meta=meta))


@group.command("read", http=Http.SERVER, summary="Show an auth method")
@flag("-name", TEXT, "The name.", default="")
@print_flags
def read(agent: Client, args: tuple[str, ...], name: str, meta: bool, format: str) -> None:  # noqa: A002
    """Prints an auth method with its configuration.

    $ lictor acl auth-method read -name=ci
    """
    if not name:
        raise Failure("Must specify the -name parameter")
    show(_read(agent, name), format, partial(layout.method, meta=meta))


def _read(agent: Client, name: str) -> Answer:
    try:
        with saying(f'Error reading auth method "{name}"'):
            return agent.get(f"/v1/acl/auth-method/{name}")
    except Failure as failure:
        if isinstance(refused := failure.__cause__, Refused) and refused.status == 404:
            raise Failure(f'Auth method not found with name "{name}"') from refused
        raise


@group.command("list", http=Http.SERVER, summary="List all auth methods")
@print_flags
def list_(agent: Client, args: tuple[str, ...], meta: bool, format: str) -> None:  # noqa: A002
    """Lists all auth methods, without their configuration.

    $ lictor acl auth-method list
    """
    with saying("Failed to retrieve the auth method list"):
        answer = agent.get("/v1/acl/auth-methods")
    show(answer, format, partial(layout.methods, meta=meta))


@group.command(
    "update", usage="-name NAME [options]", http=Http.SERVER, summary="Change an auth method"
)
@flag("-name", TEXT, "The name.", default="")
@flag("-no-merge", BOOL, "Forget what is not given, instead of leaving it as it is.")
@_config_flags
@print_flags
def update(agent: Client, args: tuple[str, ...], meta: bool, format: str, **given: Any) -> None:  # noqa: A002
    """Changes an auth method. What is not given stays, unless -no-merge is.

    $ lictor acl auth-method update -name=ci -max-token-ttl=30m
    """
    name = given["name"]
    if not name:
        raise Failure("Cannot update an auth method without specifying the -name parameter")
    now = _read(agent, name).decode(Object)
    config = _config(given)
    if given["no_merge"]:
        wanted = {"Name": name, "Type": now["Type"], **_words(given), "Config": config}
    else:
        # a whole configuration takes the old one's place; single flags change it
        before = {} if given["config"] else now.get("Config") or {}
        wanted = now | _words(given) | {"Config": before | config}
    with saying(f'Error updating auth method "{name}"'):
        answer = agent.put(f"/v1/acl/auth-method/{name}", body=wanted)
    show(answer, format, partial(layout.method, meta=meta))


@group.command("delete", http=Http.SERVER, summary="Remove an auth method")
@flag("-name", TEXT, "The name.", default="")
def delete(agent: Client, args: tuple[str, ...], name: str) -> None:
    """Removes an auth method, its binding rules, and every token it made.

    $ lictor acl auth-method delete -name=ci
    """
    if not name:
        raise Failure("Must specify the -name parameter")
    with saying(f'Error deleting auth method "{name}"'):
        agent.delete(f"/v1/acl/auth-method/{name}")
    click.echo(f'Auth method "{name}" deleted successfully')
