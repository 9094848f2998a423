"""The metrics of this room."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)
_ENTRIES = (1, 4, 16, 64, 256, 1024, 4096)


class RaftMetrics:
    """One member's metrics, in the registry it is given: many members fit in one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.term = Gauge("lictor_raft_term", "Current term.", registry=registry)
        self.is_leader = Gauge(
            "lictor_raft_is_leader", "1 while this member leads, else 0.", registry=registry
        )
        self.commit_index = Gauge(
            "lictor_raft_commit_index", "Highest committed index.", registry=registry
        )
        self.applied_index = Gauge(
            "lictor_raft_applied_index", "Highest applied index.", registry=registry
        )
        self.last_index = Gauge(
            "lictor_raft_last_index", "Last index of the log.", registry=registry
        )
        self.log_bytes = Gauge(
            "lictor_raft_log_bytes", "Size of the log kept in memory.", registry=registry
        )
        self.leadership_changes = Counter(
            "lictor_raft_leadership_changes_total",
            "Times this member gained or lost leadership.",
            ["change"],
            registry=registry,
        )
        self.proposals = Counter(
            "lictor_raft_proposals_total", "Commands appended by this leader.", registry=registry
        )
        self.applied = Counter(
            "lictor_raft_applied_entries_total", "Entries applied.", registry=registry
        )
        self.write_seconds = Histogram(
            "lictor_raft_write_seconds",
            "Time from handing a batch to the storage thread until it is on disk.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.write_entries = Histogram(
            "lictor_raft_write_entries",
            "Entries in one write.",
            buckets=_ENTRIES,
            registry=registry,
        )
        self.snapshots = Counter(
            "lictor_raft_snapshots_total",
            "Snapshots taken or installed.",
            ["kind"],
            registry=registry,
        )
        self.late_ticks = Counter(
            "lictor_raft_late_ticks_total",
            "Ticks that came more than a heartbeat interval late.",
            registry=registry,
        )
