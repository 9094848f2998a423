import sqlite3
import stat

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from lictor.raft.errors import CorruptStorage, DataDirectoryInUse, StorageError
from lictor.raft.memory import MemoryStorage
from lictor.raft.messages import HardState, SnapshotHeader
from lictor.raft.storage import SqliteStorage

from .machines import ONE, entries


@pytest.fixture(params=["sqlite", "memory"])
def reopen(request, tmp_path):
    """Open the storage, closing it first where it is open."""
    memory = MemoryStorage()
    current = None

    def reopen():
        nonlocal current
        if current is not None:
            current.close()
        current = SqliteStorage(tmp_path / "raft") if request.param == "sqlite" else memory
        return current, current.open(new_node_id=77)

    yield reopen
    current.close()


def keep(storage, index, term, *, compact_to, content=b"state"):
    header = storage.write_snapshot(index, term, ONE, lambda write: write(content))
    storage.keep_snapshot(header, compact_to=compact_to)
    return header


def test_a_new_one_is_empty_and_keeps_its_id(reopen):
    _, recovered = reopen()
    assert (recovered.is_new, recovered.node_id, recovered.hard) == (True, 77, HardState())
    storage, again = reopen()
    assert again.node_id == 77
    assert storage.free_bytes() > 0


def test_bootstrap_begins_at_index_1_and_only_once(reopen):
    storage, _ = reopen()
    header = storage.bootstrap(ONE)
    assert header == SnapshotHeader(1, 1, ONE)
    _, recovered = reopen()
    assert (recovered.snapshot, recovered.hard) == (header, HardState(1, 0, 1))
    with pytest.raises(StorageError, match="already"):
        reopen()[0].bootstrap(ONE)


def test_what_is_saved_is_found_again(reopen):
    storage, _ = reopen()
    storage.save(HardState(2, 5, 1), entries(1, [1, 2, 2]))
    storage.save(None, entries(4, [2]))
    storage.save(HardState(3, 5, 4), [])
    _, recovered = reopen()
    assert recovered.hard == HardState(3, 5, 4)
    assert recovered.entries == entries(1, [1, 2, 2, 2])


def test_entries_replace_what_follows_their_first(reopen):
    storage, _ = reopen()
    storage.save(HardState(3, 0, 0), entries(1, [1, 1, 1, 1]))
    storage.save(None, entries(2, [3, 3]))
    assert reopen()[1].entries == entries(1, [1, 3, 3])


def test_a_kept_snapshot_is_where_the_next_start_begins(reopen):
    storage, _ = reopen()
    storage.save(HardState(1, 0, 9), entries(1, [1] * 9))
    header = keep(storage, 6, 1, compact_to=4)
    storage, recovered = reopen()
    assert recovered.snapshot == header
    assert [entry.index for entry in recovered.entries] == [5, 6, 7, 8, 9]
    assert b"".join(storage.read_snapshot(header)) == b"state"


def test_the_log_reaches_back_to_the_older_of_two_snapshots(reopen):
    storage, _ = reopen()
    storage.save(HardState(1, 0, 9), entries(1, [1] * 9))
    for index in (3, 5, 8):
        keep(storage, index, 1, compact_to=index)
    recovered = reopen()[1]
    assert recovered.snapshot.index == 8
    assert recovered.entries[0].index == 6


def test_an_installed_snapshot_replaces_everything(reopen):
    storage, _ = reopen()
    storage.save(HardState(1, 0, 2), entries(1, [1] * 4))
    old = keep(storage, 2, 1, compact_to=1)
    header = storage.write_snapshot(20, 3, ONE, lambda write: write(b"theirs"))
    storage.install_snapshot(header, HardState(4, 0, 20))
    storage.save(HardState(4, 0, 20), entries(21, [4]))
    storage, recovered = reopen()
    assert (recovered.snapshot, recovered.hard) == (header, HardState(4, 0, 20))
    assert recovered.entries == entries(21, [4])
    assert old.index != recovered.snapshot.index


