"""The driver of one member: core to disk, network and state machine, in the order that is safe.

One task. It holds no rule of Raft; it decides only when things are done. Whatever arrives while one
write runs goes into the next: batches form by themselves, and each costs one fsync.

Invariants
    N1  At most one write is in flight.
    N2  A proposal's future is resolved after its entry is on disk at a quorum and applied here.
        "Not committed" is never said on a guess: what is not known is OutcomeUnknown.
    N3  The first error of the storage ends the node.
    N4  Inputs come before time: a deaf loop must not start an election over messages it holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry

from .config import RaftConfig
from .core import Core, Ready
from .errors import (
    Busy,
    EntryTooLarge,
    NotLeader,
    OutcomeUnknown,
    RaftError,
)
from .lease import Lease
from .log import Log
from .machine import StateMachine
from .membership import ChangeSet, Configuration
from .messages import (
    AnyMessage,
    Append,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    SnapshotHeader,
    SnapshotOffer,
)
from .metrics import RaftMetrics
from .peers import Transport
from .runtime import Runtime
from .snapshotting import Snapshotting
from .storage import Recovered, Storage
from .storage_thread import StorageThread
from .waiting import Appliers, Proposals, Reads

T = TypeVar("T")
log = structlog.get_logger("raft")

APPLY_AT_ONCE = 256
"""Entries handed to the state machine in one call."""
STEP_AT_ONCE = 1_024
"""Messages stepped in one turn."""
INBOX_LIMIT = 16 * STEP_AT_ONCE
"""Messages that may wait to be stepped."""
SPACE_CHECK_INTERVAL = 5.0
"""Seconds between two looks at the free space of the disk."""
IDLE_BEFORE_CHECKPOINT = 1.0
"""Seconds without a write after which the storage may tidy up."""


class Node:
    """One member of a cluster, driven. Everything happens on the loop that ran :meth:`start`."""

    failed: asyncio.Future[BaseException]
    """Done when the node has ended itself, with the reason. Exists once started."""

    def __init__(
        self,
        *,
        config: RaftConfig,
        runtime: Runtime,
        storage: Storage,
        machine: StateMachine,
        registry: CollectorRegistry | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._config = config
        self._clock = runtime.clock
        self._disk = runtime.disk
        self._thread = StorageThread(storage, runtime.disk)
        self._snapshots = Snapshotting(config, storage, self._thread, machine)
        self._rng = runtime.rng
        self._storage = storage
        self._machine = machine
        self._transport = transport
        self._metrics = RaftMetrics(CollectorRegistry() if registry is None else registry)
        self._core: Core
        self._loop: asyncio.AbstractEventLoop
        self._wake: asyncio.Event
        self._tasks: set[asyncio.Task[None]] = set()
        self._driver: asyncio.Task[None] | None = None
        self._closing = False
        self._inbox: deque[AnyMessage] = deque()
        self._tick_due = False
        self._proposals: Proposals
        self._reads: Reads
        self._appliers: Appliers
        self._lease = Lease(config.election_timeout * config.lease_fraction)
        self._write: asyncio.Future[None] | None = None
        self._writing: Ready | None = None
        self._write_began = 0.0
        self._unsaved: HardState | None = None
        self._applied = 0
        self._introduced: dict[int, str] = {}
        self._leads = False
        self._listeners: list[Callable[[bool], None]] = []
        self._heard = 0.0
        self._last_write = 0.0
        self._next_space_check = 0.0
        self._disk_is_full = False

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Recover, restore the snapshot, and begin. A single voter leads when this returns.

        Raises:
            StorageError: what is on disk cannot be used; the sentence says why.
        """
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._proposals = Proposals(self._loop)
        self._reads = Reads(self._loop)
        self._appliers = Appliers(self._loop)
        self.failed = self._loop.create_future()
        recovered = await self._recover()
        configuration = Configuration()
        if recovered.snapshot is not None:
            configuration = recovered.snapshot.configuration
            await self._snapshots.restore(recovered.snapshot)
        self._core = Core(
            self._config.core(recovered.node_id),
            log=_log_of(recovered),
            hard=recovered.hard,
            configuration=configuration,
            rng=self._rng,
            latest_snapshot=recovered.snapshot,
        )
        self._applied = self._core.log.applied
        self._heard = self._last_write = self._clock.now()
        leads = asyncio.Event()

        def watch(gained: bool) -> None:  # noqa: FBT001 - the shape of every listener
            if gained:
                leads.set()

        self.on_leadership(watch)
        if self._transport is not None:
            self._transport.attach(self)
        # what is known to be committed is applied before anybody campaigns: it may change who votes
        self._driver = self._loop.create_task(self._run(), name="raft")
        self._spawn(self._tick())
        await self._wait_applied(self._core.log.committed)
        if self._core.is_sole_voter:
            self._core.campaign()
            self._wake.set()
            self.failed.add_done_callback(lambda _: leads.set())
            await leads.wait()
        self._listeners.remove(watch)
        if self.failed.done():
            raise self.failed.result()

    async def close(self) -> None:
        """Stop. A leader hands over first, if somebody can take over within an election timeout.

        What was proposed and is not yet applied becomes OutcomeUnknown.
        """
        if self._driver is None:
            self._closing = True
            return
        await self.hand_over()
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._driver})
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._transport is not None:
            await self._transport.close()
        if self._unsaved is not None and not self.failed.done():
            hard = self._unsaved
            await self._thread.run(lambda: self._storage.save(hard, []))
        await self._thread.run(self._storage.close)
        self._give_up(OutcomeUnknown("the server is stopping"))
        self._announce(leads=False)

    async def hand_over(self) -> None:
        """Have another voter lead, if this one does; give up after one election timeout."""
        left = asyncio.Event()

        def watch(gained: bool) -> None:  # noqa: FBT001 - the shape of every listener
            if not gained:
                left.set()

        if self._leads and self._hand_over():
            self.on_leadership(watch)
            until = self._clock.now() + self._config.election_timeout
            await self._clock.wait(left, until=until)
            self._listeners.remove(watch)

    async def bootstrap(self, configuration: Configuration) -> None:
        """Begin a cluster of these voters; each of them must be told the very same.

        Raises:
            StorageError: this member has state already.
        """
        header = await self._thread.run(lambda: self._storage.bootstrap(configuration))
        self._snapshots.latest = header
        self._applied = header.index
        self._core = Core(
            self._config.core(self._core.id),
            log=Log(base_index=header.index, base_term=header.term),
            hard=HardState(header.term, 0, header.index),
            configuration=configuration,
            rng=self._rng,
            latest_snapshot=header,
        )
        self._wake.set()

    async def _recover(self) -> Recovered:
        new_id = self._rng.getrandbits(63) or 1
        recovered = await self._thread.run(lambda: self._storage.open(new_node_id=new_id))
        if not self._config.bootstrap or not recovered.is_new:
            return recovered
        me = recovered.node_id
        address = ((me, self._config.address),) if self._config.address else ()
        configuration = Configuration(voters=(me,), addresses=address)
        header = await self._thread.run(lambda: self._storage.bootstrap(configuration))
        return Recovered(me, HardState(header.term, 0, header.index), header, [])

    def _spawn(self, work: asyncio._CoroutineLike[None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)  # N3, and a snapshot that cannot be encoded is no better

    # -- what callers ask ----------------------------------------------------------------------

    def propose(self, data: bytes) -> asyncio.Future[object]:
        """Replicate a command; the future has what the state machine returned for it.

        The future fails with OutcomeUnknown if leadership or the server ends first, and with
        NotLeader if the command is surely not committed.

        Raises:
            NotLeader: ask its ``leader``.
            Busy: try again later.
            EntryTooLarge: the command exceeds the limit.
        """
        if self._closing or self._core.leadership is None:
            raise NotLeader(None if self._closing else self._core.leader)
        if len(data) > self._config.max_entry_bytes:
            raise EntryTooLarge(len(data), self._config.max_entry_bytes)
        if len(self._proposals) >= self._config.max_apply_lag:
            raise Busy("too many proposals are waiting")
        if self._disk_is_full:
            raise Busy("the disk is almost full")
        self._wake.set()
        return self._proposals.add(data)

    def propose_change(self, changes: ChangeSet) -> asyncio.Future[object]:
        """Change the membership; the future has the configuration that was applied.

        The future fails as that of :meth:`propose`, or with ChangeRefused.

        Raises:
            NotLeader: ask its ``leader``.
        """
        if self._closing or self._core.leadership is None:
            raise NotLeader(None if self._closing else self._core.leader)
        self._wake.set()
        return self._proposals.add_change(changes)

    def transfer(self, to: int) -> None:
        """Hand leadership to ``to``. The lease ends before that begins.

        Raises:
            NotLeader: there is nothing to hand over.
            ChangeRefused: ``to`` is no voter.
        """
        self._core.transfer(to)
        self._lease.drop()
        self._wake.set()

    def step(self, messages: Iterable[AnyMessage]) -> None:
        """Take in messages from peers, in the order they came."""
        if self._closing:
            return
        for message in messages:
            if isinstance(message, SnapshotOffer):
                self._consider_offer(message)
            elif len(self._inbox) < INBOX_LIMIT:  # beyond it they are lost, and sent again
                self._inbox.append(message)
        self._wake.set()

    def unreachable(self, member: int) -> None:
        """What was sent to ``member`` last may be lost."""
        self._core.report_unreachable(member)
        if not self._snapshots.is_asked_by(member):
            self._core.report_snapshot(member, installed=False)  # the offer may be lost, too
        self._wake.set()

    def progress(self) -> dict[int, tuple[int, bool]]:
        """Each follower's replicated index, and whether it was heard lately; empty elsewhere."""
        leadership = self._core.leadership
        if leadership is None:
            return {}
        return {
            member: (leadership.progress[member].match, leadership.progress[member].active)
            for member in leadership.followers
        }

    def address_of(self, member: int) -> str | None:
        """``host:port`` of ``member``: as introduced last, else as the configuration has it."""
        return self._introduced.get(member) or self._core.configuration.address(member)

    def introduce(self, member: int, address: str) -> None:
        """``member`` listens at ``address`` now, whatever the configuration says."""
        self._introduced[member] = address

    async def snapshot_piece(
        self, member: int, header: SnapshotHeader, offset: int, size: int
    ) -> bytes:
        """Bytes of a snapshot that ``member`` fetches.

        Raises:
            StorageError: there is no such snapshot any more.
        """
        now = self._clock.now()
        return await self._snapshots.piece(member, header, offset, size, now=now)

    async def read_index(self) -> int:
        """An index that every write acknowledged before this call is at or below, applied here.

        Raises:
            NotLeader: no quorum confirmed a leader in time.
        """
        if self._closing:
            raise NotLeader(None)
        if self._leads and self._core.is_sole_voter:
            index = self._core.log.committed
        else:
            self._wake.set()
            index = await self._reads.add(self._clock.now() + self._config.read_timeout)
        await self._wait_applied(index)
        return index

    def has_lease(self) -> bool:
        """Whether a default read may be answered now: nobody else can lead before it is."""
        if not self._leads or self._closing:
            return False
        if self._core.is_sole_voter:
            return True
        leadership = self._core.leadership
        return (
            leadership is not None
            and leadership.transferee is None
            and self._lease.holds(self._clock.now())
        )

    def on_leadership(self, callback: Callable[[bool], None]) -> None:
        """Call ``callback`` with True once this member leads and has applied an entry of its term.

        And with False as soon as that ends.
        """
        self._listeners.append(callback)

    @property
    def node_id(self) -> int:
        """This member's id, made with its data directory."""
        return self._core.id

    @property
    def term(self) -> int:
        """The current term."""
        return self._core.term

    @property
    def role(self) -> str:
        """One of leader, follower, candidate, pre-candidate."""
        return self._core.role.value

    @property
    def leader_id(self) -> int | None:
        """Who leads, as far as is known."""
        return self._core.leader

    @property
    def is_leader(self) -> bool:
        """Whether this member leads and has applied an entry of its term."""
        return self._leads

    @property
    def commit_index(self) -> int:
        """The highest index known to be committed."""
        return self._core.log.committed

    @property
    def applied_index(self) -> int:
        """The highest index applied here."""
        return self._applied

    @property
    def last_index(self) -> int:
        """The last index of the log."""
        return self._core.log.last_index

    @property
    def last_term(self) -> int:
        """The term of the last entry of the log."""
        return self._core.log.last_term

    @property
    def snapshot_index(self) -> int:
        """The index of the newest snapshot; 0 without one."""
        return self._snapshots.index

    @property
    def snapshot_term(self) -> int:
        """The term of the newest snapshot; 0 without one."""
        return self._snapshots.latest.term if self._snapshots.latest is not None else 0

    @property
    def configuration(self) -> Configuration:
        """The configuration that is applied."""
        return self._core.configuration

    def last_contact(self) -> float:
        """Seconds since the leader was heard; 0.0 on the leader."""
        return 0.0 if self._leads else max(0.0, self._clock.now() - self._heard)

    # -- the loop ------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while not self._closing:
                self._wake.clear()
                self._take_inputs()
                if self._write is not None and self._write.done():
                    await self._finish_write(self._write)
                if self._write is None:
                    await self._work()
                self._send(self._core.take_messages())
                self._reads.answer(self._core.take_reads())
                await self._wake.wait()
            if self._write is not None and not self.failed.done():
                await self._finish_write(self._write)
        except Exception as error:  # noqa: BLE001 - whatever it is, this member must not go on
            self._fail(error)

    async def _work(self) -> None:
        """Start what the core wants done, until a write is in flight or nothing is left."""
        core = self._core
        while self._write is None:
            ready = core.ready()
            if ready is None:
                return
            self._follow_leadership()
            self._send(ready.messages)
            hard = ready.hard if ready.hard is not None else self._unsaved
            if not ready.must_sync and ready.snapshot is None:
                self._unsaved = hard  # a commit index alone waits for the next write
                self._send(ready.after_persist)
                await self._apply(ready.committed)
                core.advance(ready)
                continue
            self._unsaved = None
            stable = core.log.stable
            self._start_write(ready, hard)
            # what is on our disk already need not wait for this write to be applied
            await self._apply([entry for entry in ready.committed if entry.index <= stable])
            if self._write is not None and self._write.done():
                await self._finish_write(self._write)

    def _start_write(self, ready: Ready, hard: HardState | None) -> None:
        storage = self._storage
        snapshot = ready.snapshot
        entries = ready.entries

        def write() -> None:
            if snapshot is not None:
                storage.install_snapshot(snapshot, hard or self._core.hard)
                storage.save(None, entries)
            else:
                storage.save(hard, entries)

        self._writing = ready
        self._write_began = self._clock.now()
        if storage.inline:
            self._write = self._loop.create_future()
            write()
            self._write.set_result(None)
        else:
            self._write = self._loop.create_task(self._disk.run(write))
            self._write.add_done_callback(lambda _: self._wake.set())

    async def _finish_write(self, write: asyncio.Future[None]) -> None:
        await write
        ready = self._writing
        assert ready is not None
        self._write = self._writing = None
        self._last_write = self._clock.now()
        self._metrics.write_seconds.observe(self._last_write - self._write_began)
        self._metrics.write_entries.observe(len(ready.entries))
        self._send(ready.after_persist)
        if ready.snapshot is not None:
            await self._install(ready.snapshot)
        await self._apply([entry for entry in ready.committed if entry.index > self._applied])
        self._core.advance(ready)
        self._follow_leadership()

    def _take_inputs(self) -> None:
        core = self._core
        now = self._clock.now()
        for _ in range(min(len(self._inbox), STEP_AT_ONCE)):  # N4
            message = self._inbox.popleft()
            if isinstance(message, Append | Heartbeat) and message.term >= core.term:
                self._heard = now
            core.step(message)
        if self._inbox:
            self._wake.set()
        if self._tick_due:
            self._tick_due = False
            core.tick()
            self._keep_house(now)
        self._follow_leadership()
        appended = self._proposals.append(core, self._config.max_append_entries)
        if appended:
            self._metrics.proposals.inc(appended)
        if self._proposals.is_queued:
            self._wake.set()
        self._reads.ask(core, now)
        leadership = core.leadership
        if leadership is not None and leadership.transferee is None:
            self._lease.follow(leadership.reads, now)

    def _send(self, messages: Sequence[AnyMessage]) -> None:
        if messages and self._transport is not None:
            self._transport.send(messages)

    async def _tick(self) -> None:
        interval = self._config.tick_interval
        late = interval * self._config.heartbeat_ticks
        before = self._clock.now()
        while True:
            await self._clock.sleep(interval)
            now = self._clock.now()
            if now - before - interval > late:
                self._metrics.late_ticks.inc()
                log.warning("loop was deaf", seconds=round(now - before - interval, 3))
            before = now
            self._tick_due = True  # one at most: lateness is dropped
            self._wake.set()

    def _keep_house(self, now: float) -> None:
        core = self._core
        metrics = self._metrics
        metrics.term.set(core.term)
        metrics.is_leader.set(self._leads)
        metrics.commit_index.set(core.log.committed)
        metrics.applied_index.set(self._applied)
        metrics.last_index.set(core.log.last_index)
        metrics.log_bytes.set(core.log.size_bytes)
        self._reads.ask_again(now, after=self._config.election_timeout)
        self._snapshots.look_after_followers(self._core, now)
        if now >= self._next_space_check:
            self._next_space_check = now + SPACE_CHECK_INTERVAL
            self._spawn(self._look_after_disk(now))

    async def _look_after_disk(self, now: float) -> None:
        storage = self._storage

        def look() -> int:
            if now - self._last_write > IDLE_BEFORE_CHECKPOINT:
                storage.checkpoint()
            return storage.free_bytes()

        free = await self._thread.run(look)
        is_full = free < self._config.min_free_bytes
        if is_full and not self._disk_is_full:
            log.error("disk is almost full", free_bytes=free)
            self._hand_over()
        self._disk_is_full = is_full

    def _hand_over(self) -> bool:
        """Ask the voter that has most to take over; whether there is one."""
        leadership = self._core.leadership
        voters = set(self._core.configuration.voters)
        if leadership is None:
            return False
        able = [
            (leadership.progress[member].match, member)
            for member in leadership.followers
            if member in voters and leadership.progress[member].active
        ]
        if able:
            self.transfer(max(able)[1])
        return bool(able)

    # -- leadership, reads, leases ---------------------------------------------------------------

    def _follow_leadership(self) -> None:
        if self._core.leadership is None:
            if self._leads:
                self._announce(leads=False)
            if self._proposals:
                self._give_up(OutcomeUnknown("leadership was lost"))
            self._lease.end()

    def _announce(self, *, leads: bool) -> None:
        if leads is self._leads:
            return
        self._leads = leads
        self._metrics.leadership_changes.labels("gained" if leads else "lost").inc()
        log.info("became leader" if leads else "leadership ended", term=self._core.term)
        for listener in list(self._listeners):
            listener(leads)

    async def _wait_applied(self, index: int) -> None:
        if index > self._applied:
            await self._appliers.wait(index)

    # -- applying and snapshots ------------------------------------------------------------------

    async def _apply(self, entries: Sequence[Entry]) -> None:
        """Apply in slices, giving the loop back in between."""
        began = self._clock.now()
        for start in range(0, len(entries), APPLY_AT_ONCE):
            self._apply_some(entries[start : start + APPLY_AT_ONCE])
            now = self._clock.now()
            if now - began > self._config.apply_slice:
                await self._clock.sleep(0)
                began = self._clock.now()
        if entries:
            self._metrics.applied.inc(len(entries))
            self._maybe_snapshot()

    def _apply_some(self, entries: Sequence[Entry]) -> None:
        command = EntryKind.COMMAND
        results = iter(
            self._machine.apply(
                [(entry.index, entry.data) for entry in entries if entry.kind == command]
            )
        )
        core = self._core
        for entry in entries:
            result: object = None
            if entry.kind == command:
                result = next(results)
            elif entry.kind == EntryKind.CHANGE:
                result = core.apply_change(entry)
            self._applied = entry.index
            self._proposals.resolve(entry.index, entry.term, result, core.leader)
        if not self._leads and self._core.leadership and entries[-1].term == self._core.term:
            self._announce(leads=True)
        self._appliers.applied(self._applied)

    def _maybe_snapshot(self) -> None:
        if self._snapshots.is_due(self._applied, self._core.log.size_bytes):
            # the state is copied here, before anything else is applied
            self._spawn(self._keep(self._snapshots.take(self._core, self._applied)))

    async def _keep(self, write: Callable[[], Awaitable[bool]]) -> None:
        if await write():
            self._metrics.snapshots.labels("taken").inc()

    def _consider_offer(self, offer: SnapshotOffer) -> None:
        if self._transport is not None and not self._snapshots.is_fetching:
            self._snapshots.is_fetching = True
            self._spawn(self._fetch(self._transport, offer))

    async def _fetch(self, transport: Transport, offer: SnapshotOffer) -> None:
        if await self._snapshots.fetch(transport, offer, self._core.log.committed):
            self._inbox.append(offer)
            self._wake.set()

    async def _install(self, header: SnapshotHeader) -> None:
        await self._snapshots.restore(header)
        self._core.latest_snapshot = header
        self._applied = header.index
        self._metrics.snapshots.labels("installed").inc()
        log.info("installed a snapshot", index=header.index)
        self._appliers.applied(self._applied)

    # -- the end -------------------------------------------------------------------------------

    def _fail(self, error: BaseException) -> None:
        """End this member: it could answer with less than it promised."""
        if self.failed.done():
            return
        self._closing = True
        log.error(
            "member ended itself",
            error=str(error),
            exc_info=None if isinstance(error, RaftError) else error,
        )
        self._announce(leads=False)
        self._give_up(OutcomeUnknown(f"the server failed: {error}"))
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self.failed.set_result(error)
        self._wake.set()

    def _give_up(self, error: RaftError) -> None:
        self._proposals.give_up(error, self._core.leader)
        if self._closing:
            self._reads.give_up()
            self._appliers.give_up()


def _log_of(recovered: Recovered) -> Log:
    snapshot = recovered.snapshot
    entries = recovered.entries
    index, term = (snapshot.index, snapshot.term) if snapshot is not None else (0, 0)
    if entries and entries[0].index <= index:
        # the term before the first trailing entry is on disk no more: begin after that entry
        first = entries[0]
        return Log(base_index=first.index, base_term=first.term, entries=entries[1:], applied=index)
    return Log(base_index=index, base_term=term, entries=entries)
