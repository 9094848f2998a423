"""``lictor rtt``."""

from __future__ import annotations

import math

import click
import msgspec

from .client import Client
from .command import command
from .errors import Failure, Misuse, saying
from .flags import BOOL, flag
from .settings import Http


class Coordinate(msgspec.Struct, frozen=True, rename="pascal"):
    """A place in Vivaldi's space. All parts are in seconds."""

    vec: list[float]
    height: float = 0.0
    adjustment: float = 0.0

    def distance_to(self, other: Coordinate) -> float:
        """The estimated round trip time, in seconds.

        Source: Serf, ``coordinate.DistanceTo``: the adjustment counts only while the sum
        stays positive.
        """
        raw = math.dist(self.vec, other.vec) + self.height + other.height
        adjusted = raw + self.adjustment + other.adjustment
        return adjusted if adjusted > 0 else raw


class Placed(msgspec.Struct, frozen=True, rename="pascal"):
    """One node's coordinate."""

    node: str
    coord: Coordinate
    segment: str = ""


class Area(msgspec.Struct, frozen=True, rename="pascal"):
    """The servers of one datacenter."""

    datacenter: str
    coordinates: list[Placed]


class Tagged(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of an agent's configuration that names it in the WAN."""

    node_name: str
    datacenter: str


class Agent(msgspec.Struct, frozen=True, rename="pascal"):
    """``/v1/agent/self``."""

    config: Tagged


@command("rtt", usage="[options] NODE1 [NODE2]", http=Http.CLIENT)
@flag("-wan", BOOL, "The nodes are servers of any datacenter, named NODE.DATACENTER.")
def rtt(agent: Client, args: tuple[str, ...], wan: bool) -> None:
    """Estimates the round trip time between two nodes.

    The estimate comes from network coordinates; nothing is sent between the two.
    The second node is by default the one asked.

    $ lictor rtt web-1 db-1
    $ lictor rtt -wan server-1.london server-1.tokyo
    """
    if len(args) not in {1, 2}:
        raise Misuse("One or two node names must be specified")
    first = args[0]
    if len(args) == 2:
        second = args[1]
    else:
        with saying("Unable to look up agent info"):
            config = agent.get("/v1/agent/self").decode(Agent).config
        second = f"{config.node_name}.{config.datacenter}" if wan else config.node_name
    if wan and not ("." in first and "." in second):
        raise Failure("Node names must be specified as <node name>.<datacenter> with -wan")
    places = _wide(agent) if wan else _local(agent)
    if wan and second not in places:
        # Consul looks for both in one area, and blames the first when either is missing
        raise Failure(f'Could not find a coordinate for node "{first}"')
    for name in (first, second):
        if name not in places:
            raise Failure(f'Could not find a coordinate for node "{name}"')
    distance_ms = places[first].distance_to(places[second]) * 1000
    source = "WAN" if wan else "LAN"
    click.echo(
        f"Estimated {first} <-> {second} rtt: {distance_ms:.3f} ms (using {source} coordinates)"
    )


def _local(agent: Client) -> dict[str, Coordinate]:
    with saying("Error getting coordinates"):
        placed = agent.get("/v1/coordinate/nodes").decode(list[Placed])
    return {one.node: one.coord for one in placed}


def _wide(agent: Client) -> dict[str, Coordinate]:
    with saying("Error getting coordinates"):
        areas = agent.get("/v1/coordinate/datacenters").decode(list[Area])
    return {
        f"{one.node}.{area.datacenter}"
        if not one.node.endswith(f".{area.datacenter}")
        else one.node: one.coord
        for area in areas
        for one in area.coordinates
    }
