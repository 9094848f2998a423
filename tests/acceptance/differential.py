"""The same requests to two agents; the answers must be the same but for what differs by nature.

A story is a list of steps played to both agents in order. What an agent makes up (ids, indexes,
instants, hashes) is numbered in order of appearance, for each agent by itself: two answers are
equal when they use equal things in equal places.

This module knows nothing of either agent but its base URL; stories are data.
"""

from __future__ import annotations

import difflib
import gzip
import json
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
INDEX_NAMES = {"CreateIndex", "ModifyIndex"}
OPAQUE_NAMES = {"Hash", "ContentHash"}
OWN_NODE = "n1"
"""What the agents that are compared call themselves."""

UNORDERED = {"Date", "Content-Length", "Transfer-Encoding", "Connection"}
"""Headers that are not compared, because framing may differ."""

TIMEOUT = 20.0


@dataclass(frozen=True)
class Step:
    """One request. ``{name}`` in path and body stands for what an earlier step kept."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: str = ""
    """Name under which the JSON member ``ID`` of the answer is kept for later steps; after an
    ``@`` it is the answer's index that is kept."""
    differs: str = ""
    """Why the bodies may differ; status and headers are still compared."""

    def __str__(self) -> str:
        said = f" {self.body[:120]!r}" if self.body else ""
        extra = f" {dict(self.headers)}" if self.headers else ""
        return f"{self.method} {self.path}{said}{extra}"


@dataclass(frozen=True)
class Story:
    """Steps that belong together."""

    name: str
    steps: tuple[Step, ...]
    free_indexes: str = ""
    """Why records may have other indexes than theirs; empty when they may not."""


@dataclass(frozen=True)
class Received:
    """A response as it came."""

    status: int
    """0 when the connection ended without an answer."""
    headers: tuple[tuple[str, str], ...]
    body: bytes


def ask(base_url: str, step: Step) -> Received:
    """Send ``step`` as it stands, byte for byte, on a connection of its own."""
    parts = urlsplit(base_url)
    lines = [f"{step.method} {step.path} HTTP/1.1", "Host: agent", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in step.headers.items()]
    if step.body is not None and "Transfer-Encoding" not in step.headers:
        lines.append(f"Content-Length: {len(step.body)}")
    message = ("\r\n".join(lines) + "\r\n\r\n").encode() + (step.body or b"")
    with socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT) as connection:
        with suppress(ConnectionError):  # refused before it was all sent; an answer may be there
            connection.sendall(message)
        return _parsed(b"".join(_received(connection)))


def _received(connection: socket.socket) -> Iterator[bytes]:
    """What comes until the end, be it orderly or not."""
    try:
        yield from iter(lambda: connection.recv(65536), b"")
    except ConnectionResetError:
        return


def _parsed(data: bytes) -> Received:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    if ("Transfer-Encoding", "chunked") in headers:
        body = _dechunked(body)
    if ("Content-Encoding", "gzip") in headers:
        body = gzip.decompress(body)
    status = int(first.split()[1]) if first else 0
    return Received(status, headers, body)


def _dechunked(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        parts.append(body[:length])
        body = body[length + 2 :]
    return b"".join(parts)


class Masks:
    """Numbers what one agent made up."""

    def __init__(self, *, free_indexes: bool) -> None:
        self.kept: dict[str, str] = {}
        self.free_indexes = free_indexes
        self._seen: dict[str, dict[str, str]] = {}

    def name(self, kind: str, value: str) -> str:
        """``value`` by its order of appearance among its kind."""
        names = self._seen.setdefault(kind, {})
        return names.setdefault(value.lower(), f"<{kind} {len(names) + 1}>")

    def text(self, text: str) -> str:
        """``text`` without what its agent made up."""
        text = UUID.sub(lambda found: self.name("id", found.group()), text)
        text = INSTANT.sub("<instant>", text)
        return ADDRESS.sub("<address>", text)

    def value(self, value: Any, name: str = "") -> Any:
        """A JSON value without what its agent made up; member order is not compared."""
        if isinstance(value, dict):
            if value.get("Node") == OWN_NODE and "TaggedAddresses" in value:
                # written once or twice while it starts
                value = {key: part for key, part in value.items() if key not in INDEX_NAMES}
            if "ProtocolCur" in value:  # a member, whose ports are its own
                tags = {key: part for key, part in value["Tags"].items() if "port" not in key}
                value = {**value, "Port": 0, "Tags": tags}
            if all(map(_is_texts, value.values())):
                # services with their tags, which Consul prints in the order of a Go map
                value = {key: sorted(part) for key, part in value.items()}
            return {self.text(key): self.value(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [self.value(part, name) for part in value]
        if isinstance(value, str):
            return "<opaque>" if name in OPAQUE_NAMES else self.text(value)
        if name in INDEX_NAMES and isinstance(value, int) and value:
            if self.free_indexes:
                return "<index>"
            return self.name("index", str(value))
        return value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def shown(received: Received, masks: Masks, *, with_body: bool) -> list[str]:
    """``received`` as comparable lines."""
    lines = [f"status {received.status}"]
    for name, value in received.headers:
        if name in UNORDERED:
            continue
        if name == "X-Consul-Index":
            value = "<index>"
        elif name in {"X-Consul-Lastcontact", "X-Consul-Contenthash"}:
            value = "<opaque>"
        lines.append(f"{name}: {masks.text(value)}")
    if with_body:
        lines += _body_lines(received, masks)
    return lines


def _body_lines(received: Received, masks: Masks) -> list[str]:
    try:
        value = json.loads(received.body)
    except ValueError:
        return masks.text(received.body.decode("utf-8", "backslashreplace")).splitlines(True)
    compact = not received.body.endswith(b"\n")
    return [
        "compact json" if compact else "indented json",
        *json.dumps(masks.value(value), indent=1, sort_keys=True).splitlines(),
    ]


class Play:
    """One telling of one story to one agent."""

    def __init__(self, base_url: str, story: Story) -> None:
        self.base_url = base_url
        self._masks = Masks(free_indexes=bool(story.free_indexes))

    def step(self, step: Step) -> list[str]:
        """Play ``step`` and return the comparable answer."""
        kept = self._masks.kept
        path, body = step.path, step.body
        for name, value in kept.items():
            path = path.replace(f"{{{name}}}", value)
            body = body.replace(f"{{{name}}}".encode(), value.encode()) if body else body
        received = ask(
            self.base_url,
            Step(step.method, path, body, step.headers),
        )
        if step.keep.startswith("@"):
            kept[step.keep[1:]] = dict(received.headers).get("X-Consul-Index", "none")
        elif step.keep:
            try:
                kept[step.keep] = json.loads(received.body)["ID"]
            except (ValueError, KeyError, TypeError):
                kept[step.keep] = "nothing-was-kept"
        return shown(received, self._masks, with_body=not step.differs)


def differences(story: Story, ours: str, theirs: str) -> list[str]:
    """What ``ours`` answers otherwise than ``theirs``, as a diff a step; empty when nothing."""
    left, right = Play(theirs, story), Play(ours, story)
    found: list[str] = []
    for step in story.steps:
        expected, got = left.step(step), right.step(step)
        if expected != got:
            found.append(f"--- {step}")
            found += difflib.unified_diff(expected, got, "theirs", "ours", n=1, lineterm="")
    return found


def count(stories: Iterable[Story]) -> int:
    """How many requests ``stories`` compare."""
    return sum(len(story.steps) for story in stories)
