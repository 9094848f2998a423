"""What agents tell of themselves in gossip: Consul's tags, and one of ours.

Source: tags as observed on Consul 1.8.7; ``raft_id`` is ours, an unknown tag to everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lictor.registry.agent.report import COMPATIBLE_VERSION, RAFT_ID
from lictor.registry.config import AgentConfig


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A server as its tags describe it."""

    name: str
    node_id: str
    datacenter: str
    address: str
    port: int
    """Where it takes calls and Raft's streams."""
    raft_id: int
    expect: int
    """How many servers it waits for to begin a cluster; 0: none."""
    bootstrap: bool
    version: str

    @property
    def rpc_address(self) -> str:
        """``host:port`` for calls and Raft."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def agent_tags(config: AgentConfig, *, node_id: str, raft_id: int | None = None) -> dict[str, str]:
    """The LAN tags of an agent; ``raft_id`` is a server's."""
    tags = {
        "acls": "1" if config.acl.enabled else "0",
        "build": f"{COMPATIBLE_VERSION}:",
        "dc": config.datacenter,
        "id": node_id,
        "role": "node",
        "segment": "",
        "vsn": "2",
        "vsn_max": "3",
        "vsn_min": "2",
    }
    if raft_id is None:
        return tags
    tags |= {
        "ft_fs": "1",
        "port": str(config.listeners.rpc.port),
        RAFT_ID: str(raft_id),
        "raft_vsn": "3",
        "role": "consul",
    }
    if config.ports.serf_wan > 0:
        tags["wan_join_port"] = str(config.ports.serf_wan)
    if config.bootstrap:
        tags["bootstrap"] = "1"
    elif config.bootstrap_expect:
        tags["expect"] = str(config.bootstrap_expect)
    return dict(sorted(tags.items()))


def server_info(name: str, address: str, tags: Mapping[str, str]) -> ServerInfo | None:
    """The server behind a member, or ``None``: a client agent, or tags that nobody can use."""
    if tags.get("role") != "consul":
        return None
    try:
        port, raft_id = int(tags["port"]), int(tags[RAFT_ID])
        expect = int(tags.get("expect", "0"))
    except (KeyError, ValueError):
        return None
    if not 0 < port < 65536 or not 0 < raft_id < 1 << 63 or expect < 0:
        return None
    return ServerInfo(
        name=name,
        node_id=tags.get("id", ""),
        datacenter=tags.get("dc", ""),
        address=address,
        port=port,
        raft_id=raft_id,
        expect=expect,
        bootstrap=tags.get("bootstrap") == "1",
        version=tags.get("build", "").partition(":")[0],
    )
