"""Snapshot archives: a gzipped tar of ``meta.json``, ``state.bin`` and ``SHA256SUMS``.

Read as a stream: a snapshot may be larger than memory. An archive is believed only when every
digest agrees.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

import msgspec

META: Final = "meta.json"
STATE: Final = "state.bin"
SUMS: Final = "SHA256SUMS"
MAX_META_BYTES: Final = 4 << 20
PIECE_BYTES: Final = 1 << 20
TAR_BLOCK_BYTES: Final = 512
GZIP_HEADER_BYTES: Final = 10


class Meta(msgspec.Struct, frozen=True, rename="pascal"):
    """What the archive says of itself."""

    index: int
    term: int
    version: int = 1
    id: str = msgspec.field(name="ID", default="")
    size: int = 0


class Damaged(Exception):
    """The archive is cut short, altered, or no snapshot at all."""


@dataclass
class _Contents:
    """What has been read of an archive so far."""

    meta: Meta | None = None
    digests: dict[str, str] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)


def verify(file: IO[bytes]) -> Meta:
    """Read the archive in ``file`` to its end and check every digest.

    Raises:
        Damaged: it is no whole snapshot.
    """
    found = _Contents()
    try:
        with tarfile.open(fileobj=file, mode="r|gz") as archive:
            _read(archive, found)
    except (tarfile.ReadError, EOFError, zlib.error, OSError) as error:
        if found.meta is not None:
            said = "failed to read or write snapshot data: unexpected EOF"
            raise Damaged(f"failed to read snapshot file: {said}") from error
        # a tar that is read as a stream does not tell why it ended
        raise Damaged(_fault_at_start(file)) from error
    said = "failed to read snapshot file: failed checking integrity of snapshot"
    if found.meta is None:
        raise Damaged(f"{said}: no metadata")
    for name in (META, STATE):
        if name not in found.digests or found.sums.get(name) != found.digests[name]:
            raise Damaged(f'{said}: hash check failed for "{name}"')
    return found.meta


def _read(archive: tarfile.TarFile, found: _Contents) -> None:
    for member in archive:
        content = archive.extractfile(member)
        if content is None or member.name not in {META, STATE, SUMS}:
            said = f'unexpected file "{member.name}" in snapshot'
            raise Damaged(f"failed to read snapshot file: {said}")
        if member.name == STATE:
            digest = hashlib.sha256()
            for piece in _pieces(content):
                digest.update(piece)
            found.digests[STATE] = digest.hexdigest()
            continue
        text = content.read(MAX_META_BYTES)
        if member.name == SUMS:
            found.sums = _parse_sums(text)
        else:
            found.digests[META] = hashlib.sha256(text).hexdigest()
            found.meta = _parse_meta(text)


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    while piece := content.read(PIECE_BYTES):
        yield piece


def _parse_meta(text: bytes) -> Meta:
    try:
        return msgspec.json.decode(text, type=Meta)
    except msgspec.DecodeError as error:
        said = f"failed to decode snapshot metadata: {error}"
        raise Damaged(f"failed to read snapshot file: {said}") from error


def _parse_sums(text: bytes) -> dict[str, str]:
    """Name -> digest, from lines of ``<hex>  <name>``."""
    lines = text.decode("ascii", errors="replace").splitlines()
    pairs = (line.partition("  ") for line in lines)
    return {name: digest for digest, _, name in pairs}


def _fault_at_start(file: IO[bytes]) -> str:
    """What is wrong with an archive whose metadata could not be read."""
    file.seek(0)
    packed = file.read(PIECE_BYTES)
    try:
        start = zlib.decompressobj(wbits=31).decompress(packed, TAR_BLOCK_BYTES)
    except zlib.error:
        start = b""
        if len(packed) >= GZIP_HEADER_BYTES:
            return "failed to decompress snapshot: gzip: invalid header"
    if len(start) < TAR_BLOCK_BYTES:
        return "failed to decompress snapshot: unexpected EOF"
    return "failed to read snapshot file: failed to read snapshot metadata: unexpected EOF"
