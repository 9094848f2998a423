"""One voter, end to end, on real storage and in memory."""

import pytest
from prometheus_client import CollectorRegistry

from lictor.raft.config import RaftConfig
from lictor.raft.errors import Busy, EntryTooLarge, NotLeader, OutcomeUnknown, StorageError
from lictor.raft.memory import MemoryStorage
from lictor.raft.node import Node
from lictor.raft.storage import SqliteStorage
from lictor.raft.system import system_runtime

from .machines import Ledger, make_node, outcomes, until


@pytest.fixture(params=["sqlite", "memory"])
def storages(request, tmp_path):
    """Open the same storage as often as asked."""
    memory = MemoryStorage()
    return lambda: SqliteStorage(tmp_path / "raft") if request.param == "sqlite" else memory


async def test_a_single_voter_leads_at_once_and_applies(storages):
    ledger = Ledger()
    node = make_node(storages(), ledger)
    gained = []
    node.on_leadership(gained.append)
    await node.start()
    assert (node.role, node.is_leader, node.leader_id) == ("leader", True, node.node_id)
    assert node.has_lease()
    assert gained == [True]
    assert await node.propose(b"one") == node.applied_index == node.commit_index
    assert await node.read_index() == node.applied_index
    assert [data for _, data in ledger.commands] == [b"one"]
    assert node.last_contact() == 0.0
    assert node.configuration.voters == (node.node_id,)
    await node.close()
    assert gained == [True, False]


async def test_results_come_in_the_order_of_the_proposals(storages):
    node = make_node(storages())
    await node.start()
    indexes = await outcomes([node.propose(b"%d" % number) for number in range(500)])
    assert indexes == list(range(indexes[0], indexes[0] + 500))
    await node.close()


async def test_an_exception_as_result_is_raised_to_its_proposer_only(storages):
    node = make_node(storages())
    await node.start()
    first, refused, last = await outcomes(
        [node.propose(data) for data in (b"fine", b"!refused", b"fine")]
    )
    assert isinstance(refused, ValueError)
    assert last == first + 2
    await node.close()


async def test_what_arrives_during_a_write_is_one_batch():
    registry = CollectorRegistry()
    node = Node(
        config=RaftConfig(bootstrap=True),
        runtime=system_runtime(),
        storage=MemoryStorage(inline=False),
        machine=Ledger(),
        registry=registry,
    )
    await node.start()

    def writes():
        return registry.get_sample_value("lictor_raft_write_entries_count")

    before = writes()
    await outcomes([node.propose(b"x") for _ in range(100)])
    assert writes() - before == 1
    await node.close()


async def test_a_restart_finds_what_was_acknowledged(storages):
    node = make_node(storages())
    await node.start()
    me, term = node.node_id, node.term
    await outcomes([node.propose(b"%d" % number) for number in range(20)])
    applied = node.applied_index
    await node.close()

    ledger = Ledger()
    node = make_node(storages(), ledger)
    await node.start()
    assert [data for _, data in ledger.commands] == [b"%d" % number for number in range(20)]
    assert (node.node_id, node.term) == (me, term + 1)
    assert node.applied_index > applied
    await node.close()


async def test_snapshots_compact_the_log_and_are_restored(storages):
    node = make_node(storages(), snapshot_threshold=50, trailing_logs=10)
    await node.start()
    for number in range(120):
        await node.propose(b"%d" % number)
    await until(lambda: node.snapshot_index >= 100)
    # what has been snapshotted is gone but for the trailing entries
    assert node._core.log.first_index >= node.snapshot_index - 10
    before = (node.snapshot_index, node.snapshot_term)
    await node.close()

    ledger = Ledger()
    node = make_node(storages(), ledger)
    await node.start()
    assert ledger.restored == 1
    assert [data for _, data in ledger.commands] == [b"%d" % number for number in range(120)]
    assert (node.snapshot_index, node.snapshot_term) == before
    await node.close()


async def test_a_large_log_is_snapshotted_before_its_threshold(storages):
    node = make_node(storages(), snapshot_bytes=10_000, trailing_bytes=2_000)
    await node.start()
    for _ in range(20):
        await node.propose(b"x" * 1_000)
    await until(lambda: node.snapshot_index > 0)
    assert node._core.log.size_bytes < 12_000
    await node.close()


