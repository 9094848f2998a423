"""Who an agent is, and what its operator allows it."""

from __future__ import annotations

import msgspec

from lictor.registry.config.agent import AgentConfig
from lictor.registry.records import Node

from .definitions import CheckDefinition, ServiceDefinition, from_file
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


def configured_identity(config: AgentConfig, *, node_id: str) -> AgentIdentity:
    """Who an agent with this configuration is; ``node_id`` is the one in use, kept or drawn."""
    return AgentIdentity(
        node_name=config.node_name,
        node_id=node_id,
        address=config.advertise_lan,
        datacenter=config.datacenter,
        tagged_addresses=config.tagged_addresses,
        meta=config.node_meta,
        check_update_interval=config.check_update_interval,
        check_output_max_size=config.check_output_max_size,
        discard_check_output=config.discard_check_output,
        enable_script_checks=config.enable_script_checks,
        enable_local_script_checks=config.enable_local_script_checks,
        sidecar_min_port=config.ports.sidecar_min_port,
        sidecar_max_port=config.ports.sidecar_max_port,
    )


def configured_definitions(
    config: AgentConfig,
) -> tuple[list[ServiceDefinition], list[CheckDefinition]]:
    """The services and checks that the configuration itself registers.

    Raises:
        InvalidConfig: one of them cannot be read.
    """
    services = [from_file(said, ServiceDefinition) for said in config.services]
    return services, [from_file(said, CheckDefinition) for said in config.checks]
