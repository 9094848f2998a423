"""How one member is tuned. Durations are in seconds, sizes in bytes."""

from __future__ import annotations

from enum import Enum

import msgspec

MIB = 1024 * 1024


class OnRemoval(Enum):
    """What a leader does once it has applied a configuration in which it is no voter."""

    HAND_OVER = "hand over"
    """Lead on, without proposals, until a voter has everything; then ask that one to stand.

    A leader that stepped down at once could keep a log that is longer than that of every voter,
    and an old configuration in their eyes still needs its vote: nobody could ever be elected.
    """
    STEP_DOWN = "step down"
    STAY = "stay"


class CoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the state machine of one member needs to know; time is counted in ticks."""

    node_id: int
    election_ticks: int = 20
    heartbeat_ticks: int = 3
    pre_vote: bool = True
    check_quorum: bool = True
    boot_ticks: int = 0
    """So long after the start no vote is granted: a lease given before it may still run."""
    max_append_bytes: int = MIB
    max_append_entries: int = 2_048
    max_inflight: int = 64
    max_inflight_bytes: int = 8 * MIB
    max_committed_bytes: int = 4 * MIB
    """How much one Ready hands out to be applied."""
    max_uncommitted_bytes: int = 32 * MIB
    on_removal: OnRemoval = OnRemoval.HAND_OVER
    validate_changes: bool = True
    lease_reads: bool = True
    """A leader answers reads on its lease, so no follower may forget it at will."""


class RaftConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Timings and limits of a member. The defaults suit one data centre (round trip under 5 ms)."""

    bootstrap: bool = False
    """Begin a new cluster of this one voter where there is no state yet."""
    address: str = ""
    """Where the other members reach this one; kept in the configuration."""
    multiplier: int = 1
    """Stretches every timing, 1 to 10, for slow machines and networks."""
    tick: float = 0.05
    """The unit of time; elections and heartbeats are counted in it."""
    heartbeat_ticks: int = 3
    """A leader is heard this often."""
    election_ticks: int = 20
    """A follower that hears nothing this long, up to twice as long, stands for election."""
    lease_fraction: float = 0.9
    """The part of the shortest election timeout for which a leader trusts its lease."""
    boot_delay: bool = True
    """Grant no vote for one election timeout after the start. Only tests turn this off."""
    read_timeout: float = 5.0
    """A linearizable read that found no quorum for so long fails."""
    max_entry_bytes: int = MIB + MIB // 2
    """The largest command."""
    max_append_bytes: int = MIB
    """The entries of one message to a follower."""
    max_append_entries: int = 2_048
    """The entries of one message to a follower, and of one batch of proposals."""
    max_inflight: int = 64
    """Messages that may be under way to one follower."""
    max_inflight_bytes: int = 8 * MIB
    """Entries that may be under way to one follower."""
    max_uncommitted_bytes: int = 32 * MIB
    """Beyond this a leader answers Busy."""
    max_apply_lag: int = 16_384
    """Proposals that may wait for their outcome before a leader answers Busy."""
    apply_slice: float = 0.005
    """The loop is given back after applying for this long."""
    snapshot_threshold: int = 16_384
    """A snapshot is taken after this many entries."""
    snapshot_bytes: int = 64 * MIB
    """A snapshot is taken when the log after the last one is this large."""
    trailing_logs: int = 10_240
    """Entries kept behind a snapshot for followers that lag a little."""
    trailing_bytes: int = 16 * MIB
    """Bytes kept behind a snapshot, at most."""
    min_free_bytes: int = 64 * MIB
    """With less left on the disk, proposals are refused."""

    def __post_init__(self) -> None:
        if not 1 <= self.multiplier <= 10:
            raise ValueError(f"multiplier ({self.multiplier}) must be from 1 to 10")
        if self.election_ticks < 3 * self.heartbeat_ticks:
            raise ValueError(
                f"election_ticks ({self.election_ticks}) must be at least three times "
                f"heartbeat_ticks ({self.heartbeat_ticks})"
            )

    @property
    def tick_interval(self) -> float:
        """Seconds between two ticks."""
        return self.tick * self.multiplier

    @property
    def election_timeout(self) -> float:
        """The shortest time without a leader after which a follower stands for election."""
        return self.tick_interval * self.election_ticks

    def core(self, node_id: int) -> CoreConfig:
        """The part of it that the state machine of member ``node_id`` needs."""
        return CoreConfig(
            node_id=node_id,
            election_ticks=self.election_ticks,
            heartbeat_ticks=self.heartbeat_ticks,
            boot_ticks=self.election_ticks if self.boot_delay else 0,
            max_append_bytes=self.max_append_bytes,
            max_append_entries=self.max_append_entries,
            max_inflight=self.max_inflight,
            max_inflight_bytes=self.max_inflight_bytes,
            max_uncommitted_bytes=self.max_uncommitted_bytes,
        )
