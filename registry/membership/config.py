"""How one pool is tuned. Every duration is in seconds."""

from __future__ import annotations

import msgspec

HOUR = 3600.0


class PoolConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Timings and limits of a pool. The defaults suit the agents of one data centre.

    Source: memberlist's LAN profile, Serf's defaults, and what Consul changes in them.
    """

    probe_interval: float = 1.0
    """Time between two probes, each of another member."""

    probe_timeout: float = 0.5
    """How long a probed member may take before others are asked to probe it."""

    indirect_checks: int = 3
    """How many others are asked."""

    stream_pings: bool = True
    """Whether a member that does not answer datagrams is also asked through a stream."""

    suspicion_mult: int = 4
    suspicion_max_timeout_mult: int = 6
    """A suspicion lasts suspicion_mult x max(1, log10(members)) x probe_interval when others
    confirm it, and this many times longer when nobody does."""

    awareness_max_multiplier: int = 8
    """How many times slower a member may probe that doubts its own health."""

    retransmit_mult: int = 4
    """A broadcast is sent retransmit_mult x ceil(log10(members + 1)) times."""

    gossip_interval: float = 0.2
    gossip_nodes: int = 3
    """Members told of what is new each gossip_interval."""

    gossip_to_the_dead_time: float = 30.0
    """How long dead members are still told, so that they can refute it."""

    dead_node_reclaim_time: float = 30.0
    """How long a name stays with the address of a dead member; 0 keeps it for ever."""

    push_pull_interval: float = 30.0
    """Time between two full exchanges of state; longer in pools of more than 32 members."""

    stream_timeout: float = 10.0
    packet_size: int = 1400
    """Bytes of a datagram, envelopes included."""

    compress: bool = True
    label: str = ""
    """Members of pools with different labels do not hear each other."""

    verify_incoming: bool = True
    verify_outgoing: bool = True
    """Both off for a while let a running pool become an encrypted one."""

    max_members: int = 16_384
    """More than these are not believed in: nobody can fill our memory with names."""

    reap_interval: float = 15.0
    reconnect_interval: float = 30.0
    reconnect_timeout: float = 72 * HOUR
    """How long a failed member is remembered, and asked again."""

    tombstone_timeout: float = 24 * HOUR
    """How long a member that left is remembered."""

    recent_intent_timeout: float = 300.0
    """How long we keep what an unknown member intends."""

    flap_timeout: float = 60.0
    """A member that comes back sooner than this was flapping."""

    broadcast_timeout: float = 5.0
    leave_propagate_delay: float = 3.0
    """How long a leaving member waits, so that others hear of it."""

    event_buffer: int = 512
    query_buffer: int = 512
    """User events and queries remembered, to know them when they come again."""

    user_event_size_limit: int = 512
    query_size_limit: int = 1024
    query_response_size_limit: int = 1024
    query_timeout_mult: int = 16
    """A query takes gossip_interval x this x ceil(log10(members + 1)) if not told otherwise."""

    queue_depth: int = 4096
    """Events and queries that wait to be sent; beyond it the oldest are dropped."""

    coordinates: bool = True
    """Whether to estimate round trip times."""

    def __post_init__(self) -> None:
        if self.probe_timeout > self.probe_interval:
            message = (
                f"probe_timeout ({self.probe_timeout}) must not exceed "
                f"probe_interval ({self.probe_interval})"
            )
            raise ValueError(message)


def lan() -> PoolConfig:
    """All agents of a data centre."""
    return PoolConfig()


def wan() -> PoolConfig:
    """The servers of all data centres."""
    return PoolConfig(
        probe_interval=5.0,
        probe_timeout=3.0,
        suspicion_mult=6,
        gossip_interval=0.5,
        gossip_to_the_dead_time=60.0,
        push_pull_interval=60.0,
        stream_timeout=30.0,
    )


def dev() -> PoolConfig:
    """One machine: quick in everything."""
    return PoolConfig(probe_interval=0.1, probe_timeout=0.1, gossip_interval=0.1, suspicion_mult=3)
