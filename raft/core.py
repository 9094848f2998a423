"""The state machine of one member. No I/O: messages and ticks come in, :class:`Ready` goes out.

The driver writes a Ready to disk, then sends what had to wait for that, applies what is committed
and calls :meth:`Core.advance`. What need not wait (:meth:`Core.take_messages`) may leave any time.

Invariants
    C1  ``term`` never decreases, and within one term ``vote`` is given once.
    C2  A message that promises something (a vote, an acknowledgement) leaves only after what it
        promises is on disk.
    C3  A contradiction is an AssertionError and ends the process: to go on would be to answer
        with less than was promised.

Same inputs, same rng: same outputs. Members are always visited in ascending order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from random import Random
from typing import Any, ClassVar, TypeAlias

import msgspec

from .config import CoreConfig, OnRemoval
from .errors import NotLeader
from .leadership import Leadership
from .log import Log
from .membership import ChangeSet, Configuration, apply_change_set, decode_change_set
from .messages import (
    AnyMessage,
    Append,
    AppendReply,
    Entry,
    EntryKind,
    Goodbye,
    HardState,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    SnapshotHeader,
    SnapshotOffer,
    TimeoutNow,
    Vote,
    VoteReply,
)
from .quorum import VoteResult, vote_result
from .reads import ReadState


class Role(StrEnum):
    """What a member is at the moment."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


Handler: TypeAlias = "Callable[[Core, Any], None]"


class Ready(msgspec.Struct, frozen=True):
    """What there is to do, in this order: persist, send, apply."""

    hard: HardState | None
    """Term, vote and commit index, where one of them changed."""
    entries: list[Entry]
    """To be written; the first one replaces everything from its index on."""
    snapshot: SnapshotHeader | None
    """To be installed; it replaces the whole log."""
    committed: list[Entry]
    """To be applied, ascending."""
    messages: list[AnyMessage]
    """May leave before anything is written."""
    after_persist: list[AnyMessage]
    """May leave only after everything is written."""
    must_sync: bool
    """Whether anything here must survive a power cut before the messages leave."""
    soft: tuple[int | None, Role] | None
    """Leader and role, where one of them changed."""


