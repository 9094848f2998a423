"""Intentions as the API shows them: one flat object a rule, though stored by destination."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from lictor.connect.intentions import ordered
from lictor.registry.answers import encode_json
from lictor.registry.records import Record, ServiceIntentions, SourceIntention

NAMESPACE: Final = "default"
NEVER: Final = "0001-01-01T00:00:00Z"
"""The moment that Go prints for no time at all."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Intention(Record, frozen=True, kw_only=True):
    """One rule. ``source``, ``destination`` and ``action`` make it one to decide by."""

    id: str
    description: str
    source_ns: str
    source_name: str
    destination_ns: str
    destination_name: str
    source_type: str
    action: str
    permissions: tuple[dict[str, Any], ...] | None = None
    default_addr: str
    default_port: int
    meta: dict[str, str]
    precedence: int
    created_at: str
    updated_at: str
    hash: str
    create_index: int
    modify_index: int

    @property
    def source(self) -> str:
        """Who calls."""
        return self.source_name

    @property
    def destination(self) -> str:
        """Who is called."""
        return self.destination_name


def go_time(nanoseconds: int) -> str:
    """Nanoseconds since the epoch as Go prints a time in UTC; 0 is no time."""
    if not nanoseconds:
        return NEVER
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{text}{digits}Z"


def intentions(entries: Iterable[ServiceIntentions]) -> list[Intention]:
    """Every rule of ``entries``, most specific first."""
    return ordered(_shown(entry, source) for entry in entries for source in entry.sources)


def _shown(entry: ServiceIntentions, source: SourceIntention) -> Intention:
    return Intention(
        id=source.legacy_id,
        description=source.description,
        source_ns=NAMESPACE,
        source_name=source.name,
        destination_ns=NAMESPACE,
        destination_name=entry.name,
        source_type=source.type or "consul",
        action=source.action,
        permissions=source.permissions,
        default_addr="",
        default_port=0,
        meta=source.legacy_meta or {},
        precedence=source.precedence,
        created_at=go_time(source.legacy_create_time),
        updated_at=go_time(source.legacy_update_time),
        hash=_hash(entry.name, source),
        create_index=entry.create_index,
        modify_index=entry.modify_index,
    )


def _hash(destination: str, source: SourceIntention) -> str:
    """Opaque; changes with everything the rule says, but not with when it was said."""
    said = msgspec.structs.replace(source, legacy_create_time=0, legacy_update_time=0)
    digest = hashlib.sha256(encode_json([destination, said])).digest()
    return base64.b64encode(digest).decode()
