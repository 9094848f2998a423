"""Who an agent is, and what its operator allows it."""

from __future__ import annotations

import msgspec

from lictor.registry.records import Node

from .sidecar import FIRST_PORT, LAST_PORT


class AgentIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's name in the cluster and its limits. Durations are in seconds."""

    node_name: str
    node_id: str
    address: str
    datacenter: str = "dc1"
    tagged_addresses: dict[str, str] = {}
    meta: dict[str, str] = {}
    """As configured; the network segment's entry is added."""

    check_update_interval: float = 300.0
    """How long a change of a check's output alone may wait; 0 publishes at once."""
    check_output_max_size: int = 4096
    """Bytes of output kept of a check."""
    discard_check_output: bool = False
    enable_script_checks: bool = False
    """Commands may come over the API."""
    enable_local_script_checks: bool = False
    """Commands may come from configuration files."""
    sidecar_min_port: int = FIRST_PORT
    sidecar_max_port: int = LAST_PORT

    @property
    def node(self) -> Node:
        """The record of this node; indexes are 0."""
        return Node(
            id=self.node_id,
            name=self.node_name,
            address=self.address,
            datacenter=self.datacenter,
            tagged_addresses=self.tagged_addresses or None,
            meta={"consul-network-segment": "", **self.meta},
            create_index=0,
            modify_index=0,
        )
