import stat

import pytest

from lictor.raft.errors import CorruptStorage
from lictor.raft.snapshots import RECORD_LIMIT, SnapshotFiles

from .machines import ONE

CONTENT = [b"a" * 100, b"b" * (2 * RECORD_LIMIT + 7), b"", b"c" * 70_000]


@pytest.fixture
def files(tmp_path):
    files = SnapshotFiles(tmp_path / "snapshots")
    files.prepare()
    return files


def write(files, index=5, content=CONTENT):
    def encoder(put):
        for chunk in content:
            put(chunk)

    return files.write(index, 2, ONE, encoder)


def test_gives_back_what_was_written_in_bounded_records(files):
    records = list(files.read(write(files)))
    assert b"".join(records) == b"".join(CONTENT)
    assert max(map(len, records)) <= RECORD_LIMIT


def test_files_are_for_their_owner_only(files):
    path = files.path(write(files))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("at", [0, 20, 60, 150, 5_000, -60, -40, -1])
def test_a_flipped_byte_anywhere_is_noticed(files, at):
    header = write(files, content=[b"x" * 9_000])
    path = files.path(header)
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(CorruptStorage, match="wipe this data directory"):
        files.verify(header)


@pytest.mark.parametrize("size", [0, 10, 100, -45, -1])
def test_a_torn_file_is_noticed(files, size):
    header = write(files, content=[b"x" * 9_000])
    path = files.path(header)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptStorage):
        files.verify(header)


def test_another_snapshots_file_is_noticed(files):
    five, six = write(files, 5), write(files, 6)
    files.path(six).replace(files.path(five))
    with pytest.raises(CorruptStorage, match="not the one at index 5"):
        files.verify(five)


def test_a_received_file_counts_only_if_it_is_whole(files, tmp_path):
    header = write(files)
    content = files.path(header).read_bytes()
    other = SnapshotFiles(tmp_path / "other")
    other.prepare()
    incoming = other.receive(header)
    incoming.write(content[:-1])
    with pytest.raises(CorruptStorage):
        incoming.finish()
    incoming = other.receive(header)
    incoming.write(content)
    incoming.abandon()
    assert list((tmp_path / "other").iterdir()) == []
    incoming = other.receive(header)
    for piece in (content[:1_000], content[1_000:]):
        incoming.write(piece)
    incoming.finish()
    assert b"".join(other.read(header)) == b"".join(CONTENT)


def test_an_encoder_that_fails_leaves_no_snapshot(files, tmp_path):
    def encoder(put):
        put(b"x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        files.write(5, 2, ONE, encoder)
    assert [path.suffix for path in (tmp_path / "snapshots").iterdir()] == [".tmp"]
    files.remove_all_but([])
    assert list((tmp_path / "snapshots").iterdir()) == []
