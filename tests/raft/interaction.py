"""Replays etcd's interaction traces on our core, in etcd's words."""

import re
from dataclasses import dataclass, field
from random import Random

from lictor.raft.config import CoreConfig, OnRemoval
from lictor.raft.core import Core, Role
from lictor.raft.errors import Busy, ChangeRefused, NotLeader
from lictor.raft.log import Log
from lictor.raft.membership import (
    Change,
    ChangeKind,
    ChangeSet,
    Configuration,
    Transition,
    decode_change_set,
    encode,
)
from lictor.raft.messages import (
    Append,
    AppendReply,
    EntryKind,
    HardState,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    SnapshotHeader,
    SnapshotOffer,
    TimeoutNow,
    Vote,
    VoteReply,
)
from lictor.raft.progress import ProgressState

KINDS = {
    "v": ChangeKind.ADD_VOTER,
    "l": ChangeKind.ADD_LEARNER,
    "r": ChangeKind.REMOVE,
    "u": ChangeKind.UPDATE,
}
LETTERS = {kind: letter for letter, kind in KINDS.items()}
ROLES = {
    Role.FOLLOWER: "StateFollower",
    Role.PRE_CANDIDATE: "StatePreCandidate",
    Role.CANDIDATE: "StateCandidate",
    Role.LEADER: "StateLeader",
}
NAMES = {
    PreVote: "MsgPreVote",
    PreVoteReply: "MsgPreVoteResp",
    Vote: "MsgVote",
    VoteReply: "MsgVoteResp",
    Append: "MsgApp",
    AppendReply: "MsgAppResp",
    Heartbeat: "MsgHeartbeat",
    HeartbeatReply: "MsgHeartbeatResp",
    SnapshotOffer: "MsgSnap",
    TimeoutNow: "MsgTimeoutNow",
}

REPLIES = (PreVoteReply, VoteReply, AppendReply, HeartbeatReply)


def parse_changes(text):
    return tuple(Change(KINDS[word[0]], int(word[1:])) for word in text.split())


def describe(configuration):
    """One line, as etcd prints a configuration."""

    def ids(members):
        return "(" + " ".join(map(str, members)) + ")"

    text = f"voters={ids(configuration.voters)}"
    if configuration.outgoing:
        text += f"&&{ids(configuration.outgoing)}"
    if configuration.learners:
        text += f" learners={ids(configuration.learners)}"
    if configuration.learners_next:
        text += f" learners_next={ids(configuration.learners_next)}"
    return text + (" autoleave" if configuration.auto_leave else "")


def describe_entry(entry):
    head = f"{entry.term}/{entry.index} "
    if entry.kind != EntryKind.CHANGE:
        quoted = entry.data.decode().replace("\\", "\\\\").replace('"', '\\"')
        return f'{head}EntryNormal "{quoted}"'
    return head + describe_change(entry.data)


def describe_change(data):
    changes = decode_change_set(data)
    name = "EntryConfChange" if changes.context == b"v1" else "EntryConfChangeV2"
    words = [f"{LETTERS[change.kind]}{change.member}" for change in changes.changes]
    return " ".join([name, *words])


def describe_snapshot(snapshot):
    made = snapshot.configuration

    def ids(members):
        return "[" + " ".join(map(str, members)) + "]"

    return (
        f"Index:{snapshot.index} Term:{snapshot.term} ConfState:Voters:{ids(made.voters)} "
        f"VotersOutgoing:{ids(made.outgoing)} Learners:{ids(made.learners)} "
        f"LearnersNext:{ids(made.learners_next)} AutoLeave:{str(made.auto_leave).lower()}"
    )


@dataclass(frozen=True)
class Forwarded:
    """A proposal that etcd forwards to the leader as a message; ours is the registry's RPC."""

    sender: int
    to: int
    kind: EntryKind
    data: bytes


def describe_message(message):
    head = f"{message.sender}->{message.to} "
    if isinstance(message, Forwarded):
        entry = describe_change(message.data)
        return [f"{head}MsgProp Term:0 Log:0/0 Entries:[0/0 {entry}]"]
    term, index = 0, 0
    match message:
        case Vote() | PreVote():
            term, index = message.last_term, message.last_index
        case Append():
            term, index = message.prev_term, message.prev_index
        case AppendReply():
            term, index = message.hint_term, message.index
    text = f"{head}{NAMES[type(message)]} Term:{message.term} Log:{term}/{index}"
    if getattr(message, "reject", False):
        text += f" Rejected (Hint: {getattr(message, 'hint_index', 0)})"
    if getattr(message, "commit", 0):
        text += f" Commit:{message.commit}"
    if isinstance(message, SnapshotOffer):
        return [text, f"  Snapshot: {describe_snapshot(message.snapshot)}"]
    entries = getattr(message, "entries", ())
    if len(entries) == 1:
        text += f" Entries:[{describe_entry(entries[0])}]"
    elif entries:
        return [f"{text} Entries:[", *[f"  {describe_entry(each)}" for each in entries], "]"]
    return [text]