def test_a_snapshot_that_was_only_written_does_not_count(reopen):
    storage, _ = reopen()
    storage.save(HardState(1, 0, 3), entries(1, [1] * 3))
    storage.write_snapshot(3, 1, ONE, lambda write: write(b"state"))
    recovered = reopen()[1]
    assert recovered.snapshot is None
    assert len(recovered.entries) == 3


def test_a_term_below_the_logs_stops_the_start(reopen):
    storage, _ = reopen()
    storage.save(HardState(2, 0, 0), entries(1, [3]))
    with pytest.raises(CorruptStorage, match="the term is 2, but the log has 3"):
        reopen()


# -- SQLite only ------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path):
    storage = SqliteStorage(tmp_path / "raft")
    storage.open(new_node_id=1)
    storage.save(HardState(1, 1, 5), entries(1, [1] * 5, data=b"payload"))
    header = keep(storage, 2, 1, compact_to=2)
    keep(storage, 4, 1, compact_to=4)
    assert header.size > 0
    storage.close()
    return tmp_path / "raft"


def alter(directory, statement):
    database = sqlite3.connect(directory / "raft.db")
    with database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statement", "fact"),
    [
        ("UPDATE log SET data = CAST('pAyload' AS BLOB) WHERE idx = 5", "entry 5 .* is damaged"),
        ("UPDATE log SET term = 0 WHERE idx = 5", "entry 5 .* is damaged"),
        ("DELETE FROM log WHERE idx = 4", "has 5 where 4 belongs"),
        ("DELETE FROM log WHERE idx < 5; ", None),
        ("UPDATE hard SET vote = 2", "term and vote are damaged"),
        ("DELETE FROM hard", "term and vote are missing"),
        ("DELETE FROM snapshot", "the log has 3 to 5, the snapshot ends at 0"),
        ("UPDATE snapshot SET config = x'ff'", "configuration is damaged"),
    ],
)
def test_what_is_not_as_it_was_written_stops_the_start(directory, statement, fact):
    alter(directory, statement)
    storage = SqliteStorage(directory)
    if fact is None:  # an older part of the log may be gone: the snapshot covers it
        assert storage.open(new_node_id=1).entries[0].index == 5
        storage.close()
    else:
        with pytest.raises(CorruptStorage, match=fact):
            storage.open(new_node_id=1)


def test_a_damaged_newest_snapshot_costs_nothing(directory):
    newest = max((directory / "snapshots").iterdir())
    newest.write_bytes(newest.read_bytes()[:-10])
    storage = SqliteStorage(directory)
    recovered = storage.open(new_node_id=1)
    storage.close()
    assert recovered.snapshot.index == 2
    assert [entry.index for entry in recovered.entries] == [3, 4, 5]


def test_two_damaged_snapshots_stop_the_start(directory):
    for path in (directory / "snapshots").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CorruptStorage, match="ends too early"):
        SqliteStorage(directory).open(new_node_id=1)


def test_a_file_that_is_no_database_stops_the_start(tmp_path):
    (tmp_path / "raft.db").write_bytes(b"not a database at all, but long enough" * 200)
    with pytest.raises(CorruptStorage, match="not a database"):
        SqliteStorage(tmp_path).open(new_node_id=1)


def test_leftovers_are_removed(directory):
    (directory / "snapshots" / "half.snap.tmp").write_bytes(b"half")
    storage = SqliteStorage(directory)
    storage.open(new_node_id=1)
    storage.close()
    assert len(list((directory / "snapshots").iterdir())) == 2


def test_a_second_one_on_the_same_directory_is_refused(directory):
    storage = SqliteStorage(directory)
    storage.open(new_node_id=1)
    with pytest.raises(DataDirectoryInUse):
        SqliteStorage(directory).open(new_node_id=1)
    storage.close()


def test_state_is_for_its_owner_only(directory):
    storage = SqliteStorage(directory)
    storage.open(new_node_id=1)
    storage.save(HardState(1, 1, 5), [])
    for path in directory.iterdir():
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    storage.close()


def test_nothing_is_written_after_the_first_error(directory):
    storage = SqliteStorage(directory)
    storage.open(new_node_id=1)
    with pytest.raises(StorageError, match="UNIQUE"):
        storage.save(None, entries(6, [1]) + entries(6, [1]))
    with pytest.raises(StorageError, match="failed before"):
        storage.save(None, entries(6, [1]))
    storage.close()


