"""``lictor operator``: Raft peers and autopilot."""

from __future__ import annotations

import click
import msgspec

from lictor.registry import durations

from .client import Client
from .columns import columns
from .command import Group
from .errors import Failure, saying
from .flags import LONG_DURATION, LONG_UINT, SWITCH, TEXT, VALUE, flag
from .formats import format_flag, to_json, wants_json
from .settings import Http

operator = Group(
    "operator",
    help="""
    Looks after the servers. With care: a wrong word here can cost the cluster its
    quorum.

    $ lictor operator raft list-peers
    $ lictor operator autopilot get-config
    """,
)

raft = Group(
    "raft",
    parent=operator,
    summary="List and remove Raft peers",
    help="""
    Shows and changes who votes in Raft.

    $ lictor operator raft list-peers
    $ lictor operator raft remove-peer -id=8f3e2c1a-7a0b-4c9d-9f2e-6b5d4c3b2a19
    """,
)

autopilot = Group(
    "autopilot",
    parent=operator,
    summary="Show and change how dead servers are replaced",
    help="""
    Shows and changes how the leader looks after the servers: when one is stable
    enough to vote, and whether dead ones are removed.

    $ lictor operator autopilot get-config
    $ lictor operator autopilot set-config -cleanup-dead-servers=false
    """,
)


class Peer(msgspec.Struct, frozen=True, rename="pascal"):
    """One server in Raft's configuration."""

    id: str = msgspec.field(name="ID")
    node: str
    address: str
    leader: bool
    voter: bool
    protocol_version: str = ""


class Configuration(msgspec.Struct, frozen=True, rename="pascal"):
    """Raft's configuration."""

    servers: list[Peer]


@raft.command("list-peers", http=Http.SERVER, summary="List the servers in Raft's configuration")
@format_flag
def list_peers(agent: Client, args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Lists the servers in Raft's configuration, and which of them leads.

    $ lictor operator raft list-peers

    With -stale, asks any server: useful when there is no leader.

    $ lictor operator raft list-peers -stale
    """
    as_json = wants_json(format)
    with saying("Error getting peers: Failed to retrieve raft configuration"):
        answer = agent.get("/v1/operator/raft/configuration")
        peers = answer.decode(Configuration).servers
    if as_json:
        click.echo(to_json(answer.value()))
        return
    rows = [
        [
            one.node,
            one.id,
            one.address,
            "leader" if one.leader else "follower",
            "true" if one.voter else "false",
            one.protocol_version or "<=1",
        ]
        for one in peers
    ]
    click.echo(columns([["Node", "ID", "Address", "State", "Voter", "RaftProtocol"], *rows]))


@raft.command("remove-peer", http=Http.SERVER, summary="Remove a server from Raft's configuration")
@flag("-address", TEXT, "The address of the server: host:port.", default="")
@flag("-id", TEXT, "The ID of the server.", default="")
def remove_peer(agent: Client, args: tuple[str, ...], address: str, id: str) -> None:  # noqa: A002
    """Removes a server from Raft's configuration.

    For one that is gone and was not removed by itself; a healthy server should be
    told to leave instead.

    $ lictor operator raft remove-peer -address=10.0.0.7:8300
    """
    if not address and not id:
        raise Failure("Error removing peer: an address or id is required for the peer to remove")
    if address and id:
        raise Failure("Error removing peer: cannot give both an address and id")
    query = {"address": address} if address else {"id": id}
    with saying("Error removing peer"):
        agent.delete("/v1/operator/raft/peer", query)
    ((kind, value),) = query.items()
    click.echo(f'Removed peer with {kind} "{value}"')


@raft.command("transfer-leader", http=Http.SERVER, summary="Make another server the leader")
@flag("-id", TEXT, "The server that is to lead; by default the most up to date.", default="")
def transfer_leader(agent: Client, args: tuple[str, ...], id: str) -> None:  # noqa: A002
    """Makes the leader hand its duties to another server, without an interruption.

    $ lictor operator raft transfer-leader
    """
    with saying("Error transfering leadership"):
        agent.post("/v1/operator/raft/transfer-leader", {"id": id or None})
    click.echo("Success")


class Settings(msgspec.Struct, frozen=True, rename="pascal"):
    """Autopilot's configuration, as the API reads and writes it."""

    cleanup_dead_servers: bool = True
    last_contact_threshold: str = "200ms"
    max_trailing_logs: int = 250
    min_quorum: int = 0
    server_stabilization_time: str = "10s"
    redundancy_zone_tag: str = ""
    disable_upgrade_migration: bool = False
    upgrade_version_tag: str = ""
    create_index: int = 0
    modify_index: int = 0


CONFIGURATION = "/v1/operator/autopilot/configuration"


@autopilot.command("get-config", http=Http.SERVER, summary="Show the configuration")
@format_flag
def get_config(agent: Client, args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Prints autopilot's configuration.

    $ lictor operator autopilot get-config
    """
    as_json = wants_json(format)
    with saying("Error querying Autopilot configuration"):
        answer = agent.get(CONFIGURATION)
        now = answer.decode(Settings)
    if as_json:
        click.echo(to_json(answer.value()))
        return
    click.echo(f"CleanupDeadServers = {_word(now.cleanup_dead_servers)}")
    click.echo(f"LastContactThreshold = {now.last_contact_threshold}")
    click.echo(f"MaxTrailingLogs = {now.max_trailing_logs}")
    click.echo(f"MinQuorum = {now.min_quorum}")
    click.echo(f"ServerStabilizationTime = {now.server_stabilization_time}")
    click.echo(f'RedundancyZoneTag = "{now.redundancy_zone_tag}"')
    click.echo(f"DisableUpgradeMigration = {_word(now.disable_upgrade_migration)}")
    click.echo(f'UpgradeVersionTag = "{now.upgrade_version_tag}"')


def _word(value: bool) -> str:
    return "true" if value else "false"


@autopilot.command("set-config", http=Http.SERVER, summary="Change the configuration")
@flag(
    "-cleanup-dead-servers",
    SWITCH,
    "Remove dead servers once enough new ones are there.",
    default=...,
)
@flag(
    "-last-contact-threshold",
    LONG_DURATION,
    "A server is healthy that hears the leader this often.",
)
@flag("-max-trailing-logs", LONG_UINT, "A server is healthy that is no more entries behind.")
@flag("-min-quorum", LONG_UINT, "Never remove servers below this number.")
@flag(
    "-server-stabilization-time", LONG_DURATION, "A new server votes after being healthy this long."
)
@flag("-redundancy-zone-tag", VALUE, "The node meta key that names zones.")
@flag("-disable-upgrade-migration", SWITCH, "Do not replace servers by newer ones.", default=...)
@flag("-upgrade-version-tag", VALUE, "The node meta key that holds the version to upgrade by.")
def set_config(agent: Client, args: tuple[str, ...], **given: object) -> None:
    """Changes autopilot's configuration. What is not mentioned stays as it is.

    $ lictor operator autopilot set-config -server-stabilization-time=30s
    """
    with saying("Error querying Autopilot configuration"):
        now = agent.get(CONFIGURATION).decode(Settings)
    changes = {
        name: durations.format(value) if isinstance(value, float) else value
        for name, value in given.items()
        if value is not None and value is not ...
    }
    wanted = msgspec.structs.replace(now, **changes)
    with saying("Error setting Autopilot configuration"):
        done = agent.put(CONFIGURATION, {"cas": str(now.modify_index)}, body=wanted).decode(bool)
    if not done:
        raise Failure("Configuration could not be atomically updated, please try again")
    click.echo("Configuration updated!")
