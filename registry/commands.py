"""Every replicated command: what may change the state, as frozen messages.

A command travels in an :class:`Entry` with its attribution and is the only thing that Raft stores.
Record indexes inside commands are zero; apply sets them. New fields go last, with a default; tags
are never reused; a server that meets a tag it does not know must stop (``apply.py``).
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from .records import HealthCheck, Node, NodeService, Session, SourceIntention


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Who asked for a change; part of the log, never a secret."""

    accessor: str = ""
    """The token's accessor id; empty for the anonymous token and for the server itself."""
    address: str = ""
    request_id: str = ""


SERVER: Origin = Origin()
"""The server's own doing."""


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """What every command is."""


class RegisterEntity(Command, frozen=True, tag="register"):
    """Put a node, and at will one instance and checks of it, into the catalogue."""

    node: Node
    service: NodeService | None = None
    checks: tuple[HealthCheck, ...] = ()
    skip_node_update: bool = False
    """Leave an existing node as it is."""


class DeregisterEntity(Command, frozen=True, tag="deregister"):
    """Take a check, an instance with its checks, or a whole node out of the catalogue.

    ``service_id`` wins over ``check_id``; with neither, the node goes.
    """

    node: str
    service_id: str = ""
    check_id: str = ""


class SetKey(Command, frozen=True, tag="kv-set"):
    """Write a key whatever it holds."""

    key: str
    value: bytes
    flags: int = 0


class CompareAndSetKey(Command, frozen=True, tag="kv-cas"):
    """Write a key if its modify index is ``index``; 0 means that it must not exist."""

    key: str
    value: bytes
    index: int
    flags: int = 0


class LockKey(Command, frozen=True, tag="kv-lock"):
    """Write a key and hold it for ``session``."""

    key: str
    value: bytes
    session: str
    flags: int = 0


class UnlockKey(Command, frozen=True, tag="kv-unlock"):
    """Write a key that ``session`` holds and let go of it."""

    key: str
    value: bytes
    session: str
    flags: int = 0


class DeleteKey(Command, frozen=True, tag="kv-delete"):
    """Delete a key; one that is not there is fine."""

    key: str


class CompareAndDeleteKey(Command, frozen=True, tag="kv-delete-cas"):
    """Delete a key if its modify index is ``index``; one that is not there is fine."""

    key: str
    index: int


class DeleteTree(Command, frozen=True, tag="kv-delete-tree"):
    """Delete every key that begins with ``prefix``."""

    prefix: str


class CreateSession(Command, frozen=True, tag="session-create"):
    """Make a session; its id was drawn by the server that proposes it."""

    session: Session


class DestroySession(Command, frozen=True, tag="session-destroy"):
    """End a session: by its owner, or by the leader when its TTL has passed."""

    id: str


class SetIntention(Command, frozen=True, tag="intention-set"):
    """Write the rule for one source and destination."""

    destination: str
    source: SourceIntention
    only_new: bool = False
    """Refuse to replace an existing rule of the same source and destination."""


class DeleteIntention(Command, frozen=True, tag="intention-delete"):
    """Remove the rule for one source and destination; one that is not there is fine."""

    destination: str
    source: str


class KeyOperation(msgspec.Struct, frozen=True, omit_defaults=True, tag="kv"):
    """One step of a transaction, on a key; ``verb`` is Consul's word, known or not."""

    verb: str
    key: str = ""
    value: bytes = b""
    flags: int = 0
    index: int = 0
    session: str = ""


class NodeOperation(msgspec.Struct, frozen=True, omit_defaults=True, tag="node"):
    """One step of a transaction, on a node; its modify index is the one to compare with."""

    verb: str
    node: Node


class ServiceOperation(msgspec.Struct, frozen=True, omit_defaults=True, tag="service"):
    """One step of a transaction, on an instance; likewise."""

    verb: str
    node: str
    service: NodeService


class CheckOperation(msgspec.Struct, frozen=True, omit_defaults=True, tag="check"):
    """One step of a transaction, on a check; likewise."""

    verb: str
    check: HealthCheck


Operation: TypeAlias = KeyOperation | NodeOperation | ServiceOperation | CheckOperation


class ApplyOperations(Command, frozen=True, tag="txn"):
    """Carry out every step, or none if one fails. Its result is a ``shapes.Settled``."""

    operations: tuple[Operation, ...]


AnyCommand: TypeAlias = (
    RegisterEntity
    | DeregisterEntity
    | SetKey
    | CompareAndSetKey
    | LockKey
    | UnlockKey
    | DeleteKey
    | CompareAndDeleteKey
    | DeleteTree
    | CreateSession
    | DestroySession
    | SetIntention
    | DeleteIntention
    | ApplyOperations
)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One entry of the log: the change, when the leader took it, and on whose behalf."""

    time: int
    """Nanoseconds since the Unix epoch by the leader's clock. All that apply knows of time."""
    origin: Origin
    command: AnyCommand


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """The bytes that Raft stores for ``entry``."""
    return _encoder.encode(entry)


def decode(data: bytes) -> Entry:
    """The entry in ``data``.

    Raises:
        msgspec.DecodeError: the bytes are no entry, or hold a command of a newer server.
    """
    return _decoder.decode(data)