async def test_the_first_storage_error_ends_the_node():
    storage = MemoryStorage()
    node = make_node(storage)
    lost = []
    node.on_leadership(lost.append)
    await node.start()
    storage.failure = OSError("input/output error")
    outcome = await outcomes([node.propose(b"x"), node.propose(b"y")])
    assert [type(each) for each in outcome] == [OutcomeUnknown, OutcomeUnknown]
    assert isinstance(await node.failed, StorageError)
    assert lost == [True, False]
    assert not node.has_lease()
    with pytest.raises(NotLeader):
        node.propose(b"z")
    with pytest.raises(NotLeader):
        await node.read_index()
    await node.close()


async def test_a_disk_that_fails_during_the_start_fails_the_start(tmp_path):
    (tmp_path / "raft").write_bytes(b"a file where a directory belongs")
    node = make_node(SqliteStorage(tmp_path / "raft"))
    with pytest.raises(StorageError):
        await node.start()
    await node.close()


async def test_without_bootstrap_a_new_member_waits_for_others():
    node = Node(
        config=RaftConfig(),
        runtime=system_runtime(),
        storage=MemoryStorage(),
        machine=Ledger(),
    )
    await node.start()
    assert (node.role, node.leader_id, node.configuration.voters) == ("follower", None, ())
    with pytest.raises(NotLeader):
        node.propose(b"x")
    await node.close()


async def test_too_large_and_too_many_are_refused_at_once():
    node = make_node(max_entry_bytes=10, max_apply_lag=2)
    await node.start()
    with pytest.raises(EntryTooLarge, match="has 11 bytes; at most 10"):
        node.propose(b"x" * 11)
    futures = [node.propose(b"x"), node.propose(b"x")]
    with pytest.raises(Busy):
        node.propose(b"x")
    await outcomes(futures)
    await node.close()


async def test_close_resolves_everything():
    node = make_node(MemoryStorage(inline=False))
    await node.start()
    future = node.propose(b"x")
    await node.close()
    assert isinstance((await outcomes([future]))[0], NotLeader | OutcomeUnknown)
    with pytest.raises(NotLeader):
        node.propose(b"y")


async def test_a_proposer_that_gave_up_disturbs_nobody():
    node = make_node()
    await node.start()
    given_up, other = node.propose(b"x"), node.propose(b"y")
    given_up.cancel()
    assert await other == node.applied_index
    await node.close()


async def test_the_state_machine_sees_long_batches_in_slices():
    sizes = []

    class Measured(Ledger):
        def apply(self, given):
            sizes.append(len(given))
            return super().apply(given)

    node = make_node(machine=Measured())
    await node.start()
    await outcomes([node.propose(b"x") for _ in range(1_000)])
    assert max(sizes) <= 256
    assert sum(sizes) == 1_000
    await node.close()


async def test_a_machine_that_breaks_ends_the_node():
    class Broken(Ledger):
        def apply(self, given):
            if given:
                raise ZeroDivisionError
            return []

    node = make_node(machine=Broken())
    await node.start()
    outcome = await outcomes([node.propose(b"x")])
    assert isinstance(outcome[0], OutcomeUnknown)
    assert isinstance(await node.failed, ZeroDivisionError)
    await node.close()


async def test_a_snapshot_that_cannot_be_written_ends_the_node(tmp_path):
    node = make_node(SqliteStorage(tmp_path / "raft"), snapshot_threshold=5)
    await node.start()
    (tmp_path / "raft" / "snapshots").rmdir()
    await outcomes([node.propose(b"x") for _ in range(10)])
    assert isinstance(await node.failed, StorageError)
    await node.close()


async def test_a_snapshot_is_of_the_state_at_its_index():
    """The copy is made between two batches, however many are applied before it is written."""
    ledger, storage = Ledger(), MemoryStorage(inline=False)
    node = make_node(storage, ledger, snapshot_threshold=300)
    await node.start()
    for _ in range(20):
        await outcomes([node.propose(b"x") for _ in range(100)])
    await until(lambda: node.snapshot_index > 1_000)
    header = node._snapshots.latest
    copy = Ledger()
    copy.restore(list(storage.read_snapshot(header)))
    assert copy.commands == [each for each in ledger.commands if each[0] <= header.index]
    await node.close()
