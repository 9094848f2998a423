"""Cores under random faults, with the invariants of Raft checked after every event.

No loop, no driver: messages, ticks, writes and crashes come in any order that chance picks. A write
is one transaction that is either on the disk or not; promises leave only after it is.
"""

from random import Random

from lictor.raft.config import CoreConfig
from lictor.raft.core import Core, Role
from lictor.raft.errors import RaftError
from lictor.raft.log import Log
from lictor.raft.membership import Change, ChangeKind, ChangeSet, Configuration
from lictor.raft.messages import (
    AppendReply,
    EntryKind,
    HardState,
    SnapshotHeader,
    SnapshotOffer,
    VoteReply,
    decode,
    encode,
)

FAULTS = 1_000
"""Rates below are per so many events."""
RATES = {
    "crash": 4,
    "restart": 20,
    "cut": 7,
    "heal": 3,
    "compact": 20,
    "transfer": 4,
    "change": 6,
    "propose": 60,
    "report": 5,
}


class Disk:
    """What survives a crash."""

    def __init__(self, configuration):
        self.hard = HardState(term=1, vote=0, commit=1)
        self.snapshot = SnapshotHeader(1, 1, configuration)
        self.entries = []
        self.state = 0

    @property
    def last_index(self):
        return self.entries[-1].index if self.entries else self.snapshot.index

    def write(self, ready, hard):
        if ready.snapshot is not None:
            self.snapshot, self.entries = ready.snapshot, []
            self.state = int.from_bytes(ready.snapshot.sha256, "big")
        if ready.entries:
            first = ready.entries[0].index
            self.entries = [entry for entry in self.entries if entry.index < first]
            self.entries += ready.entries
        if hard is not None:
            assert hard.term >= self.hard.term, "the durable term went backwards"
            if hard.term == self.hard.term and self.hard.vote:
                assert hard.vote == self.hard.vote, "a vote was changed"
            self.hard = hard


class Peer:
    """One member: a core, a disk, and the hash of what was applied."""

    def __init__(self, me, configuration, rng):
        self.me, self.rng = me, rng
        self.disk = Disk(configuration)
        self.core = None
        self.writing = None
        self.unsaved = None
        self.start()

    def start(self):
        disk = self.disk
        self.core = Core(
            CoreConfig(
                node_id=self.me,
                election_ticks=10,
                heartbeat_ticks=2,
                boot_ticks=10,
                max_append_bytes=400,
                max_inflight=4,
                max_committed_bytes=400,
            ),
            log=Log(
                base_index=disk.snapshot.index,
                base_term=disk.snapshot.term,
                entries=disk.entries,
            ),
            hard=disk.hard,
            configuration=disk.snapshot.configuration,
            rng=self.rng,
            latest_snapshot=disk.snapshot,
        )
        self.applied, self.state = disk.snapshot.index, disk.state
        self.writing = self.unsaved = None
        self.acknowledged = (0, 0)
        self.led = (0, 0)


