"""``lictor maint``."""

from __future__ import annotations

from typing import Final

import click
import msgspec

from .client import Client
from .command import command
from .errors import Failure, saying
from .flags import BOOL, TEXT, flag
from .formats import format_flag, to_json, wants_json
from .settings import Http

NODE_CHECK: Final = "_node_maintenance"
SERVICE_CHECK: Final = "_service_maintenance:"
"""Followed by the service's ID. Source: Consul, ``NodeMaint`` and ``ServiceMaintPrefix``."""


class Check(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of a check that says whether it means maintenance."""

    check_id: str = msgspec.field(name="CheckID")
    notes: str = ""


class Config(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of an agent's configuration that we print."""

    node_name: str


class Self(msgspec.Struct, frozen=True, rename="pascal"):
    """``/v1/agent/self``."""

    config: Config


@command("maint", http=Http.CLIENT)
@flag("-enable", BOOL, "Begin maintenance.")
@flag("-disable", BOOL, "End maintenance.")
@flag("-reason", TEXT, "Say why; for operators to read.", default="")
@flag("-service", TEXT, "Only the instance with this ID, not the whole node.", default="")
@format_flag
def maint(
    agent: Client,
    args: tuple[str, ...],
    enable: bool,
    disable: bool,
    reason: str,
    service: str,
    format: str,  # noqa: A002
) -> None:
    """Takes the node, or one instance on it, out of service, and brings it back.

    What is in maintenance is not found by DNS, nor by those who ask for healthy
    instances.

    $ lictor maint -enable -reason="new disks"
    $ lictor maint -disable
    $ lictor maint -enable -service=web-1

    Without flags, lists what is in maintenance.
    """
    as_json = wants_json(format)
    if enable and disable:
        raise Failure("Only one of -enable or -disable may be provided")
    if reason and not enable:
        raise Failure("Reason may only be provided with -enable")
    if service and not (enable or disable):
        raise Failure("Service requires either -enable or -disable")
    if not (enable or disable):
        _list(agent, as_json=as_json)
        return
    query = {"enable": "true" if enable else "false", "reason": reason if enable else None}
    verb = "enabling" if enable else "disabling"
    path, kind, behind = "/v1/agent/maintenance", "node", ""
    if service:
        path = f"/v1/agent/service/maintenance/{service}"
        kind, behind = "service", f' for "{service}"'
    with saying(f"Error {verb} {kind} maintenance"):
        agent.put(path, query)
    click.echo(f"{kind.capitalize()} maintenance is now {'en' if enable else 'dis'}abled{behind}")


def _list(agent: Client, *, as_json: bool) -> None:
    with saying("Error querying Consul agent"):
        name = agent.get("/v1/agent/self").decode(Self).config.node_name
    with saying("Error querying agent checks"):
        checks = agent.get("/v1/agent/checks").decode(dict[str, Check])
    found: list[dict[str, str]] = []
    for _, check in sorted(checks.items()):
        if check.check_id == NODE_CHECK:
            found.append({"Node": name, "Reason": check.notes})
        elif check.check_id.startswith(SERVICE_CHECK):
            service = check.check_id.removeprefix(SERVICE_CHECK)
            found.append({"Service": service, "Reason": check.notes})
    if as_json:
        click.echo(to_json(found))
        return
    for one in found:
        head = (
            f"Node:\n  Name:   {name}" if "Node" in one else f"Service:\n  ID:     {one['Service']}"
        )
        click.echo(f"{head}\n  Reason: {one['Reason']}\n")
