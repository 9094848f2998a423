"""From a reply to the bytes on the wire, as Go's HTTP server orders and spells them."""

from __future__ import annotations

import gzip
import re
from collections import OrderedDict
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from typing_extensions import override

from .outcomes import JSON, TEXT, Reply

GZIP_LEVEL: Final = 1
"""Fast: answers are small, and mostly served again from the kept bytes."""

_NO_QUALITY: Final = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Request Entity Too Large"
}


class Dates:
    """The ``Date`` header, made once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def line(self, wall: float) -> bytes:
        """The whole header line for the moment ``wall`` (seconds since the epoch)."""
        second = int(wall)
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._line


def indented(body: bytes) -> bytes:
    """JSON with four spaces a level and a final newline."""
    return msgspec.json.format(body, indent=4) + b"\n"


def index_headers(index: int, *, known_leader: bool, last_contact: float) -> dict[str, str]:
    """The headers of a read that can be waited on. ``last_contact`` is in seconds."""
    return {
        "X-Consul-Index": str(max(index, 1)),
        "X-Consul-Knownleader": "true" if known_leader else "false",
        "X-Consul-Lastcontact": str(round(last_contact * 1000)),
    }


def canonical(name: str) -> str:
    """A header name as Go writes it: ``x-foo`` is ``X-Foo``."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def accepts_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` takes gzip."""
    for part in header.split(","):
        name, _, parameters = part.partition(";")
        if name.strip().lower() == "gzip":
            return not _NO_QUALITY.fullmatch(parameters)
    return False


class Zipper:
    """Compresses bodies; the last ones are kept, for whoever waits for the same answer."""

    def __init__(self, *, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._zipped: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self._max_bytes = max_bytes

    def zipped(self, body: bytes) -> bytes:
        """``body`` in gzip."""
        known = self._zipped.get(body)
        if known is not None:
            return known
        zipped = gzip.compress(body, GZIP_LEVEL, mtime=0)
        self._zipped[body] = zipped
        self._bytes += len(body) + len(zipped)
        while self._bytes > self._max_bytes:
            old, its = self._zipped.popitem(last=False)
            self._bytes -= len(old) + len(its)
        return zipped


class Wire:
    """A reply as bytes: all but the date, which is put between ``head`` and ``tail``."""

    __slots__ = ("body", "head", "tail")

    def __init__(self, head: bytes, tail: bytes, body: bytes) -> None:
        self.head = head
        """Status line and the handler's headers."""
        self.tail = tail
        """Length and what follows it, up to the empty line."""
        self.body = body

    def at(self, date: bytes) -> bytes:
        """Everything, with the ``Date`` line given."""
        return b"".join((self.head, date, self.tail, self.body))


def to_wire(
    reply: Reply,
    *,
    extra: Mapping[str, str],
    routed: bool,
    pretty: bool,
    zipper: Zipper | None,
    connection: str,
    without_body: bool = False,
) -> Wire:
    """``reply`` as bytes.

    ``extra`` are headers beside the reply's own. ``routed`` tells whether a row answered: such
    answers vary by encoding and are compressed by ``zipper``, if there is one. ``connection`` is
    the header of that name, if there is to be one. ``without_body`` sends the head alone.
    """
    body = reply.body
    if pretty and reply.content_type == JSON:
        body = indented(body)
    headers = {**reply.headers, **extra}
    guessed = ""
    if routed:
        headers["Vary"] = "Accept-Encoding"
    if reply.content_type:
        headers["Content-Type"] = reply.content_type
    elif body:
        guessed = TEXT
    if routed and zipper is not None and body:
        body = zipper.zipped(body)
        if guessed:  # who compresses must guess before Go's server does
            headers["Content-Type"], guessed = guessed, ""
        headers["Content-Encoding"] = "gzip"
    lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Unknown')}\r\n"]
    lines += [f"{name}: {_one_line(value)}\r\n" for name, value in sorted(headers.items())]
    tail = [f"Content-Length: {len(body)}\r\n"]
    if guessed:
        tail.append(f"Content-Type: {guessed}\r\n")
    if connection:
        tail.append(f"Connection: {connection}\r\n")
    tail.append("\r\n")
    return Wire(
        "".join(lines).encode("utf-8", "surrogateescape"),
        "".join(tail).encode(),
        b"" if without_body else body,
    )


def _one_line(value: str) -> str:
    """``value`` without what would end the header, as Go replaces it."""
    return value.replace("\r", " ").replace("\n", " ") if "\n" in value or "\r" in value else value


class WireResponse(web.StreamResponse):
    """Bytes that are the whole response; aiohttp adds nothing."""

    def __init__(self, data: bytes, *, keep_alive: bool) -> None:
        super().__init__()
        self._data = data
        self._keep_alive = keep_alive

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything; wait while the client reads too slowly."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(self._data)
        await request.writer.drain()
        return None

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""