class Fleet:
    """All of them, the messages between them, and what is known to be true for ever."""

    def __init__(self, seed, *, size=3, spare=2, rates=None):
        self.rng = Random(seed)
        self.rates = {**RATES, **(rates or {})}
        voters = tuple(range(1, size + 1))
        configuration = Configuration(voters=voters)
        self.peers = {me: Peer(me, configuration, self.rng) for me in range(1, size + spare + 1)}
        for me in range(size + 1, size + spare + 1):
            peer = self.peers[me]
            peer.disk = Disk(Configuration())
            peer.disk.hard = HardState()
            peer.disk.snapshot = SnapshotHeader(0, 0, Configuration())
            peer.start()
        self.down: set[int] = set()
        self.cut: set[tuple[int, int]] = set()
        self.messages: list = []
        self.leaders: dict[int, int] = {}
        self.votes: dict[tuple[int, int], int] = {}
        self.chain: dict[tuple[int, int], tuple] = {}
        self.applied: dict[int, tuple] = {1: ()}
        self.states: dict[int, int] = {1: 0}
        self.configurations: dict[int, Configuration] = {}
        self.commits = 1
        self.proposed = 0

    # -- chance --------------------------------------------------------------------------------

    def run(self, events):
        for _ in range(events):
            self.step()

    def step(self):
        draw = self.rng.randrange(FAULTS)
        for name, rate in self.rates.items():
            if draw < rate:
                getattr(self, f"do_{name}")()
                return
            draw -= rate
        choice = self.rng.random()
        if choice < 0.55 and self.messages:
            self.deliver()
        elif choice < 0.85:
            self.work(self.any_up())
        else:
            self.tick(self.any_up())

    def any_up(self):
        up = [me for me in self.peers if me not in self.down]
        return self.peers[self.rng.choice(up)] if up else None

    def deliver(self):
        at = self.rng.randrange(min(12, len(self.messages)))
        message = self.messages[at]
        luck = self.rng.randrange(1_000)
        if luck >= 50:  # otherwise it is a duplicate, and stays
            del self.messages[at]
        if luck >= 970 or (message.sender, message.to) in self.cut or message.to in self.down:
            return
        peer = self.peers[message.to]
        peer.core.step(decode(encode(message)))
        self.check(peer)

    def tick(self, peer):
        if peer is not None:
            peer.core.tick()
            self.send(peer, peer.core.take_messages())
            self.check(peer)

    def work(self, peer):
        """Start a write, or end the one that was started."""
        if peer is None:
            return
        if peer.writing is not None:
            self.persist(peer)
            self.finish(peer)
        else:
            self.begin(peer)
        self.check(peer)

    def begin(self, peer):
        ready = peer.core.ready()
        if ready is None:
            return
        hard = ready.hard if ready.hard is not None else peer.unsaved
        peer.writing = (ready, hard)
        self.send(peer, ready.messages)

    def persist(self, peer):
        ready, hard = peer.writing
        self.check_chain(peer, ready)
        if ready.must_sync or ready.snapshot is not None:
            peer.disk.write(ready, hard)
            peer.unsaved = None
        else:
            peer.unsaved = hard

    def finish(self, peer):
        ready, _ = peer.writing
        peer.writing = None
        self.check_promises(peer, ready.after_persist)
        self.send(peer, ready.after_persist)
        if ready.snapshot is not None:
            index = ready.snapshot.index
            state = int.from_bytes(ready.snapshot.sha256, "big")
            assert self.states[index] == state, "a snapshot is not the fold of its entries"
            peer.applied, peer.state = index, state
            peer.core.latest_snapshot = ready.snapshot
        self.apply(peer, ready.committed)
        peer.core.advance(ready)
        if ready.snapshot is not None and peer.core.log.pending_snapshot is None:
            assert peer.core.log.applied >= ready.snapshot.index

    def apply(self, peer, entries):
        for entry in entries:
            assert entry.index == peer.applied + 1, "applied out of order"
            what = (entry.term, entry.kind, entry.data)
            assert self.applied.setdefault(entry.index, what) == what, "two histories"
            peer.applied = entry.index
            peer.state = hash((peer.state, what)) & (2**64 - 1)
            assert self.states.setdefault(entry.index, peer.state) == peer.state
            if entry.kind == EntryKind.CHANGE:
                made = peer.core.apply_change(entry)
                assert self.configurations.setdefault(entry.index, made) == made
            self.commits = max(self.commits, entry.index)

    def send(self, peer, messages):
        self.messages += [message for message in messages if message.to in self.peers]
        if len(self.messages) > 400:
            del self.messages[: len(self.messages) - 400]
        assert all(message.sender == peer.me for message in messages)

    # -- faults --------------------------------------------------------------------------------

    def do_crash(self):
        peer = self.any_up()
        if peer is None:
            return
        if peer.writing is not None and self.rng.random() < 0.5:
            self.persist(peer)  # on the disk, but nothing was said yet
        self.down.add(peer.me)
        peer.writing = None

    def do_restart(self):
        if self.down:
            me = self.rng.choice(sorted(self.down))
            self.down.discard(me)
            self.peers[me].start()

    def do_cut(self):
        members = sorted(self.peers)
        if self.rng.random() < 0.5:
            self.cut.add(tuple(self.rng.sample(members, 2)))
        else:
            group = set(self.rng.sample(members, self.rng.randint(1, len(members) - 1)))
            self.cut |= {
                way for a in group for b in set(members) - group for way in ((a, b), (b, a))
            }

    def do_heal(self):
        self.cut.clear()

    def do_compact(self):
        peer = self.any_up()
        if peer is None or peer.writing is not None or peer.applied <= peer.disk.snapshot.index:
            return
        core = peer.core
        if core.log.stable < peer.applied or core.log.applied != peer.applied:
            return
        index = peer.applied
        header = SnapshotHeader(
            index, core.log.term(index), core.configuration, 8, peer.state.to_bytes(8, "big")
        )
        peer.disk.snapshot, peer.disk.state = header, peer.state
        peer.disk.entries = [entry for entry in peer.disk.entries if entry.index > index]
        core.latest_snapshot = header
        core.log.compact(index - self.rng.randint(0, 5))

    def leading(self):
        led = [
            peer
            for me, peer in self.peers.items()
            if me not in self.down and peer.core.role is Role.LEADER
        ]
        return self.rng.choice(led) if led else None

    def do_propose(self):
        self.ask(lambda core: core.propose([b"%d" % self.count()]))

    def count(self):
        self.proposed += 1
        return self.proposed

    def do_transfer(self):
        self.ask(lambda core: core.transfer(self.rng.choice(sorted(self.peers))))

    def do_change(self):
        kinds = [ChangeKind.ADD_VOTER, ChangeKind.ADD_LEARNER, ChangeKind.REMOVE]
        changes = tuple(
            Change(self.rng.choice(kinds), self.rng.choice(sorted(self.peers)))
            for _ in range(self.rng.randint(0, 2))
        )
        self.ask(lambda core: core.propose_change(ChangeSet(changes)))

    def do_report(self):
        for peer in self.peers.values():
            for member in self.peers:
                if self.rng.random() < 0.5:
                    peer.core.report_snapshot(member, installed=False)
                else:
                    peer.core.report_unreachable(member)

    def ask(self, request):
        peer = self.leading()
        if peer is None:
            return
        try:
            request(peer.core)
        except RaftError:
            return  # a refusal is an answer
        self.send(peer, peer.core.take_messages())
        self.check(peer)

    # -- what must hold ------------------------------------------------------------------------

    def check(self, peer):
        core = peer.core
        log = core.log
        assert log.applied <= log.committed <= log.last_index
        if core.role is Role.LEADER:
            assert self.leaders.setdefault(core.term, peer.me) == peer.me, "two leaders of a term"
            retires = core.leadership.is_retiring
            assert retires or peer.me in core.configuration.all_voters, "a learner leads"
            term, last = peer.led
            if term != core.term:
                self.check_completeness(peer)
            else:
                assert log.last_index >= last, "a leader shortened its log"
            peer.led = (core.term, log.last_index)
        term = core.term
        promised_in, index = peer.acknowledged
        if promised_in == term:
            assert log.last_index >= index, "holds less than it acknowledged"

    def check_completeness(self, peer):
        log = peer.core.log
        for index in range(log.first_index, self.commits + 1):
            if self.applied.get(index):
                assert log.term(index) == self.applied[index][0], "a leader lacks a commit"

    def check_chain(self, peer, ready):
        log = peer.core.log
        for entry in ready.entries:
            before = log.term(entry.index - 1)
            if log.term(entry.index) != entry.term or before is None:
                continue  # replaced since, or compacted before it
            what = (before, entry.kind, entry.data)
            known = self.chain.setdefault((entry.index, entry.term), what)
            assert known == what, "logs do not match"

    def check_promises(self, peer, messages):
        disk = peer.disk
        for message in messages:
            if isinstance(message, AppendReply) and not message.reject:
                assert disk.last_index >= message.index, "acknowledged before it was on disk"
                assert disk.hard.term >= message.term
                if message.term == peer.core.term:
                    peer.acknowledged = max(peer.acknowledged, (message.term, message.index))
            elif isinstance(message, VoteReply) and not message.reject:
                assert (disk.hard.term, disk.hard.vote) >= (message.term, 0)
                if disk.hard.term == message.term:
                    assert disk.hard.vote == message.to, "a vote left before it was on disk"
                key = (peer.me, message.term)
                assert self.votes.setdefault(key, message.to) == message.to, "voted twice"
            elif isinstance(message, SnapshotOffer):
                raise AssertionError("an offer has no need to wait")

    def settle(self, rounds=400):
        """Without further faults there is a leader, and what it proposes is committed.

        Returns the number of rounds it took.
        """
        self.cut.clear()
        for me in sorted(self.down):
            self.peers[me].start()
        self.down.clear()
        target = None
        for number in range(rounds):
            self.quiet_round()
            if number % 20 == 0:
                self.do_report()  # as the driver does for offers that nobody takes up
            if number % 50 == 0:
                target = None  # who proposed it may lead no more
            if target is None:
                target = self.propose_last()
            elif self.commits >= target:
                if self.applied[target][2] == b"last":
                    return number
                target = None  # another leader's entry took its place
        raise AssertionError("it does not come to life again")

    def propose_last(self):
        leader = self.leading()
        if leader is None:
            return None
        try:
            return leader.core.propose([b"last"])[1]
        except RaftError:
            return None

    def quiet_round(self):
        """One tick for everybody, then everything there is to do."""
        for peer in self.peers.values():
            self.tick(peer)
        for _ in range(60):
            for peer in self.peers.values():
                self.work(peer)
            messages, self.messages = self.messages, []
            for message in messages:
                self.peers[message.to].core.step(message)
                self.check(self.peers[message.to])
            if not any(peer.core.has_ready() for peer in self.peers.values()):
                return
