import gzip
import hashlib
import io
import json
import tarfile

import pytest

from lictor.cli.archive import Damaged, verify

META = json.dumps({"Version": 1, "ID": "2-9-17", "Index": 9, "Term": 2, "Size": 5}).encode()
STATE = b"state" * 1000


def archive(meta=META, state=STATE, *, sums=None, extra=()):
    digests = [
        (hashlib.sha256(one).hexdigest(), name)
        for one, name in ((meta, "meta.json"), (state, "state.bin"))
    ]
    lines = "".join(f"{digest}  {name}\n" for digest, name in digests).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in [
            ("meta.json", meta),
            ("state.bin", state),
            ("SHA256SUMS", sums or lines),
            *extra,
        ]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def test_a_whole_archive_is_believed():
    meta = verify(io.BytesIO(archive()))
    assert (meta.index, meta.term, meta.id, meta.size) == (9, 2, "2-9-17", 5)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"junk", "failed to decompress snapshot: unexpected EOF"),
        (b"no gzip at all", "failed to decompress snapshot: gzip: invalid header"),
        (gzip.compress(b"", mtime=0), "failed to decompress snapshot: unexpected EOF"),
        (archive(sums=b"00  state.bin\n"), 'hash check failed for "meta.json"'),
        (archive(meta=b"{}"), "failed to decode snapshot metadata"),
        (archive(extra=[("../evil", b"x")]), 'unexpected file "../evil" in snapshot'),
    ],
)
def test_anything_else_is_not(content, complaint):
    with pytest.raises(Damaged, match=complaint.replace(".", r"\.")):
        verify(io.BytesIO(content))


@pytest.mark.slow
def test_an_archive_cut_anywhere_is_not():
    whole = archive()
    # the last two blocks of a tar are padding; what is cut before them is noticed
    for length in range(0, len(whole) - 60, 7):
        with pytest.raises(Damaged):
            verify(io.BytesIO(whole[:length]))


def test_save_verifies_and_keeps_the_file_private(lictor, agent, tmp_path):
    agent.answers["GET /v1/snapshot"] = archive()
    path = tmp_path / "x.snap"
    assert (
        lictor("snapshot", "save", str(path)).stdout == "Saved and verified snapshot to index 9\n"
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["x.snap"]


def test_a_bad_download_leaves_the_old_file_alone(lictor, agent, tmp_path):
    path = tmp_path / "x.snap"
    path.write_bytes(b"old")
    agent.answers["GET /v1/snapshot"] = archive()[:200]
    outcome = lictor("snapshot", "save", str(path))
    assert outcome.code == 1
    assert outcome.stderr.startswith("Error verifying snapshot file: ")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["x.snap"]


def test_inspect(lictor, tmp_path):
    path = tmp_path / "x.snap"
    path.write_bytes(archive())
    assert lictor("snapshot", "inspect", str(path)).stdout == (
        "ID           2-9-17\nSize         5\nIndex        9\nTerm         2\nVersion      1\n\n"
    )
    shown = json.loads(lictor("snapshot", "inspect", "-format=json", str(path)).stdout)
    assert shown["Meta"] == {"Index": 9, "Term": 2, "Version": 1, "ID": "2-9-17", "Size": 5}


def test_restore_sends_the_file(lictor, agent, tmp_path):
    path = tmp_path / "x.snap"
    path.write_bytes(b"anything")
    agent.answers["PUT /v1/snapshot"] = b""
    assert lictor("snapshot", "restore", str(path)).stdout == "Restored snapshot\n"
    assert agent.bodies["PUT /v1/snapshot"] == b"anything"