class Core:
    """One member. ``configuration`` is the one at ``log.applied``."""

    def __init__(
        self,
        config: CoreConfig,
        *,
        log: Log,
        hard: HardState,
        configuration: Configuration,
        rng: Random,
        latest_snapshot: SnapshotHeader | None = None,
    ) -> None:
        self.config = config
        self.id = config.node_id
        self.log = log
        self.configuration = configuration
        self.latest_snapshot = latest_snapshot
        """What a follower is offered that the log no longer reaches back to."""
        self._rng = rng
        self.term = hard.term
        self.vote = hard.vote
        self.role = Role.FOLLOWER
        self.leader: int | None = None
        self.leadership: Leadership | None = None
        self.election_elapsed = 0
        self.election_timeout = 0
        self._boot_left = config.boot_ticks
        self._is_dismissed = False
        self._votes: dict[int, bool] = {}
        self._messages: list[AnyMessage] = []
        self._after_persist: list[AnyMessage] = []
        self._own_replies: list[AnyMessage] = []
        self._reads: list[ReadState] = []
        log.commit_to(min(hard.commit, log.last_index))
        self._draw_election_timeout()
        self._told_soft: tuple[int | None, Role] = (None, Role.FOLLOWER)
        self._told_hard = self.hard

    # -- what others read ----------------------------------------------------------------------

    @property
    def hard(self) -> HardState:
        """Term, vote and commit index as they are now."""
        return HardState(self.term, self.vote, self.log.committed)

    @property
    def is_sole_voter(self) -> bool:
        """Whether this member alone is the quorum."""
        return self.configuration.voters == (self.id,) and not self.configuration.outgoing

    @property
    def is_promotable(self) -> bool:
        """Whether it may stand for election."""
        if self.log.pending_snapshot is not None:
            return False
        return self.id in self.configuration.all_voters or self._must_hand_over()

    def _must_hand_over(self) -> bool:
        """Whether it is no voter, but may have what the voters cannot be elected without.

        A leader that crashed between its own removal and handing over may have the longest log.
        Voters that have not heard of the removal still need its vote, which their shorter logs
        cannot get. So it stands itself, before the voters it knows, to hand over at once. Whoever
        has a leader refuses it, and that leader says goodbye.
        """
        return (
            self.config.on_removal is OnRemoval.HAND_OVER
            and bool(self.configuration.voters)
            and self.log.last_index > self.log.committed
            and not self._is_dismissed
        )

    # -- inputs --------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let one tick pass."""
        if self._boot_left > 0:
            self._boot_left -= 1
        self.election_elapsed += 1
        leadership = self.leadership
        if leadership is None:
            timeout = self.election_timeout
            if self.id not in self.configuration.all_voters:
                timeout *= 3  # voters first
            if self.is_promotable and self.election_elapsed >= timeout:
                self.election_elapsed = 0
                if self._boot_left == 0 or self.is_sole_voter:
                    self.campaign()
            return
        if self.election_elapsed >= self.config.election_ticks:
            self.election_elapsed = 0
            if self.config.check_quorum and not leadership.quorum_is_active():
                self.become_follower(self.term, None)
                return
            leadership.transferee = None
        leadership.tick_heartbeat()

    def campaign(self) -> None:
        """Stand for election, if that is allowed."""
        self._stand(Role.PRE_CANDIDATE if self.config.pre_vote else Role.CANDIDATE)

    def propose(self, batch: Sequence[bytes]) -> tuple[int, int]:
        """Append commands; (term, index of the first one). Its outcome shows when it is applied.

        Raises:
            NotLeader: nothing was appended.
            Busy: nothing was appended.
        """
        return self._led().propose(EntryKind.COMMAND, batch)

    def propose_change(self, changes: ChangeSet) -> tuple[int, int]:
        """Propose a membership change; (term, index). At most one may be pending.

        Raises:
            NotLeader: nothing was appended.
            Busy: nothing was appended.
            ChangeRefused: nothing was appended.
        """
        return self._led().propose_change(changes)

    def transfer(self, to: int) -> None:
        """Hand leadership to ``to``; it is taken back if that lasts an election timeout.

        Raises:
            NotLeader: there is nothing to hand over.
            ChangeRefused: ``to`` is no voter.
        """
        self._led().transfer(to)

    def read_index(self, context: int) -> None:
        """Ask from which index on the reads called ``context`` may be answered.

        The answer comes by :meth:`take_reads`, or never: leaders change, messages are lost.

        Raises:
            NotLeader: no leader is known.
        """
        if self.leadership is not None:
            self.leadership.read_index(context, self.id)
        elif self.leader is None:
            raise NotLeader(None)
        else:
            self.send(ReadIndex(self.id, self.leader, self.term, context))

    def forget_leader(self) -> None:
        """Believe that the leader is gone, so that others can be elected at once.

        Does nothing while reads are answered on a lease, which counts on our belief.
        """
        if self.leadership is None and not self.config.lease_reads:
            self.leader = None

    def report_unreachable(self, member: int) -> None:
        """What was sent to ``member`` last may be lost."""
        if self.leadership is not None:
            self.leadership.unreachable(member)

    def report_snapshot(self, member: int, *, installed: bool) -> None:
        """``member`` has fetched the snapshot it was offered, or failed to."""
        if self.leadership is not None:
            self.leadership.snapshot_ended(member, installed=installed)

    def _led(self) -> Leadership:
        if self.leadership is None:
            raise NotLeader(self.leader)
        return self.leadership

    # -- outputs -------------------------------------------------------------------------------

    def take_messages(self) -> list[AnyMessage]:
        """The messages that may leave at once."""
        messages, self._messages = self._messages, []
        return messages

    def take_reads(self) -> list[ReadState]:
        """The reads whose index is known now."""
        reads, self._reads = self._reads, []
        return reads

    def has_ready(self) -> bool:
        """Whether :meth:`ready` would return something."""
        return bool(
            self._messages
            or self._after_persist
            or self.log.stable < self.log.last_index
            or self.log.pending_snapshot is not None
            or self.log.has_next_committed()
            or self.hard != self._told_hard
            or (self.leader, self.role) != self._told_soft
        )

    def ready(self) -> Ready | None:
        """What there is to do; ``None`` if nothing. The last one must have been advanced."""
        if not self.has_ready():
            return None
        log = self.log
        hard = self.hard
        soft = (self.leader, self.role)
        entries = log.unstable()
        waiting, self._after_persist = self._after_persist, []
        self._own_replies = [message for message in waiting if message.to == self.id]
        made = Ready(
            hard=hard if hard != self._told_hard else None,
            entries=entries,
            snapshot=log.pending_snapshot,
            committed=log.next_committed(
                max_bytes=self.config.max_committed_bytes,
                max_entries=self.config.max_append_entries,
            ),
            messages=self.take_messages(),
            after_persist=[message for message in waiting if message.to != self.id],
            must_sync=bool(entries)
            or hard.term != self._told_hard.term
            or hard.vote != self._told_hard.vote,
            soft=soft if soft != self._told_soft else None,
        )
        self._told_hard = hard
        self._told_soft = soft
        log.start_write()
        return made

    def advance(self, ready: Ready) -> None:
        """``ready`` is on disk, sent, and applied."""
        own, self._own_replies = self._own_replies, []
        for message in own:
            self.step(message)
        log = self.log
        log.finish_write()
        if ready.snapshot is not None and log.pending_snapshot is ready.snapshot:
            log.pending_snapshot = None
            log.apply_to(ready.snapshot.index)
            self.switch_configuration(ready.snapshot.configuration)
        if ready.committed:
            last = ready.committed[-1].index
            if last > log.applied:
                log.apply_to(last)
            if self.leadership is not None:
                size = sum([len(entry.data) for entry in ready.committed])
                self.leadership.uncommitted_bytes = max(0, self.leadership.uncommitted_bytes - size)
                self.leadership.leave_joint(log.applied)

    def apply_change(self, entry: Entry) -> Configuration:
        """Apply a committed entry of kind CHANGE; the configuration from now on."""
        return self.switch_configuration(
            apply_change_set(self.configuration, decode_change_set(entry.data))
        )

    def switch_configuration(self, configuration: Configuration) -> Configuration:
        """Take ``configuration`` as the applied one."""
        self.configuration = configuration
        self._is_dismissed = False
        if self.leadership is not None:
            self.leadership.configuration_changed()
        return configuration

    def send(self, message: AnyMessage) -> None:
        """Queue a message that promises nothing."""
        self._messages.append(message)

    def send_after_persist(self, message: AnyMessage) -> None:
        """Queue a message that may leave only after the next write (C2)."""
        self._after_persist.append(message)

    def add_read(self, read: ReadState) -> None:
        """A read of our own is confirmed."""
        self._reads.append(read)

    # -- roles ---------------------------------------------------------------------------------

    def become_follower(self, term: int, leader: int | None) -> None:
        """Follow ``leader``, if it is known, in ``term``."""
        self._reset(term)
        self.role = Role.FOLLOWER
        self.leader = leader

    def _stand(self, role: Role, *, transfer: bool = False) -> None:
        if self.role is Role.LEADER or not self.is_promotable or self._change_is_unapplied():
            return
        if role is Role.PRE_CANDIDATE:
            self._votes = {}
            self.leader = None
            term = self.term + 1
        else:
            self._reset(self.term + 1)
            self.vote = self.id
            term = self.term
        self.role = role
        last_index, last_term = self.log.last_index, self.log.last_term
        for member in self.configuration.all_voters:
            if member == self.id:
                reply = PreVoteReply if role is Role.PRE_CANDIDATE else VoteReply
                self.send_after_persist(reply(self.id, self.id, term))
            elif role is Role.PRE_CANDIDATE:
                self.send(PreVote(self.id, member, term, last_index, last_term))
            else:
                # after the write: a candidate that crashed with unwritten entries could otherwise
                # meet grants that were given to its longer log
                self.send_after_persist(
                    Vote(self.id, member, term, last_index, last_term, transfer)
                )

    def _change_is_unapplied(self) -> bool:
        log = self.log
        if log.applied >= log.committed:
            return False
        waiting = log.slice(log.applied + 1, log.committed + 1, max_bytes=2**62, max_entries=2**62)
        return any(entry.kind == EntryKind.CHANGE for entry in waiting)

    def _become_leader(self) -> None:
        self._reset(self.term)
        self.role = Role.LEADER
        self.leader = self.id
        self.leadership = Leadership(self)
        self.leadership.append(EntryKind.EMPTY, [b""])

    def _reset(self, term: int) -> None:
        if term != self.term:
            assert term > self.term, f"term {term} after {self.term}"  # C1
            self.term = term
            self.vote = 0
        self.leader = None
        self.leadership = None
        self.election_elapsed = 0
        self._votes = {}
        self._draw_election_timeout()

    def _draw_election_timeout(self) -> None:
        ticks = self.config.election_ticks
        self.election_timeout = ticks + self._rng.randrange(ticks)

    # -- messages ------------------------------------------------------------------------------

    def step(self, message: AnyMessage) -> None:
        """Take in one message from a peer."""
        if message.term > self.term:
            if not self._meet_newer_term(message):
                return
        elif message.term < self.term:
            self._meet_older_term(message)
            return
        if isinstance(message, Vote | PreVote):
            self._consider(message)
            return
        handler = self.STEPS[self.role].get(type(message))
        if handler is not None:
            handler(self, message)

    def _meet_newer_term(self, message: AnyMessage) -> bool:
        """Follow it, unless its term is only asked about; whether to go on with the message."""
        if isinstance(message, Vote | PreVote):
            forced = isinstance(message, Vote) and message.transfer
            if not forced and self._keeps_a_lease():
                self._dismiss(message)
                return False
        if isinstance(message, PreVote):
            return True
        if isinstance(message, PreVoteReply) and not message.reject:
            return True
        leads = isinstance(message, Append | Heartbeat | SnapshotOffer)
        self.become_follower(message.term, message.sender if leads else None)
        return True

    def _keeps_a_lease(self) -> bool:
        """Whether a leader may count on this member to elect nobody else now."""
        if not self.config.check_quorum:
            return False
        if self._boot_left > 0:
            return True  # whom it heard before the restart is forgotten, but may count on it
        return self.leader is not None and self.election_elapsed < self.config.election_ticks

    def _dismiss(self, message: Vote | PreVote) -> None:
        leadership = self.leadership
        if leadership is not None and message.sender not in leadership.progress:
            self.send(Goodbye(self.id, message.sender, self.term, "no member of this cluster"))

    def _meet_older_term(self, message: AnyMessage) -> None:
        if isinstance(message, Heartbeat | Append):
            if self.config.check_quorum or self.config.pre_vote:
                # frees a member whose term ran ahead: the leader learns of it and steps down
                self.send_after_persist(AppendReply(self.id, message.sender, self.term, 0))
        elif isinstance(message, PreVote):
            self.send_after_persist(PreVoteReply(self.id, message.sender, self.term, reject=True))

    def _consider(self, message: Vote | PreVote) -> None:
        """Grant or refuse a vote. Learners too: a promotion they have not seen may count on it."""
        free = self.vote == 0 and self.leader is None
        later = isinstance(message, PreVote) and message.term > self.term
        granted = (self.vote == message.sender or free or later) and self.log.is_up_to_date(
            message.last_index, message.last_term
        )
        reply = PreVoteReply if isinstance(message, PreVote) else VoteReply
        if not granted:
            self.send_after_persist(reply(self.id, message.sender, self.term, reject=True))
            return
        self.send_after_persist(reply(self.id, message.sender, message.term))
        if isinstance(message, Vote):
            self.election_elapsed = 0  # a real vote only, or pre-candidates could stall everyone
            self.vote = message.sender

    def _on_vote_reply(self, message: PreVoteReply | VoteReply) -> None:
        pre = self.role is Role.PRE_CANDIDATE
        if isinstance(message, PreVoteReply) is not pre:
            return
        self._votes.setdefault(message.sender, not message.reject)
        configuration = self.configuration
        result = vote_result(configuration.voters, configuration.outgoing, self._votes)
        if result is VoteResult.WON:
            if pre:
                self._stand(Role.CANDIDATE)
            else:
                self._become_leader()
                self._led().broadcast_append()
        elif result is VoteResult.LOST:
            self.become_follower(self.term, None)

    def _on_append(self, message: Append) -> None:
        self._hear(message.sender)
        log = self.log
        if message.prev_index < log.committed:
            self._acknowledge(message.sender, log.committed)
            return
        proven = log.maybe_append(
            message.prev_index, message.prev_term, message.entries, message.commit
        )
        if proven is not None:
            self._acknowledge(message.sender, proven)
            return
        hint, hint_term = log.find_conflict_by_term(
            min(message.prev_index, log.last_index), message.prev_term
        )
        self.send_after_persist(
            AppendReply(
                self.id,
                message.sender,
                self.term,
                message.prev_index,
                reject=True,
                hint_index=hint,
                hint_term=hint_term,
            )
        )

    def _on_heartbeat(self, message: Heartbeat) -> None:
        self._hear(message.sender)
        self.log.commit_to(message.commit)
        self.send(HeartbeatReply(self.id, message.sender, self.term, message.round))

    def _on_snapshot(self, message: SnapshotOffer) -> None:
        self._hear(message.sender)
        restored = self._restore(message.snapshot)
        self._acknowledge(message.sender, self.log.last_index if restored else self.log.committed)

    def _restore(self, snapshot: SnapshotHeader) -> bool:
        log = self.log
        if snapshot.index <= log.committed:
            return False
        # the snapshot may be older than the change that added this member: it is taken all the same
        if log.matches(snapshot.index, snapshot.term):
            log.commit_to(snapshot.index)
            return False
        # its configuration counts from its installation on: a write that is in flight may still
        # hand out committed entries, which are applied to the configuration before it
        log.restore(snapshot)
        return True

    def _acknowledge(self, leader: int, index: int) -> None:
        self.send_after_persist(AppendReply(self.id, leader, self.term, index))

    def _hear(self, leader: int) -> None:
        if self.role is not Role.FOLLOWER:
            self.become_follower(self.term, leader)
        self.election_elapsed = 0
        self.leader = leader

    def _on_timeout_now(self, message: TimeoutNow) -> None:
        del message
        self._stand(Role.CANDIDATE, transfer=True)

    def _on_read_index_reply(self, message: ReadIndexReply) -> None:
        self.add_read(ReadState(message.context, message.index))

    def _on_goodbye(self, message: Goodbye) -> None:
        self._is_dismissed = True
        self.become_follower(message.term, None)

    def _lead_append_reply(self, message: AppendReply) -> None:
        self._led().on_append_reply(message)

    def _lead_heartbeat_reply(self, message: HeartbeatReply) -> None:
        self._led().on_heartbeat_reply(message)

    def _lead_read_index(self, message: ReadIndex) -> None:
        self._led().on_read_index(message)

    _HEARD: ClassVar[dict[type, Handler]] = {
        Append: _on_append,
        Heartbeat: _on_heartbeat,
        SnapshotOffer: _on_snapshot,
    }
    _STANDING: ClassVar[dict[type, Handler]] = {
        **_HEARD,
        PreVoteReply: _on_vote_reply,
        VoteReply: _on_vote_reply,
        Goodbye: _on_goodbye,
    }
    STEPS: ClassVar[dict[Role, dict[type, Handler]]] = {
        Role.FOLLOWER: {
            **_HEARD,
            TimeoutNow: _on_timeout_now,
            ReadIndexReply: _on_read_index_reply,
            Goodbye: _on_goodbye,
        },
        Role.PRE_CANDIDATE: _STANDING,
        Role.CANDIDATE: _STANDING,
        Role.LEADER: {
            AppendReply: _lead_append_reply,
            HeartbeatReply: _lead_heartbeat_reply,
            ReadIndex: _lead_read_index,
        },
    }
    """Who takes which message at its own term; votes are considered by all, the rest ignored."""
