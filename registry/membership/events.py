"""What a pool tells the house."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TypeAlias

import msgspec
from typing_extensions import override

from .addresses import Address


class MemberStatus(IntEnum):
    """What a member is up to; the numbers are those of Consul's API."""

    NONE = 0
    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4

    @override
    def __str__(self) -> str:
        return self.name.lower()


class Member(msgspec.Struct, frozen=True):
    """One member as it is seen from here."""

    name: str
    address: str
    port: int
    tags: dict[str, str]
    status: MemberStatus
    protocol_min: int = 0
    protocol_max: int = 0
    protocol_cur: int = 0
    delegate_min: int = 0
    delegate_max: int = 0
    delegate_cur: int = 0


class MemberChange(Enum):
    """What happened to a member."""

    JOIN = "member-join"
    LEAVE = "member-leave"
    FAILED = "member-failed"
    UPDATE = "member-update"
    REAP = "member-reap"


class MemberEvent(msgspec.Struct, frozen=True):
    """A member came, went, changed or was forgotten."""

    change: MemberChange
    member: Member


class UserEvent(msgspec.Struct, frozen=True):
    """Somebody in the pool fired an event."""

    ltime: int
    name: str
    payload: bytes
    coalesce: bool


class QueryReceived(msgspec.Struct, frozen=True):
    """Somebody in the pool asks; ``Pool.respond`` answers, until ``deadline``."""

    ltime: int
    id: int
    name: str
    payload: bytes
    source_node: str
    source: Address
    relay_factor: int
    deadline: float


class NameConflict(msgspec.Struct, frozen=True):
    """Somebody at ``claimed`` uses the name of a member at ``held``; one has to be renamed."""

    name: str
    held: Address
    claimed: Address


Event: TypeAlias = MemberEvent | UserEvent | QueryReceived | NameConflict
