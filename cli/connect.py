"""``lictor connect``: the mesh's certificate authority, and what its gateways let in."""

from __future__ import annotations

from typing import Any, Final

import click

from .client import Client
from .command import Group
from .documents import parse_either
from .errors import Failure, Refused, saying
from .flags import BOOL, INT, TEXT, flag
from .formats import read_file, to_json
from .intentions import all_intentions, between, find, write
from .settings import Http

CONFIGURATION: Final = "/v1/connect/ca/configuration"
GATEWAY: Final = "ingress-gateway"
MAX_PORT: Final = 65535

connect = Group(
    "connect",
    help="""
    Looks after the service mesh: who signs its certificates, and what comes in from
    outside.

    $ lictor connect ca get-config
    $ lictor connect expose -service=web -ingress-gateway=front -port=8080
    """,
)

ca = Group(
    "ca",
    parent=connect,
    summary="Show and change the certificate authority",
    help="""
    Shows and changes who signs the certificates of the mesh, and for how long.

    $ lictor connect ca get-config
    $ lictor connect ca set-config -config-file=ca.json
    """,
)


@ca.command("get-config", http=Http.SERVER, summary="Print the configuration")
def get_config(agent: Client, args: tuple[str, ...]) -> None:
    """Prints the certificate authority's configuration, as JSON.

    $ lictor connect ca get-config > ca.json
    """
    with saying("Error querying CA configuration"):
        config = agent.get(CONFIGURATION).decode(dict[str, Any])
    shown = {"Provider": config.get("Provider"), "Config": config.get("Config")}
    shown |= {"State": None} | config
    if not shown.get("ForceWithoutCrossSigning"):
        shown.pop("ForceWithoutCrossSigning", None)
    click.echo(to_json(shown, indent="\t"))


@ca.command("set-config", http=Http.SERVER, summary="Change the configuration")
@flag("-config-file", TEXT, "A file with the new configuration, in JSON or HCL.", default="")
@flag(
    "-force-without-cross-signing", BOOL, "Change the root even if the old one cannot vouch for it."
)
def set_config(
    agent: Client,
    args: tuple[str, ...],
    config_file: str,
    force_without_cross_signing: bool,
) -> None:
    """Changes the certificate authority.

    A new root is brought in step by step, so that sidecars trust each other all the
    time.

    $ lictor connect ca set-config -config-file=ca.json
    """
    if not config_file:
        raise Failure("The -config-file flag is required")
    text = read_file(config_file, failing="Error reading config file")
    try:
        config = parse_either(text.decode())
    except ValueError as error:
        raise Failure(f"Error parsing config file: {error}") from error
    if not isinstance(config, dict):
        raise Failure("Error parsing config file: it is no object")
    if force_without_cross_signing:
        config["ForceWithoutCrossSigning"] = True
    with saying("Error setting CA configuration"):
        agent.put(CONFIGURATION, body=config)
    click.echo("Configuration updated!")


@connect.command("expose", http=Http.SERVER, summary="Let a service be reached from outside")
@flag("-ingress-gateway", TEXT, "The gateway to come in by.", default="")
@flag("-service", TEXT, "The service to reach.", default="")
@flag("-port", INT, "The gateway's port.", default=0)
@flag("-protocol", TEXT, "What is spoken there: tcp, http, http2 or grpc.", default="tcp")
@flag("-host", TEXT, "Only for requests to this host. May be repeated.", multiple=True)
def expose(
    agent: Client,
    args: tuple[str, ...],
    ingress_gateway: str,
    service: str,
    port: int,
    protocol: str,
    host: tuple[str, ...],
) -> None:
    """Lets a service of the mesh be reached from outside, through an ingress gateway.

    It adds a listener to the gateway's configuration entry, and an intention that
    allows the connection.

    $ lictor connect expose -service=web -ingress-gateway=front -port=8080
    """
    if not service:
        raise Failure("A service name must be given via the -service flag.")
    if not ingress_gateway:
        raise Failure("An ingress gateway service must be given via the -ingress-gateway flag.")
    if not 0 < port <= MAX_PORT:
        raise Failure("A port must be provided via the -port flag.")
    entry, index = _gateway(agent, ingress_gateway)
    exposed = {"Name": service, "Hosts": list(host) or None}
    _add(entry.setdefault("Listeners", []), exposed, port=port, protocol=protocol)
    with saying("Error writing ingress config entry"):
        done = agent.put("/v1/config", {"cas": str(index)}, body=entry).decode(bool)
    if not done:
        raise Failure(
            "Ingress config entry was changed while attempting to update, please try again."
        )
    click.echo(f'Successfully updated config entry for ingress service "{ingress_gateway}"')
    _allow(agent, ingress_gateway, service)


def _gateway(agent: Client, name: str) -> tuple[dict[str, Any], int]:
    """The gateway's entry, a new one if there is none, and the index it must still be at."""
    try:
        with saying("Error fetching existing ingress gateway configuration"):
            entry = agent.get(f"/v1/config/{GATEWAY}/{name}").decode(dict[str, Any])
    except Failure as failure:
        if isinstance(refused := failure.__cause__, Refused) and refused.status == 404:
            return {"Kind": GATEWAY, "Name": name}, 0
        raise
    return entry, entry["ModifyIndex"]


def _add(
    listeners: list[dict[str, Any]], exposed: dict[str, Any], *, port: int, protocol: str
) -> None:
    """Put ``exposed`` on the listener at ``port``, in the place of one of the same name."""
    for listener in listeners:
        if listener["Port"] != port:
            continue
        if listener["Protocol"].lower() != protocol.lower():
            said = f"Listener on port {port} already configured with conflicting protocol"
            raise Failure(f'{said} "{listener["Protocol"]}"')
        services = listener.setdefault("Services", [])
        for place, one in enumerate(services):
            if one["Name"] == exposed["Name"]:
                said = f'Updating service definition for "{exposed["Name"]}"'
                click.echo(f"{said} on listener with port {port}")
                services[place] = exposed
                return
        services.append(exposed)
        return
    listeners.append({"Port": port, "Protocol": protocol, "Services": [exposed]})


def _allow(agent: Client, source: str, destination: str) -> None:
    wanted = between(source, destination, action="allow", meta={}, description="")
    with saying("Error creating intention"):
        existing = find(all_intentions(agent), wanted)
        if existing is not None and existing.decision == "allow":
            click.echo(f'Intention already exists for "{source}" -> "{destination}"')
            return
        write(agent, wanted, existing)
    click.echo(f'Successfully set up intention for "{source}" -> "{destination}"')
