"""What an agent says of itself: its member entry and its statistics (``/v1/agent/self``)."""

from __future__ import annotations

import platform
import sys
from typing import Any, Final

from lictor.raft.node import Node
from lictor.registry.config import AgentConfig
from lictor.registry.membership.events import Member

COMPATIBLE_VERSION: Final = "1.8.7"
"""The Consul release that clients are told; see ``docs/decisions/0003``."""

RAFT_ID: Final = "raft_id"
"""A tag of ours; clients are not shown it."""


def member(found: Member) -> dict[str, Any]:
    """A member as ``/v1/agent/members`` shows it."""
    return {
        "Name": found.name,
        "Addr": found.address,
        "Port": found.port,
        "Tags": {name: found.tags[name] for name in sorted(found.tags) if name != RAFT_ID},
        "Status": int(found.status),
        "ProtocolMin": found.protocol_min,
        "ProtocolMax": found.protocol_max,
        "ProtocolCur": found.protocol_cur,
        "DelegateMin": found.delegate_min,
        "DelegateMax": found.delegate_max,
        "DelegateCur": found.delegate_cur,
    }


def wan_member(member: dict[str, Any], config: AgentConfig) -> dict[str, Any]:
    """``member`` as the pool of all data centres knows it."""
    wan = config.listeners.serf_wan
    tags = {name: value for name, value in member["Tags"].items() if name != "wan_join_port"}
    return {
        **member,
        "Name": f"{config.node_name}.{config.datacenter}",
        "Addr": config.advertise_wan,
        "Port": wan.port if wan else config.ports.serf_wan,
        "Tags": tags,
    }


def raft_stats(node: Node, *, server_id: str, address: str) -> dict[str, str]:
    """The ``raft`` section: where the log stands."""
    voters = node.configuration.voters
    return {
        "applied_index": str(node.applied_index),
        "commit_index": str(node.commit_index),
        "fsm_pending": "0",
        "last_contact": "0" if node.is_leader else f"{node.last_contact() * 1000:.0f}ms",
        "last_log_index": str(node.last_index),
        "last_log_term": str(node.last_term),
        "last_snapshot_index": str(node.snapshot_index),
        "last_snapshot_term": str(node.snapshot_term),
        "latest_configuration": f"[{{Suffrage:Voter ID:{server_id} Address:{address}}}]",
        "latest_configuration_index": "0",
        "num_peers": str(max(0, len(voters) - 1)),
        "protocol_version": "3",
        "protocol_version_max": "3",
        "protocol_version_min": "0",
        "snapshot_version_max": "1",
        "snapshot_version_min": "0",
        "state": node.role.capitalize(),
        "term": str(node.term),
    }


def runtime_stats(*, tasks: int, cpus: int) -> dict[str, str]:
    """The ``runtime`` section. ``goroutines`` counts the loop's tasks."""
    return {
        "arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "cpu_count": str(cpus),
        "goroutines": str(tasks),
        "max_procs": str(cpus),
        "os": sys.platform,
        "version": f"python{platform.python_version()}",
    }


def serf_stats(members: int) -> dict[str, str]:
    """A gossip section."""
    return {
        "coordinate_resets": "0",
        "encrypted": "false",
        "event_queue": "0",
        "event_time": "1",
        "failed": "0",
        "health_score": "0",
        "intent_queue": "0",
        "left": "0",
        "member_time": "1",
        "members": str(members),
        "query_queue": "0",
        "query_time": "1",
    }
