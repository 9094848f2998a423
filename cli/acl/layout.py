"""How tokens, policies, roles, auth methods and binding rules are printed.

Layouts, labels and their widths are those of Consul's own tool, which scripts cut fields from.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import click

from lictor.cli.client import Answer
from lictor.cli.formats import to_json, wants_json

Object: TypeAlias = dict[str, Any]
Layout: TypeAlias = Callable[..., str]

WIDE: Final = 18
"""Where values start in a token."""
NARROW: Final = 14
"""Where values start in a policy, a role or a binding rule."""
METHOD: Final = 15
STEP: Final = "   "


def show(answer: Answer, format: str, layout: Callable[[Any], str]) -> None:  # noqa: A002
    """Print an answer as ``format`` asks: laid out, or as the JSON it is."""
    value = answer.value()
    click.echo(to_json(value) if wants_json(format) else layout(value))


def show_policies(answer: Answer, format: str, layout: Callable[[Any], str]) -> None:  # noqa: A002
    """Print one or many policies; in JSON one that is valid everywhere says so by a null."""
    value = answer.value()
    if not wants_json(format):
        click.echo(layout(value))
    else:
        many = isinstance(value, list)
        click.echo(to_json([_everywhere(one) for one in value] if many else _everywhere(value)))


def _everywhere(one: Object) -> Object:
    if "Datacenters" in one:
        return one
    behind = {key: one[key] for key in ("Hash", "CreateIndex", "ModifyIndex") if key in one}
    before = {key: value for key, value in one.items() if key not in behind}
    return before | {"Datacenters": None} | behind


def show_token(answer: Answer, format: str, layout: Callable[[Any], str]) -> None:  # noqa: A002
    """Print a token as :func:`show` does; its JSON begins with the indexes, as Consul's does."""
    value = answer.value()
    click.echo(to_json(_indexes_first(value)) if wants_json(format) else layout(value))


def show_tokens(answer: Answer, format: str, layout: Callable[[Any], str]) -> None:  # noqa: A002
    """Print many tokens. Consul's tool says of each in JSON that it is not of the old kind."""
    value = answer.value()
    listed = [{**_indexes_first(one), "Legacy": one.get("Legacy", False)} for one in value]
    click.echo(to_json(listed) if wants_json(format) else layout(value))


def _indexes_first(one: Object) -> Object:
    indexes = {key: one[key] for key in ("CreateIndex", "ModifyIndex") if key in one}
    return indexes | {key: value for key, value in one.items() if key not in indexes}


def _line(label: str, value: object, width: int, margin: str = "") -> str:
    return f"{margin}{label + ':':<{width}}{value}\n"


def _instant(text: str) -> str:
    """An RFC 3339 instant in UTC as Go prints it: ``2026-11-23 05:16:03.46 +0000 UTC``."""
    return text.replace("T", " ").removesuffix("Z") + " +0000 UTC"


def _meta(one: Object, width: int, margin: str = "") -> str:
    text = ""
    if one.get("Hash"):
        text += _line("Hash", b64decode(one["Hash"]).hex(), width, margin)
    text += _line("Create Index", one.get("CreateIndex", 0), width, margin)
    return text + _line("Modify Index", one.get("ModifyIndex", 0), width, margin)


def _grants(one: Object, margin: str = "") -> str:
    """Policies, roles and identities, each in a list of its own."""
    text = ""
    for title, key in (("Policies", "Policies"), ("Roles", "Roles")):
        text += _list(
            title, (f"{link['ID']} - {link['Name']}" for link in one.get(key) or ()), margin
        )
    services = (
        f"{link['ServiceName']} (Datacenters: {', '.join(link.get('Datacenters') or ['all'])})"
        for link in one.get("ServiceIdentities") or ()
    )
    text += _list("Service Identities", services, margin)
    nodes = (
        f"{link['NodeName']} (Datacenter: {link['Datacenter']})"
        for link in one.get("NodeIdentities") or ()
    )
    return text + _list("Node Identities", nodes, margin)


def _list(title: str, entries: Iterable[str], margin: str) -> str:
    lines = [f"{margin}{STEP}{entry}\n" for entry in entries]
    return f"{margin}{title}:\n{''.join(lines)}" if lines else ""


def token(one: Object, *, meta: bool = False) -> str:
    """One token, secret included."""
    text = _line("AccessorID", one["AccessorID"], WIDE) + _line("SecretID", one["SecretID"], WIDE)
    return text + _token_facts(one) + (_meta(one, WIDE) if meta else "") + _grants(one)


