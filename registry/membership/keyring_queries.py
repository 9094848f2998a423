"""The queries that every Serf agent answers itself: keys of the pool, and who has which name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from .addresses import to_bytes
from .errors import KeyringError, MalformedMessage
from .events import Member
from .keyring import Keyring, encode_key
from .serf_messages import ConflictMember, KeyRequest, KeyResponse, decode, encode

LIST: Final = "list-keys"
INSTALL: Final = "install-key"
USE: Final = "use-key"
REMOVE: Final = "remove-key"
KEY_QUERIES: Final = (LIST, INSTALL, USE, REMOVE)
CONFLICT: Final = "conflict"


class KeyringReport(msgspec.Struct, frozen=True):
    """What the pool made of a key request."""

    messages: dict[str, str]
    """What members said beside it, by name; mostly why they refused."""

    keys: dict[str, int]
    """How many members have each key."""

    primary_keys: dict[str, int]
    """How many members encrypt with each key."""

    members: int
    responses: int
    errors: int

    def failure(self) -> str | None:
        """Why it cannot be called a success, as Serf says it; ``None`` if it is one."""
        if self.errors:
            return f"{self.errors}/{self.members} nodes reported failure"
        if self.responses != self.members:
            return f"{self.responses}/{self.members} nodes reported success"
        return None


def request(key: bytes | None) -> bytes:
    """The payload of a key query."""
    return encode(KeyRequest(key or b""))


def report(responses: Mapping[str, bytes], *, members: int) -> KeyringReport:
    """What the pool of ``members`` alive made of it; what cannot be read counts as an error."""
    messages: dict[str, str] = {}
    keys: dict[str, int] = {}
    primary_keys: dict[str, int] = {}
    errors = 0
    for name, payload in responses.items():
        try:
            response = decode(payload)
            if not isinstance(response, KeyResponse):
                raise MalformedMessage("wrong answer")
        except MalformedMessage as error:
            messages[name] = f"Invalid key query response: {error}"
            errors += 1
            continue
        errors += not response.result
        if response.message:
            messages[name] = response.message
        for key in response.keys:
            keys[key] = keys.get(key, 0) + 1
        if response.primary_key:
            primary = response.primary_key
            primary_keys[primary] = primary_keys.get(primary, 0) + 1
    return KeyringReport(messages, keys, primary_keys, members, len(responses), errors)


def answer_internal(
    name: str,
    payload: bytes,
    *,
    keyring: Keyring | None,
    member: Callable[[str], Member | None],
    own_name: str,
    limit: int,
) -> bytes | None:
    """The answer to the internal query ``name``, at most ``limit`` bytes; mostly there is one.

    Raises:
        MalformedMessage: the query cannot be read.
    """
    if name in KEY_QUERIES:
        return _fitting(_answer_keys(name, payload, keyring), limit)
    if name == CONFLICT:
        asked = payload.decode("utf-8", "replace")
        known = member(asked) if asked != own_name else None
        return encode(_conflict_member(known)) if known is not None else None
    return None  # a ping is answered by its ack, and later inventions are not for us


def _answer_keys(name: str, payload: bytes, keyring: Keyring | None) -> KeyResponse:
    if keyring is None:
        empty = "Keyring is empty (encryption not enabled)"
        none = "No keyring to modify (encryption not enabled)"
        return KeyResponse(message=empty if name == LIST else none)
    if name == LIST:
        keys = tuple([encode_key(key) for key in keyring.keys])
        return KeyResponse(result=True, keys=keys, primary_key=keys[0])
    wanted = decode(payload)
    if not isinstance(wanted, KeyRequest):
        raise MalformedMessage("wrong key request")
    change = {INSTALL: keyring.install, USE: keyring.use, REMOVE: keyring.remove}[name]
    try:
        change(wanted.key)
    except KeyringError as error:
        return KeyResponse(message=str(error))
    return KeyResponse(result=True)


def _fitting(response: KeyResponse, limit: int) -> bytes:
    """As many keys as fit, with a word about it."""
    content = encode(response)
    total = len(response.keys)
    while len(content) > limit and response.keys:
        fewer = response.keys[:-1]
        message = f"truncated key list response, showing first {len(fewer)} of {total} keys"
        response = msgspec.structs.replace(response, keys=fewer, message=message)
        content = encode(response)
    return content


def _conflict_member(member: Member) -> ConflictMember:
    return ConflictMember(
        name=member.name,
        addr=to_bytes(member.address),
        port=member.port,
        tags=member.tags,
        status=int(member.status),
        protocol_min=member.protocol_min,
        protocol_max=member.protocol_max,
        protocol_cur=member.protocol_cur,
        delegate_min=member.delegate_min,
        delegate_max=member.delegate_max,
        delegate_cur=member.delegate_cur,
    )
