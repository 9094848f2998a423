"""What only a leader has, for as long as it leads: followers' progress, reads, transfer.

Made when a term begins here and dropped when it ends, so nothing of an old term can leak into a new
one.

Invariants
    D1  Only entries of the leader's own term are committed by counting.
    D2  At most one membership change is not yet applied; a new leader counts its whole log as such.
    D3  While leadership is being transferred nothing is proposed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .config import OnRemoval
from .errors import Busy, ChangeRefused, InvalidChange, NotLeader
from .membership import ChangeSet, apply_change_set, encode
from .messages import (
    Append,
    AppendReply,
    EntryKind,
    Heartbeat,
    HeartbeatReply,
    ReadIndex,
    ReadIndexReply,
    SnapshotOffer,
    TimeoutNow,
    make_entry,
    size_of,
)
from .progress import Inflights, Progress, ProgressState
from .quorum import EVERYTHING, VoteResult, committed, vote_result
from .reads import ReadRounds, ReadState

if TYPE_CHECKING:
    from .core import Core


class Leadership:
    """One member's time as leader of one term."""

    def __init__(self, core: Core) -> None:
        self._core = core
        last = core.log.last_index
        self.progress = {
            member: self._new_progress(next_index=last + 1, active=False)
            for member in core.configuration.members
        }
        own = self.progress.get(core.id)
        if own is not None:
            own.match = last
            own.become_replicate()
            own.active = True
        self.pending_change = last  # D2
        self.uncommitted_bytes = 0
        self.transferee: int | None = None
        self.is_retiring = core.id not in core.configuration.all_voters
        """It is no voter any more, and looks for one that can take over."""
        self.heartbeat_elapsed = 0
        self.reads = ReadRounds()
        self._early_reads: list[tuple[int, int]] = []

    def _new_progress(self, *, next_index: int, active: bool) -> Progress:
        config = self._core.config
        return Progress(
            match=0,
            next_index=next_index,
            inflights=Inflights(config.max_inflight, config.max_inflight_bytes),
            active=active,
        )

    @property
    def followers(self) -> list[int]:
        """Every other member, ascending."""
        me = self._core.id
        return [member for member in sorted(self.progress) if member != me]

    @property
    def has_committed(self) -> bool:
        """Whether an entry of this term is committed."""
        log = self._core.log
        return log.term(log.committed) == self._core.term

    # -- proposals -----------------------------------------------------------------------------

    def propose(self, kind: EntryKind, batch: Sequence[bytes]) -> tuple[int, int]:
        """Append ``batch`` to the log and replicate it; (term, index of the first).

        Raises:
            NotLeader: this leader has been removed.
            Busy: leadership is being transferred, or too much is uncommitted.
        """
        core = self._core
        if core.id not in self.progress or self.is_retiring:
            raise NotLeader(None)
        if self.transferee is not None:  # D3
            raise Busy("leadership is being transferred")
        size = sum(map(len, batch))
        limit = core.config.max_uncommitted_bytes
        if size and self.uncommitted_bytes and self.uncommitted_bytes + size > limit:
            raise Busy(f"{self.uncommitted_bytes} bytes wait to be committed")
        self.uncommitted_bytes += size
        first = core.log.last_index + 1
        self.append(kind, batch)
        self.broadcast_append()
        return core.term, first

    def append(self, kind: EntryKind, batch: Iterable[bytes]) -> None:
        """Append entries of this term; they count as ours once they are on disk."""
        core = self._core
        term = core.term
        first = core.log.last_index + 1
        last = core.log.append(
            [make_entry(index, term, kind, data) for index, data in enumerate(batch, first)]
        )
        core.send_after_persist(AppendReply(core.id, core.id, term, last))

    def propose_change(self, changes: ChangeSet) -> tuple[int, int]:
        """Propose a membership change; (term, index).

        Raises:
            ChangeRefused: one is pending, or no configuration follows from it.
            NotLeader: this leader has been removed.
            Busy: leadership is being transferred, or too much is uncommitted.
        """
        core = self._core
        if core.config.validate_changes:
            if self.pending_change > core.log.applied:  # D2
                raise ChangeRefused(f"another change is pending at index {self.pending_change}")
            if core.configuration.is_joint and not changes.leaves_joint:
                raise ChangeRefused("the configuration is joint; it must be left first")
            if not core.configuration.is_joint and changes.leaves_joint:
                raise ChangeRefused("the configuration is not joint; nothing is to be left")
            try:
                apply_change_set(core.configuration, changes)
            except InvalidChange as error:
                raise ChangeRefused(str(error)) from error
        index = core.log.last_index + 1
        proposed = self.propose(EntryKind.CHANGE, [encode(changes)])
        self.pending_change = index
        return proposed

    def leave_joint(self, applied: int) -> None:
        """Propose to leave the joint configuration if that is due by itself."""
        if self._core.configuration.auto_leave and applied >= self.pending_change:
            try:
                self.propose_change(ChangeSet())
            except (Busy, NotLeader):
                return  # the next applied entry asks again

    # -- replication ---------------------------------------------------------------------------

    def broadcast_append(self) -> None:
        """Send every follower what it may be sent."""
        for member in self.followers:
            self.send_append(member)

    def send_append(self, member: int, *, even_empty: bool = True) -> bool:
        """Send ``member`` the entries it lacks, or a snapshot; whether anything was sent."""
        core = self._core
        progress = self.progress[member]
        if progress.is_paused:
            return False
        log = core.log
        previous = progress.next - 1
        previous_term = log.term(previous)
        if previous_term is None:
            return self._offer_snapshot(member, progress)
        entries = []
        if progress.state is not ProgressState.REPLICATE or not progress.inflights.full:
            entries = log.slice(
                progress.next,
                log.last_index + 1,
                max_bytes=core.config.max_append_bytes,
                max_entries=core.config.max_append_entries,
            )
        if not entries and not even_empty:
            return False
        core.send(
            Append(
                core.id, member, core.term, previous, previous_term, log.committed, tuple(entries)
            )
        )
        progress.sent_entries(len(entries), size_of(entries))
        progress.sent_commit = log.committed
        return True

    def _offer_snapshot(self, member: int, progress: Progress) -> bool:
        core = self._core
        snapshot = core.latest_snapshot
        if not progress.active or snapshot is None:
            return False
        progress.become_snapshot(snapshot.index)
        core.send(SnapshotOffer(core.id, member, core.term, snapshot))
        return True

    def on_append_reply(self, message: AppendReply) -> None:
        """A follower, or our own disk, says how far it has come."""
        progress = self.progress.get(message.sender)
        if progress is None:
            return
        progress.active = True
        if message.reject:
            self._on_rejection(progress, message)
            return
        probing = progress.state is ProgressState.PROBE and progress.match == message.index
        if progress.maybe_update(message.index) or probing:
            self._on_match(progress, message)

    def _on_rejection(self, progress: Progress, message: AppendReply) -> None:
        hint = message.hint_index
        if message.hint_term > 0:
            hint, _ = self._core.log.find_conflict_by_term(hint, message.hint_term)
        if progress.maybe_decrease(message.index, hint):
            if progress.state is ProgressState.REPLICATE:
                progress.become_probe()
            self.send_append(message.sender)

    def _on_match(self, progress: Progress, message: AppendReply) -> None:
        core = self._core
        member = message.sender
        if progress.state is ProgressState.PROBE:
            progress.become_replicate()
        elif progress.state is ProgressState.REPLICATE:
            progress.inflights.free_to(message.index)
        elif progress.match + 1 >= core.log.first_index:
            progress.become_probe()
            progress.become_replicate()
        committed_more = self.maybe_commit()
        if committed_more:
            self._start_early_reads()
            self.broadcast_append()
        if member == core.id:
            return
        if not committed_more and progress.can_bump_commit(core.log.committed):
            self.send_append(member)
        while self.send_append(member, even_empty=False):
            pass  # bounded by the window
        if member == self.transferee and progress.match == core.log.last_index:
            core.send(TimeoutNow(core.id, member, core.term))

    def maybe_commit(self) -> bool:
        """Commit what a quorum holds; whether anything new is."""
        core = self._core
        configuration = core.configuration
        match = {member: progress.match for member, progress in self.progress.items()}
        index = committed(configuration.voters, configuration.outgoing, match)
        return index != EVERYTHING and core.log.maybe_commit(index, core.term)  # D1

    def configuration_changed(self) -> None:
        """Follow the configuration that was just applied."""
        core = self._core
        members = core.configuration.members
        for member in sorted(self.progress.keys() - set(members)):
            del self.progress[member]
        for member in members:
            if member not in self.progress:
                self.progress[member] = self._new_progress(
                    next_index=max(core.log.last_index, 1), active=True
                )
        self.is_retiring = core.id not in core.configuration.all_voters
        if self.is_retiring and core.config.on_removal is OnRemoval.STEP_DOWN:
            core.become_follower(core.term, None)
        if self.is_retiring and core.config.on_removal is not OnRemoval.HAND_OVER:
            return
        if self.maybe_commit():
            self.broadcast_append()
        else:
            for member in self.followers:
                self.send_append(member, even_empty=False)
        if self.transferee is not None and self.transferee not in core.configuration.all_voters:
            self.transferee = None

    def unreachable(self, member: int) -> None:
        """The transport lost what it was given for ``member``."""
        progress = self.progress.get(member)
        if progress is not None and progress.state is ProgressState.REPLICATE:
            progress.become_probe()

    def snapshot_ended(self, member: int, *, installed: bool) -> None:
        """``member`` has fetched its snapshot, or given up on it."""
        progress = self.progress.get(member)
        if progress is None or progress.state is not ProgressState.SNAPSHOT:
            return
        if not installed:
            progress.pending_snapshot = 0
        progress.become_probe()
        progress.paused = True  # until its answer, or a heartbeat

    # -- time, heartbeats, reads ---------------------------------------------------------------

    def tick_heartbeat(self) -> None:
        """Let one tick pass."""
        self.heartbeat_elapsed += 1
        if self.heartbeat_elapsed >= self._core.config.heartbeat_ticks:
            self.heartbeat_elapsed = 0
            self.broadcast_heartbeat()
            if self.is_retiring and self._core.config.on_removal is OnRemoval.HAND_OVER:
                self._hand_over()

    def _hand_over(self) -> None:
        """Ask a voter that has everything to stand; another one each time, as some may be gone."""
        core = self._core
        last = core.log.last_index
        able = [
            member
            for member in core.configuration.all_voters
            if self.progress[member].match == last and self.progress[member].active
        ]
        if able and core.log.committed == last:
            core.send(TimeoutNow(core.id, able[self.reads.round % len(able)], core.term))

    def broadcast_heartbeat(self) -> None:
        """Start a round of heartbeats. The commit index never exceeds what a follower holds."""
        core = self._core
        number = self.reads.start()
        for member in self.followers:
            progress = self.progress[member]
            commit = min(progress.match, core.log.committed)
            core.send(Heartbeat(core.id, member, core.term, commit, number))
            progress.sent_commit = commit
        if core.is_sole_voter:
            self._acknowledge_round(core.id, number)

    def on_heartbeat_reply(self, message: HeartbeatReply) -> None:
        """A follower is there: resume it, and count its answer for the reads."""
        progress = self.progress.get(message.sender)
        if progress is None:
            return
        core = self._core
        progress.active = True
        progress.paused = False
        if progress.match < core.log.last_index or progress.state is ProgressState.PROBE:
            self.send_append(message.sender)
        if message.round:
            self._acknowledge_round(message.sender, message.round)
            if self.reads.start_next():
                self.broadcast_heartbeat()

    def _acknowledge_round(self, member: int, number: int) -> None:
        core = self._core
        configuration = core.configuration
        for read in self.reads.acknowledge(
            member,
            number,
            me=core.id,
            voters=configuration.voters,
            outgoing=configuration.outgoing,
        ):
            self._answer_read(read.context, read.index, read.origin)

    def quorum_is_active(self) -> bool:
        """Whether a quorum was heard since the last time this was asked."""
        core = self._core
        configuration = core.configuration
        votes = {
            member: progress.active or member == core.id
            for member, progress in self.progress.items()
        }
        for member, progress in self.progress.items():
            if member != core.id:
                progress.active = False
        result = vote_result(configuration.voters, configuration.outgoing, votes)
        return result is VoteResult.WON

    def read_index(self, context: int, origin: int) -> None:
        """Find the index from which on the reads called ``context`` may be answered."""
        if not self.has_committed:
            self._early_reads.append((context, origin))
            return
        core = self._core
        if core.is_sole_voter:
            self._answer_read(context, core.log.committed, origin)
        elif self.reads.add(context, core.log.committed, origin):
            self.broadcast_heartbeat()

    def on_read_index(self, message: ReadIndex) -> None:
        """A follower asks for a read index."""
        self.read_index(message.context, message.sender)

    def _start_early_reads(self) -> None:
        if self._early_reads and self.has_committed:
            early, self._early_reads = self._early_reads, []
            for context, origin in early:
                self.read_index(context, origin)

    def _answer_read(self, context: int, index: int, origin: int) -> None:
        core = self._core
        if origin == core.id:
            core.add_read(ReadState(context, index))
        else:
            core.send(ReadIndexReply(core.id, origin, core.term, context, index))

    # -- transfer ------------------------------------------------------------------------------

    def transfer(self, to: int) -> None:
        """Hand leadership to ``to`` as soon as it has the whole log.

        Raises:
            ChangeRefused: ``to`` is no voter.
        """
        core = self._core
        if to not in core.configuration.all_voters:
            raise ChangeRefused(f"{to:x} is no voter")
        if to in (core.id, self.transferee):
            return
        core.election_elapsed = 0
        self.transferee = to
        if self.progress[to].match == core.log.last_index:
            core.send(TimeoutNow(core.id, to, core.term))
        else:
            self.send_append(to)
