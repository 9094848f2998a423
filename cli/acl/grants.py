"""The flags that say what a token or a role grants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lictor.cli.client import Client
from lictor.cli.flags import BOOL, TEXT, VALUE, flag

from .finding import merged, node_identities, policy_links, role_links, service_identities
from .layout import Object

F = TypeVar("F", bound=Callable[..., Any])

KEYS = {
    "Policies": ("ID", "Name"),
    "Roles": ("ID", "Name"),
    "ServiceIdentities": ("ServiceName",),
    "NodeIdentities": ("NodeName", "Datacenter"),
}
"""What makes two grants of a kind the same."""


def grant_flags(function: F) -> F:
    """Give a command the flags that both tokens and roles have."""
    for name, text in (
        (
            "-node-identity",
            "A node and its datacenter, node:dc: what its agent needs. May be repeated.",
        ),
        (
            "-service-identity",
            "A service, or service:dc1,dc2: what its sidecar needs. May be repeated.",
        ),
        ("-policy-name", "A policy, by name. May be repeated."),
        ("-policy-id", "A policy, by its ID or the start of it. May be repeated."),
    ):
        function = flag(name, VALUE, text, multiple=True)(function)
    return function


def role_flags(function: F) -> F:
    """Give a command the flags for roles, which only tokens have."""
    function = flag("-role-name", VALUE, "A role, by name. May be repeated.", multiple=True)(
        function
    )
    text = "A role, by its ID or the start of it. May be repeated."
    return flag("-role-id", VALUE, text, multiple=True)(function)


def print_flags(function: F) -> F:
    """Give a command ``-meta`` and ``-format``."""
    function = flag("-format", TEXT, "How to print: pretty or json.", default="pretty")(function)
    return flag("-meta", BOOL, "Show hash and indexes too.")(function)


def granted(agent: Client, given: dict[str, Any]) -> Object:
    """What the flags grant, by the API's names. Kinds that were not given are empty.

    Raises:
        Failure: an ID matches nothing, or an identity has another form.
    """
    return {
        "Policies": policy_links(agent, given["policy_id"], given["policy_name"]),
        "Roles": role_links(agent, given.get("role_id", ()), given.get("role_name", ())),
        "ServiceIdentities": service_identities(given["service_identity"]),
        "NodeIdentities": node_identities(given["node_identity"]),
    }


def with_grants(now: Object, new: Object, *, merging: set[str]) -> Object:
    """``now`` with the grants of ``new``, added to it for kinds in ``merging``, else replacing."""
    changed = dict(now)
    for kind, grants in new.items():
        changed[kind] = merged(now.get(kind), grants, KEYS[kind]) if kind in merging else grants
    return changed
