"""Snapshot files: a header, records of at most 1 MiB each with its CRC, a trailer with a SHA-256.

    magic | u32 length, header | (u32 length, u32 crc, record)* | u32 0, u64 records, sha256

The digest covers everything before the trailer. A file is written beside its place, synced,
renamed and its directory synced: what ends in ``.snap`` is a whole file, unless the disk lies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import BinaryIO
from zlib import crc32

import msgspec

from .errors import CorruptStorage
from .membership import Configuration, decode_configuration, encode
from .messages import SnapshotHeader

Write = Callable[[bytes], None]
Encoder = Callable[[Write], None]

MAGIC = b"lictor-snapshot-1\n"
RECORD_LIMIT = 1024 * 1024
"""No record is larger, in bytes."""
RECORD_GOAL = 64 * 1024
"""What is written in smaller pieces is gathered to records of this size, in bytes."""

_LENGTH = Struct(">I")
_RECORD = Struct(">II")
_TRAILER = Struct(">IQ")
_HEADER_LIMIT = 1024 * 1024


class _HeaderRecord(msgspec.Struct, frozen=True, array_like=True):
    index: int
    term: int
    configuration: bytes


def file_name(index: int, term: int) -> str:
    """The name of the snapshot at ``index``; names sort as snapshots do."""
    return f"{term:020d}-{index:020d}.snap"


class _Records:
    """Writes records and counts them."""

    def __init__(self, stream: BinaryIO, lead: bytes) -> None:
        self._stream = stream
        self._digest = sha256()
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._count = 0
        self.size = 0
        self._put(lead)

    def write(self, chunk: bytes) -> None:
        self._gathered.append(chunk)
        self._gathered_bytes += len(chunk)
        if self._gathered_bytes >= RECORD_GOAL:
            self._flush()

    def finish(self) -> bytes:
        self._flush()
        digest = self._digest.digest()
        self._put(_TRAILER.pack(0, self._count) + digest)
        return digest

    def _flush(self) -> None:
        content = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_bytes = 0
        for start in range(0, len(content), RECORD_LIMIT):
            record = content[start : start + RECORD_LIMIT]
            self._put(_RECORD.pack(len(record), crc32(record)) + record)
            self._count += 1

    def _put(self, content: bytes) -> None:
        self._digest.update(content)
        self._stream.write(content)
        self.size += len(content)


class SnapshotFiles:
    """The snapshots in one directory. Blocking; nothing here knows which one counts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Make the directory, for its owner only."""
        self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.mkdir(mode=0o700, exist_ok=True)

    def write(
        self, index: int, term: int, configuration: Configuration, encoder: Encoder
    ) -> SnapshotHeader:
        """Write the snapshot that ``encoder`` produces; it is durable when this returns."""
        header = msgspec.msgpack.encode(_HeaderRecord(index, term, encode(configuration)))
        name = file_name(index, term)
        partial = self._directory / f"{name}.tmp"
        with _create(partial) as stream:
            records = _Records(stream, MAGIC + _LENGTH.pack(len(header)) + header)
            encoder(records.write)
            digest = records.finish()
            stream.flush()
            os.fsync(stream.fileno())
        _put_in_place(self._directory, partial, name)
        return SnapshotHeader(index, term, configuration, records.size, digest)

    def receive(self, header: SnapshotHeader) -> IncomingFile:
        """A place for the file that another member sends."""
        return IncomingFile(self._directory, header)

    def path(self, header: SnapshotHeader) -> Path:
        """Where the snapshot of ``header`` is."""
        return self._directory / file_name(header.index, header.term)

    def verify(self, header: SnapshotHeader) -> None:
        """Read the whole file and check every CRC and the digest.

        Raises:
            CorruptStorage: it is missing or damaged.
        """
        _verify(self.path(header), header)

    def read(self, header: SnapshotHeader) -> Iterator[bytes]:
        """The records, one by one. Their borders are not those of the writes.

        Raises:
            CorruptStorage: the file is missing or damaged, found out at any record.
        """
        return _records(self.path(header), header)

    def piece(self, header: SnapshotHeader, offset: int, size: int) -> bytes:
        """Bytes of the file as it is, to be sent; fewer than ``size`` at its end.

        Raises:
            CorruptStorage: the file cannot be read.
        """
        path = self.path(header)
        try:
            with path.open("rb") as stream:
                stream.seek(offset)
                return stream.read(size)
        except OSError as error:
            raise CorruptStorage(f"snapshot {path.name} cannot be read ({error})") from error

    def remove_all_but(self, kept: Iterable[SnapshotHeader]) -> None:
        """Remove every file that is none of ``kept``, and what was left unfinished."""
        names = {file_name(header.index, header.term) for header in kept}
        for path in sorted(self._directory.iterdir()):
            if path.name not in names:
                path.unlink()


class IncomingFile:
    """A snapshot that arrives piece by piece, and is nothing until it is whole."""

    def __init__(self, directory: Path, header: SnapshotHeader) -> None:
        self._directory = directory
        self._header = header
        self._name = file_name(header.index, header.term)
        self._partial = directory / f"{self._name}.tmp"
        self._stream = _create(self._partial)

    def write(self, piece: bytes) -> None:
        """The next bytes."""
        self._stream.write(piece)

    def finish(self) -> None:
        """Verify what came, and make it durable.

        Raises:
            CorruptStorage: the bytes are not those of the header. Nothing was kept.
        """
        with self._stream:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        try:
            _verify(self._partial, self._header)
        except CorruptStorage:
            self._partial.unlink()
            raise
        _put_in_place(self._directory, self._partial, self._name)

    def abandon(self) -> None:
        """Forget what came."""
        self._stream.close()
        self._partial.unlink(missing_ok=True)


def _put_in_place(directory: Path, partial: Path, name: str) -> None:
    partial.replace(directory / name)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb")


def _verify(path: Path, header: SnapshotHeader) -> None:
    for _ in _records(path, header):
        pass


def _records(path: Path, header: SnapshotHeader) -> Iterator[bytes]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise CorruptStorage(f"snapshot {path.name} cannot be read ({error})") from error
    with stream:
        yield from _parse(stream, path.name, header)


def _parse(stream: BinaryIO, name: str, header: SnapshotHeader) -> Iterator[bytes]:
    digest = sha256()

    def take(size: int) -> bytes:
        content = stream.read(size)
        if len(content) != size:
            raise CorruptStorage(f"snapshot {name} ends too early")
        return content

    lead = take(len(MAGIC) + _LENGTH.size)
    (length,) = _LENGTH.unpack(lead[len(MAGIC) :])
    if not lead.startswith(MAGIC) or length > _HEADER_LIMIT:
        raise CorruptStorage(f"snapshot {name} is no snapshot of this version")
    head = take(length)
    digest.update(lead + head)
    if _decode_header(head, name) != (header.index, header.term, header.configuration):
        raise CorruptStorage(f"snapshot {name} is not the one at index {header.index}")
    count = 0
    while length := _LENGTH.unpack(mark := take(_LENGTH.size))[0]:
        if length > RECORD_LIMIT:
            raise CorruptStorage(f"snapshot {name} has a record of {length} bytes")
        rest = take(_LENGTH.size + length)
        record = rest[_LENGTH.size :]
        if crc32(record) != _LENGTH.unpack(rest[: _LENGTH.size])[0]:
            raise CorruptStorage(f"snapshot {name} is damaged in record {count}")
        digest.update(mark + rest)
        count += 1
        yield record
    trailer = mark + take(_TRAILER.size - _LENGTH.size)
    end = take(sha256().digest_size)
    if _TRAILER.unpack(trailer)[1] != count or end != digest.digest() or end != header.sha256:
        raise CorruptStorage(f"snapshot {name} does not have the digest it was written with")
    if stream.read(1):
        raise CorruptStorage(f"snapshot {name} goes on after its end")


def _decode_header(head: bytes, name: str) -> tuple[int, int, Configuration]:
    try:
        record = msgspec.msgpack.decode(head, type=_HeaderRecord)
        return record.index, record.term, decode_configuration(record.configuration)
    except msgspec.DecodeError as error:
        raise CorruptStorage(f"snapshot {name} has no readable header") from error
