"""Whole, simple requests: read here and answered without an HTTP library in between.

What a client sends almost always arrives as one piece: a head without oddities, and its body.
Such a request needs no stream, no parser state and no task chain. Whatever is not exactly that goes
to aiohttp, which has the last word on what is HTTP.
"""

from __future__ import annotations

import re
from typing import Final

from multidict import CIMultiDict

MAX_SIZE: Final = 64 * 1024
"""Bytes of the largest request that is read here."""

MAX_HEADERS: Final = 64

_HEAD: Final = re.compile(
    rb"(GET|PUT|POST|DELETE) (/[!-~]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)++)\r\n"
)
"""No part of it can match in two ways, so that it takes time in proportion to the bytes."""

_ODD: Final = frozenset({"connection", "transfer-encoding", "expect", "upgrade", "trailer", "te"})
"""Headers that change how a request or its answer is framed: not for us."""


class DirectRequest:
    """A request as the dispatcher sees one; the part of aiohttp's that it uses.

    It is its own content: everything is here already.
    """

    __slots__ = (
        "_body",
        "body_exists",
        "content_length",
        "headers",
        "keep_alive",
        "method",
        "protocol",
        "raw_path",
        "remote",
        "transport",
        "version",
    )  # fmt: skip

    def __init__(
        self, method: str, raw_path: str, headers: CIMultiDict[str], body: bytes, length: int | None
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        """The target as it was sent, query included."""
        self.headers = headers
        self.content_length = length
        self.body_exists = length is not None
        self.keep_alive = True
        self.version = (1, 1)
        self.remote = ""
        self.transport: object = None
        self.protocol: object = None
        self._body = body

    @property
    def content(self) -> DirectRequest:
        """What has the body."""
        return self

    def is_eof(self) -> bool:
        """Whether all of the body is here."""
        return True

    def read_nowait(self) -> bytes:
        """The body."""
        return self._body

    @property
    def is_lone_read(self) -> bool:
        """Whether it is a GET without any body: what the lane may keep."""
        return self.method == "GET" and self.content_length is None


def read_direct(data: bytes) -> DirectRequest | None:
    """The request that ``data`` is, if it is exactly one, whole and simple."""
    if len(data) > MAX_SIZE:
        return None
    found = _HEAD.match(data)
    if found is None:
        return None
    lines = found[3].decode("utf-8", "surrogateescape").split("\r\n")
    if len(lines) > MAX_HEADERS:
        return None
    headers: CIMultiDict[str] = CIMultiDict()
    length: int | None = None
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        lowered = name.lower()
        if lowered in _ODD:
            return None
        value = value.strip(" \t")
        if lowered == "content-length":
            if length is not None or not value.isascii() or not value.isdigit():
                return None
            length = int(value)
        headers.add(name, value)
    if "host" not in headers or len(data) - found.end() != (length or 0):
        return None
    return DirectRequest(found[1].decode(), found[2].decode(), headers, data[found.end() :], length)