@dataclass
class Member:
    core: Core
    forwarded: list = field(default_factory=list)

    def has_ready(self):
        return bool(self.forwarded) or self.core.has_ready()


class World:
    """The members of one trace and the messages between them."""

    def __init__(self):
        self.members: dict[int, Member] = {}
        self.messages = []
        self.silent = False

    def run(self, case):
        """The output of one case, or None while nothing is printed."""
        level = case.option("log-level") or (
            case.positional[0] if case.command == "log-level" else None
        )
        handler = getattr(self, "do_" + case.command.replace("-", "_"))
        output = handler(case) or []
        if case.command == "log-level":
            self.silent = level == "none"
            return None
        return None if self.silent or level == "none" else output

    def core(self, case, position=0):
        return self.members[int(case.positional[position])].core

    def do_log_level(self, case):
        pass

    def do_add_nodes(self, case):
        learners, voters = case.ids("learners"), case.ids("voters")
        configuration = Configuration(voters=voters, learners=learners)
        index = int(case.option("index", 0))
        for _ in range(int(case.positional[0])):
            me = len(self.members) + 1
            unlimited = 2**60
            config = CoreConfig(
                node_id=me,
                election_ticks=3,
                heartbeat_ticks=1,
                pre_vote=case.flag("prevote"),
                check_quorum=case.flag("checkquorum"),
                max_append_bytes=unlimited,
                max_append_entries=unlimited,
                max_inflight=int(case.option("inflight", unlimited)),
                max_inflight_bytes=unlimited,
                max_committed_bytes=int(case.option("max-committed-size-per-ready", unlimited)),
                max_uncommitted_bytes=unlimited,
                on_removal=OnRemoval.STEP_DOWN
                if case.flag("step-down-on-removal")
                else OnRemoval.STAY,
                lease_reads=case.option("read-only") == "lease-based",
                validate_changes=not case.flag("disable-conf-change-validation"),
            )
            snapshot = SnapshotHeader(index, 1, configuration) if index else None
            core = Core(
                config,
                log=Log(base_index=index, base_term=1 if index else 0),
                hard=HardState(),
                configuration=configuration,
                rng=Random(me),
                latest_snapshot=snapshot,
            )
            self.members[me] = Member(core)

    def do_campaign(self, case):
        self.core(case).campaign()

    def do_propose(self, case):
        return self._propose(case, EntryKind.COMMAND, case.positional[1].encode())

    def do_propose_conf_change(self, case):
        changes = ChangeSet(
            parse_changes(" ".join(case.input)),
            Transition(case.option("transition", "auto")),
            b"v1" if case.flag("v1") else b"",
        )
        return self._propose(case, EntryKind.CHANGE, encode(changes))

    def _propose(self, case, kind, data):
        core = self.core(case)
        if core.leadership is None and core.leader is not None:
            self.members[core.id].forwarded.append(Forwarded(core.id, core.leader, kind, data))
            return []
        try:
            self._append(core, kind, data)
        except (NotLeader, Busy):
            return ["raft proposal dropped"]
        return []

    def _append(self, core, kind, data):
        if kind == EntryKind.COMMAND:
            core.propose([data])
            return
        try:
            core.propose_change(decode_change_set(data))
        except ChangeRefused:
            core.propose([b""])  # etcd appends an empty entry in place of a refused change

    def do_process_ready(self, case):
        return self._for_each(case, "handling Ready", self._process_ready)

    def _for_each(self, case, doing, action):
        ids = [int(word) for word in case.positional]
        if len(ids) == 1:
            return action(ids[0])
        output = []
        for me in ids:
            output += [f"> {me} {doing}", *_indent(action(me))]
        return output

    def _process_ready(self, me):
        member = self.members[me]
        core = member.core
        forwarded, member.forwarded = member.forwarded, []
        ready = core.ready()
        if ready is None and not forwarded:
            return ["<empty Ready>"]
        sent = [*(ready.messages + ready.after_persist if ready else []), *forwarded]
        output = [f"Ready MustSync={str(ready.must_sync if ready else False).lower()}:"]
        if ready is not None:
            output += self._describe_ready(ready)
        if sent:
            output.append("Messages:")
            for message in sent:
                output += describe_message(message)
        if ready is not None:
            self._apply(core, ready)
            core.advance(ready)
        self.messages += sent
        return output

    @staticmethod
    def _describe_ready(ready):
        output = []
        if ready.soft is not None:
            leader, role = ready.soft
            output.append(f"Lead:{leader or 0} State:{ROLES[role]}")
        if ready.hard is not None:
            vote = f" Vote:{ready.hard.vote}" if ready.hard.vote else ""
            output.append(f"HardState Term:{ready.hard.term}{vote} Commit:{ready.hard.commit}")
        if ready.entries:
            output += ["Entries:", *map(describe_entry, ready.entries)]
        if ready.snapshot is not None:
            output.append(f"Snapshot {describe_snapshot(ready.snapshot)}")
        if ready.committed:
            output += ["CommittedEntries:", *map(describe_entry, ready.committed)]
        return output

    @staticmethod
    def _apply(core, ready):
        if ready.snapshot is not None:
            core.latest_snapshot = ready.snapshot
        for entry in ready.committed:
            if entry.kind == EntryKind.CHANGE:
                core.apply_change(entry)
            core.latest_snapshot = SnapshotHeader(entry.index, entry.term, core.configuration)

    def do_deliver_msgs(self, case):
        output = []
        for me in (int(word) for word in case.positional):
            output += self._deliver(me, case.option("type"))
        for me in case.ids("drop"):
            for message in self._take(me, None):
                first, *rest = describe_message(message)
                output += [f"dropped: {first}", *rest]
        return output

    def _take(self, me, kind):
        taken = [
            message
            for message in self.messages
            if message.to == me and kind in (None, NAMES.get(type(message)))
        ]
        for message in taken:
            self.messages.remove(message)
        return taken

    def _deliver(self, me, kind=None):
        output = []
        core = self.members[me].core if me in self.members else None
        for message in self._take(me, kind):
            output += describe_message(message)
            if isinstance(message, REPLIES) and message.sender not in core.configuration.members:
                output.append("raft: cannot step as peer not found")  # we say nothing
            elif isinstance(message, Forwarded):
                self._append(core, message.kind, message.data)
            else:
                core.step(message)
        return output

    def do_stabilize(self, case):
        ids = [int(word) for word in case.positional] or list(self.members)
        output = []
        for _ in range(1_000):
            worked = False
            for me in ids:
                if self.members[me].has_ready():
                    worked = True
                    output += [f"> {me} handling Ready", *_indent(self._process_ready(me))]
            for me in ids:
                if any(message.to == me for message in self.messages):
                    worked = True
                    output += [f"> {me} receiving messages", *_indent(self._deliver(me))]
            if not worked:
                return output
        raise AssertionError("the trace does not come to rest")

    def do_raft_state(self, case):
        return [
            f"{me}: {ROLES[member.core.role]} "
            f"({'Voter' if me in member.core.configuration.all_voters else 'Non-Voter'}) "
            f"Term:{member.core.term} Lead:{member.core.leader or 0}"
            for me, member in self.members.items()
        ]

    def do_status(self, case):
        core = self.core(case)
        output = []
        for me, progress in sorted(core.leadership.progress.items()):
            text = f"{me}: State{progress.state.value.capitalize()} "
            text += f"match={progress.match} next={progress.next}"
            if me in core.configuration.learners:
                text += " learner"
            if progress.is_paused:
                text += " paused"
            if progress.state is ProgressState.SNAPSHOT and progress.pending_snapshot:
                text += f" pendingSnap={progress.pending_snapshot}"
            if not progress.active:
                text += " inactive"
            if len(progress.inflights):
                full = "[full]" if progress.inflights.full else ""
                text += f" inflight={len(progress.inflights)}{full}"
            output.append(text)
        return output

    def do_raft_log(self, case):
        log = self.core(case).log
        if log.stable < log.first_index:
            return [f"log is empty: first index={log.first_index}, last index={log.stable}"]
        entries = log.slice(log.first_index, log.stable + 1, max_bytes=2**60, max_entries=2**60)
        return [describe_entry(entry) for entry in entries]

    def do_compact(self, case):
        self.core(case).log.compact(int(case.positional[1]))
        return self.do_raft_log(case)

    def do_tick_heartbeat(self, case):
        self.core(case).tick()

    def do_tick_election(self, case):
        for _ in range(3):
            self.core(case).tick()

    def do_set_randomized_election_timeout(self, case):
        self.core(case).election_timeout = int(case.option("timeout"))

    def do_forget_leader(self, case):
        self.core(case).forget_leader()

    def do_transfer_leadership(self, case):
        self.members[int(case.option("from"))].core.transfer(int(case.option("to")))

    def do_report_unreachable(self, case):
        self.core(case).report_unreachable(int(case.positional[1]))

    def do_send_snapshot(self, case):
        core = self.core(case)
        offer = SnapshotOffer(core.id, int(case.positional[1]), core.term, core.latest_snapshot)
        self.messages.append(offer)
        return describe_message(offer)


def _indent(lines):
    return ["  " + line for line in lines]


LOGGED = re.compile(r"\s*(DEBUG|INFO|WARN|ERROR|FATAL) ")


def comparable(lines):
    """Without the logger's lines, which are etcd's own words, and without ``ok``."""
    return [line for line in lines if not LOGGED.match(line) and line != "ok"]
