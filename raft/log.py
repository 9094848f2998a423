"""One member's log as one sequence: what is on disk and what is on its way there.

The whole log since the last compaction is in memory; compaction bounds its length and its bytes, so
no read ever waits for the disk.

Invariants
    L1  ``_entries[i].index == base_index + 1 + i``: no gap.
    L2  applied <= committed <= last_index, and base_index <= applied.
    L3  No committed entry is ever replaced.
    L4  ``stable`` is the last index known to be on disk *in this form*. What replaces an entry
        lowers ``stable``, and ``writing`` too: a write that ends later proves nothing about it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .messages import ENTRY_OVERHEAD, Entry, SnapshotHeader, size_of


class Log:
    """The entries after ``base_index``, whose term is ``base_term``."""

    __slots__ = (
        "_entries",
        "applied",
        "base_index",
        "base_term",
        "committed",
        "pending_snapshot",
        "size_bytes",
        "stable",
        "writing",
    )

    def __init__(
        self,
        *,
        base_index: int = 0,
        base_term: int = 0,
        entries: Sequence[Entry] = (),
        applied: int | None = None,
    ) -> None:
        self.base_index = base_index
        self.base_term = base_term
        self._entries = list(entries)
        self.applied = base_index if applied is None else applied
        self.committed = self.applied
        self.stable = base_index + len(self._entries)
        self.writing = self.stable
        self.size_bytes = size_of(entries)
        self.pending_snapshot: SnapshotHeader | None = None
        """A snapshot that replaced the log and is not yet installed on disk."""
        expected = base_index + 1
        for entry in self._entries:
            assert entry.index == expected, f"gap in the log at {expected}"  # L1
            expected += 1

    @property
    def first_index(self) -> int:
        """The first index whose entry is here."""
        return self.base_index + 1

    @property
    def last_index(self) -> int:
        """The last index; ``base_index`` while there are no entries."""
        return self.base_index + len(self._entries)

    @property
    def last_term(self) -> int:
        """The term of the last entry."""
        return self._entries[-1].term if self._entries else self.base_term

    def term(self, index: int) -> int | None:
        """The term at ``index``; ``None`` where that is compacted or not yet written."""
        offset = index - self.base_index
        if offset == 0:
            return self.base_term
        return self._entries[offset - 1].term if 0 < offset <= len(self._entries) else None

    def matches(self, index: int, term: int) -> bool:
        """Whether the entry at ``index`` is the one of ``term``."""
        return self.term(index) == term

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a candidate with this last entry may have our vote.

        Source: Raft paper, section 5.4.1.
        """
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def slice(self, low: int, high: int, *, max_bytes: int, max_entries: int) -> list[Entry]:
        """Entries ``low`` to ``high`` (not included), at least one, within both limits.

        Raises:
            IndexError: part of that is compacted or not yet written.
        """
        if low > high or low <= self.base_index or high > self.last_index + 1:
            raise IndexError(f"[{low}, {high}) is not in the log")
        start = low - self.base_index - 1
        chosen = self._entries[start : min(high - self.base_index - 1, start + max_entries)]
        size = 0
        for count, entry in enumerate(chosen):
            size += len(entry.data) + ENTRY_OVERHEAD
            if size > max_bytes and count > 0:
                return chosen[:count]
        return chosen

    def append(self, entries: Sequence[Entry]) -> int:
        """Put ``entries`` behind the one before them, replacing the rest; the last index."""
        if not entries:
            return self.last_index
        after = entries[0].index - 1
        assert self.committed <= after <= self.last_index, (  # L1, L3
            f"append after {after} with {self.committed} committed and {self.last_index} last"
        )
        if after < self.last_index:
            keep = after - self.base_index
            self.size_bytes -= size_of(self._entries[keep:])
            del self._entries[keep:]
            self.stable = min(self.stable, after)  # L4
            self.writing = min(self.writing, after)  # L4
        self._entries.extend(entries)
        self.size_bytes += size_of(entries)
        return self.last_index

    def maybe_append(
        self, prev_index: int, prev_term: int, entries: Sequence[Entry], commit: int
    ) -> int | None:
        """A leader's entries, if the one before them matches; the last index they prove.

        Only what conflicts is replaced: a late duplicate must not shorten the log.
        """
        if not self.matches(prev_index, prev_term):
            return None
        for position, entry in enumerate(entries):
            if not self.matches(entry.index, entry.term):
                assert entry.index > self.committed, f"conflict at committed {entry.index}"  # L3
                self.append(entries[position:])
                break
        proven = prev_index + len(entries)
        self.commit_to(min(commit, proven))
        return proven

    def find_conflict_by_term(self, index: int, term: int) -> tuple[int, int]:
        """The last (index, term) at or before ``index`` whose term is at most ``term``.

        Term 0 stands for one that is not known here.
        """
        while index > 0:
            ours = self.term(index)
            if ours is None:
                return index, 0
            if ours <= term:
                return index, ours
            index -= 1
        return 0, 0

    def commit_to(self, index: int) -> None:
        """Raise the commit index, never lower it."""
        if index > self.committed:
            assert index <= self.last_index, f"commit {index} is beyond {self.last_index}"  # L2
            self.committed = index

    def maybe_commit(self, index: int, term: int) -> bool:
        """Commit ``index`` if it is new and of ``term``; return whether it was.

        Source: Raft paper, section 5.4.2: earlier terms are committed only along with this one.
        """
        if index > self.committed and self.term(index) == term:
            self.commit_to(index)
            return True
        return False

    def unstable(self) -> list[Entry]:
        """The entries that are not yet on disk."""
        return self._entries[self.stable - self.base_index :]

    def next_committed(self, *, max_bytes: int, max_entries: int) -> list[Entry]:
        """Committed entries that are not applied, within both limits but at least one."""
        if self.pending_snapshot is not None or self.applied >= self.committed:
            return []
        return self.slice(
            self.applied + 1, self.committed + 1, max_bytes=max_bytes, max_entries=max_entries
        )

    def has_next_committed(self) -> bool:
        """Whether something waits to be applied."""
        return self.applied < self.committed and self.pending_snapshot is None

    def start_write(self) -> None:
        """What is unstable is being written now."""
        self.writing = self.last_index

    def finish_write(self) -> None:
        """The write that was started is on disk."""
        self.stable = max(self.stable, self.writing)  # L4

    def apply_to(self, index: int) -> None:
        """Everything up to ``index`` is applied."""
        assert self.applied <= index <= self.committed, f"applied {index} out of order"  # L2
        self.applied = index

    def restore(self, snapshot: SnapshotHeader) -> None:
        """Replace the whole log by ``snapshot``."""
        self._entries.clear()
        self.size_bytes = 0
        self.base_index = snapshot.index
        self.base_term = snapshot.term
        self.committed = snapshot.index
        self.stable = snapshot.index
        self.writing = snapshot.index
        self.pending_snapshot = snapshot

    def compact(self, index: int) -> None:
        """Forget the entries up to ``index``, which a snapshot covers."""
        index = min(index, self.applied, self.stable)  # L2, and what is unwritten must stay
        if index <= self.base_index:
            return
        drop = index - self.base_index
        term = self._entries[drop - 1].term
        self.size_bytes -= size_of(self._entries[:drop])
        del self._entries[:drop]
        self.base_index = index
        self.base_term = term

    def trailing(self, index: int, *, entries: int, size_bytes: int) -> int:
        """Where to compact to, so that at most so much stays up to ``index``."""
        low = max(self.base_index, index - entries)
        size = 0
        for position in range(min(index, self.last_index), low, -1):
            size += len(self._entries[position - self.base_index - 1].data) + ENTRY_OVERHEAD
            if size > size_bytes:
                return position
        return low
