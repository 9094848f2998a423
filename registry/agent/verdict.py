"""What a check's run amounts to, and how its output is cut. Pure."""

from __future__ import annotations

import msgspec


class Verdict(msgspec.Struct, frozen=True):
    """The end of one run."""

    status: str
    output: str


class ProbeFailed(Exception):
    """The target could not be asked; the text says why, as Go's libraries would."""


class Tail:
    """The last bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        """Bytes seen."""
        self._limit = max(limit, 1)
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Take more of the stream."""
        self.total += len(data)
        self._kept += data[-self._limit :]
        if len(self._kept) > self._limit:
            del self._kept[: -self._limit]

    @property
    def kept(self) -> bytes:
        """What there is of it, at most the limit."""
        return bytes(self._kept)


def cut(output: str, limit: int) -> str:
    """The first ``limit`` bytes of a TTL check's output, saying so when that is not all."""
    data = output.encode("utf-8", "surrogatepass")
    if len(data) <= limit:
        return output
    head = data[:limit].decode("utf-8", "ignore")
    return f"{head} ... (captured {limit} of {len(data)} bytes)"