def _token_facts(one: Object) -> str:
    text = _line("Description", one.get("Description", ""), WIDE)
    text += _line("Local", "true" if one.get("Local") else "false", WIDE)
    if one.get("AuthMethod"):
        text += _line("Auth Method", one["AuthMethod"], WIDE)
    text += _line("Create Time", _instant(one["CreateTime"]), WIDE)
    if one.get("ExpirationTime"):
        text += _line("Expiration Time", _instant(one["ExpirationTime"]), WIDE)
    return text


def tokens(many: list[Object], *, meta: bool = False) -> str:
    """All tokens, without their secrets."""
    blocks = []
    for one in many:
        text = _line("AccessorID", one["AccessorID"], WIDE) + _token_facts(one)
        text += _line("Legacy", "true" if one.get("Legacy") else "false", WIDE)
        blocks.append(text + (_meta(one, WIDE) if meta else "") + _grants(one))
    return "\n".join(blocks)


def policy(one: Object, *, meta: bool = False) -> str:
    """One policy with its rules."""
    text = _line("ID", one["ID"], NARROW) + _line("Name", one["Name"], NARROW)
    text += _policy_facts(one) + (_meta(one, NARROW) if meta else "")
    return f"{text}Rules:\n{one.get('Rules', '')}"


def _policy_facts(one: Object, margin: str = "") -> str:
    datacenters = ", ".join(one.get("Datacenters") or ())
    text = _line("Description", one.get("Description", ""), NARROW, margin)
    return text + _line("Datacenters", datacenters, NARROW, margin)


def policies(many: list[Object], *, meta: bool = False) -> str:
    """All policies, without their rules."""
    return "".join(
        f"{one['Name']}:\n{_line('ID', one['ID'], NARROW, STEP)}{_policy_facts(one, STEP)}"
        + (_meta(one, NARROW, STEP) if meta else "")
        for one in many
    )


def role(one: Object, *, meta: bool = False) -> str:
    """One role."""
    text = _line("ID", one["ID"], NARROW) + _line("Name", one["Name"], NARROW)
    text += _line("Description", one.get("Description", ""), NARROW)
    return text + (_meta(one, NARROW) if meta else "") + _grants(one)


def roles(many: list[Object], *, meta: bool = False) -> str:
    """All roles."""
    return "".join(
        f"{one['Name']}:\n{_line('ID', one['ID'], NARROW, STEP)}"
        + _line("Description", one.get("Description", ""), NARROW, STEP)
        + (_meta(one, NARROW, STEP) if meta else "")
        + _grants(one, STEP)
        for one in many
    )


def method(one: Object, *, meta: bool = False) -> str:
    """One auth method with its configuration."""
    text = _line("Name", one["Name"], METHOD) + _line("Type", one["Type"], METHOD)
    if one.get("DisplayName"):
        text += _line("DisplayName", one["DisplayName"], METHOD)
    text += _line("Description", one.get("Description", ""), METHOD)
    for key in ("MaxTokenTTL", "TokenLocality"):
        if one.get(key):
            text += _line(key, one[key], METHOD)
    text += _meta({**one, "Hash": ""}, METHOD) if meta else ""
    config = json.dumps(one.get("Config"), indent=2, ensure_ascii=False, sort_keys=True)
    return f"{text}Config:\n{config}"


def methods(many: list[Object], *, meta: bool = False) -> str:
    """All auth methods, without their configuration."""
    text = ""
    for one in many:
        text += f"{one['Name']}:\n" + _line("Type", one["Type"], NARROW, STEP)
        if one.get("DisplayName"):
            text += _line("DisplayName", one["DisplayName"], NARROW, STEP)
        text += _line("Description", one.get("Description", ""), NARROW, STEP)
        text += _meta({**one, "Hash": ""}, NARROW, STEP) if meta else ""
    return text


def _rule_facts(one: Object, margin: str = "") -> str:
    keys = ("AuthMethod", "Description", "BindType", "BindName", "Selector")
    return "".join(_line(key, one.get(key, ""), NARROW, margin) for key in keys)


def binding_rule(one: Object, *, meta: bool = False) -> str:
    """One binding rule."""
    text = _line("ID", one["ID"], NARROW) + _rule_facts(one)
    return text + (_meta({**one, "Hash": ""}, NARROW) if meta else "")


def binding_rules(many: list[Object], *, meta: bool = False) -> str:
    """All binding rules."""
    return "".join(
        f"{one['ID']}:\n{_rule_facts(one, STEP)}"
        + (_meta({**one, "Hash": ""}, NARROW, STEP) if meta else "")
        for one in many
    )