def test_a_checkpoint_empties_the_write_ahead_log_for_the_next_write(directory):
    storage = SqliteStorage(directory)
    storage.open(new_node_id=1)
    for index in range(6, 60):
        storage.save(None, entries(index, [1], data=b"x" * 4_000))
    before = (directory / "raft.db-wal").stat().st_size
    storage.checkpoint()
    for index in range(60, 70):
        storage.save(None, entries(index, [1], data=b"x" * 4_000))
    assert (directory / "raft.db-wal").stat().st_size == before
    storage.close()


# -- the model of a disk ------------------------------------------------------------------------


@pytest.mark.parametrize(("keep_first", "last"), [(0, 1), (1, 2), (2, 3)])
def test_a_crash_keeps_a_prefix_of_what_is_not_synced(keep_first, last):
    storage = MemoryStorage(autosync=False)
    storage.open(new_node_id=1)
    storage.save(HardState(1, 0, 0), entries(1, [1]))
    storage.sync()
    storage.save(None, entries(2, [1]))
    storage.save(None, entries(3, [1]))
    storage.crash(keep=keep_first)
    assert storage.open(new_node_id=2).entries[-1].index == last
    assert storage.pending == 0


def test_a_closed_or_failing_one_refuses_writes():
    storage = MemoryStorage()
    with pytest.raises(StorageError, match="closed"):
        storage.save(None, [])
    storage.open(new_node_id=1)
    storage.failure = OSError("no space left")
    with pytest.raises(StorageError, match="no space left"):
        storage.save(None, [])


class StoragesAgreeWithAList(RuleBasedStateMachine):
    """SQLite and memory do the same, and what a list would do."""

    @initialize()
    def begin(self):
        from tempfile import mkdtemp

        self.directory = mkdtemp()
        self.storages = [self._sqlite(), MemoryStorage()]
        self.term, self.base, self.model = 1, 0, []
        for storage in self.storages:
            storage.open(new_node_id=9)
            storage.save(HardState(1, 0, 0), [])

    def _sqlite(self):
        from pathlib import Path

        return SqliteStorage(Path(self.directory))

    @rule(back=st.integers(0, 3), count=st.integers(1, 4), newer=st.booleans())
    def append(self, back, count, newer):
        self.term += newer
        keep = max(0, len(self.model) - back)
        new = entries(self.base + keep + 1, [self.term] * count, data=bytes([back, count]))
        self.model[keep:] = new
        for storage in self.storages:
            storage.save(HardState(self.term, 0, self.base), new)

    @rule()
    def snapshot(self):
        if not self.model:
            return
        last = self.model[-1]
        for storage in self.storages:
            keep(storage, last.index, last.term, compact_to=last.index)
        self.base, self.model = last.index, []

    @rule()
    def restart(self):
        self.storages[0].close()
        self.storages[0] = self._sqlite()
        self._compare()

    @rule()
    def install(self):
        index = self.base + len(self.model) + 10
        for storage in self.storages:
            header = storage.write_snapshot(index, self.term, ONE, lambda write: write(b"s"))
            storage.install_snapshot(header, HardState(self.term, 0, index))
        self.base, self.model = index, []

    def _compare(self):
        found = [storage.open(new_node_id=1) for storage in self.storages]
        for recovered in found:
            assert [e for e in recovered.entries if e.index > self.base] == self.model
            assert (recovered.snapshot.index if recovered.snapshot else 0) == self.base
            assert recovered.hard.term == self.term
            assert recovered.node_id == 9
        assert found[0].entries == found[1].entries

    def teardown(self):
        from shutil import rmtree

        if hasattr(self, "storages"):
            self.storages[0].close()
            rmtree(self.directory)


TestStoragesAgreeWithAList = StoragesAgreeWithAList.TestCase
TestStoragesAgreeWithAList.settings = settings(
    derandomize=True,
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestStoragesAgreeWithAList = pytest.mark.slow(TestStoragesAgreeWithAList)
