"""Who belongs to the group: configurations, and the pure functions that change them.

A configuration is *joint* while it has outgoing voters: then both majorities decide. A voter that
is to become a learner but is still an outgoing voter waits in ``learners_next``.

Source: Raft dissertation, section 4.3 (joint consensus); etcd's data in ``tests/raft/testdata``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum

import msgspec

from .errors import InvalidChange


class Configuration(msgspec.Struct, frozen=True, array_like=True):
    """One configuration. Every tuple of ids is ascending and without repeats."""

    voters: tuple[int, ...] = ()
    outgoing: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    learners_next: tuple[int, ...] = ()
    auto_leave: bool = False
    """Leave the joint configuration as soon as it is applied."""
    addresses: tuple[tuple[int, str], ...] = ()
    """Where members listen: (id, address), ascending by id; only those whose address is known."""

    @property
    def is_joint(self) -> bool:
        """Whether two majorities must agree."""
        return bool(self.outgoing)

    @property
    def members(self) -> tuple[int, ...]:
        """Every id in any part, ascending."""
        return _ascending({*self.voters, *self.outgoing, *self.learners, *self.learners_next})

    @property
    def all_voters(self) -> tuple[int, ...]:
        """The ids that vote in either half, ascending."""
        return _ascending({*self.voters, *self.outgoing}) if self.outgoing else self.voters

    def address(self, member: int) -> str | None:
        """Where ``member`` listens, if that is known."""
        return dict(self.addresses).get(member)


class ChangeKind(IntEnum):
    """What happens to one member."""

    ADD_VOTER = 0
    REMOVE = 1
    UPDATE = 2
    """Only the address changes."""
    ADD_LEARNER = 3


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One member's change. ``member`` 0 is ignored."""

    kind: ChangeKind
    member: int
    address: str = ""


class Transition(StrEnum):
    """How a change set passes through a joint configuration."""

    AUTO = "auto"
    """Simple where one member changes, otherwise as ``IMPLICIT``."""
    IMPLICIT = "implicit"
    """Joint, and left by itself."""
    EXPLICIT = "explicit"
    """Joint, and left by an empty change set that somebody proposes."""


class ChangeSet(msgspec.Struct, frozen=True, array_like=True):
    """Changes made by one entry. An empty one leaves the joint configuration."""

    changes: tuple[Change, ...] = ()
    transition: Transition = Transition.AUTO
    context: bytes = b""
    """Whatever the proposer wants to find again in the log."""

    @property
    def leaves_joint(self) -> bool:
        """Whether this is the way out of a joint configuration."""
        return not self.changes and self.transition is Transition.AUTO


_encoder = msgspec.msgpack.Encoder()
_change_set_decoder = msgspec.msgpack.Decoder(ChangeSet)
_configuration_decoder = msgspec.msgpack.Decoder(Configuration)


def encode(value: ChangeSet | Configuration) -> bytes:
    """The bytes that the log and snapshots hold."""
    return _encoder.encode(value)


def decode_change_set(data: bytes) -> ChangeSet:
    """The change set in an entry of kind CHANGE.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _change_set_decoder.decode(data)


def decode_configuration(data: bytes) -> Configuration:
    """The configuration in ``data``.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _configuration_decoder.decode(data)


def apply_change_set(configuration: Configuration, changes: ChangeSet) -> Configuration:
    """The configuration after ``changes``, by the way its transition asks for.

    Raises:
        InvalidChange: there is no such way from ``configuration``.
    """
    if changes.leaves_joint:
        return leave_joint(configuration)
    if changes.transition is Transition.AUTO and len(changes.changes) <= 1:
        return simple(configuration, changes.changes)
    return enter_joint(
        configuration,
        changes.changes,
        auto_leave=changes.transition is not Transition.EXPLICIT,
    )


def simple(configuration: Configuration, changes: Iterable[Change]) -> Configuration:
    """Change at most one voter, and any number of learners, in one step.

    Raises:
        InvalidChange: the configuration is joint, no voter would be left, or two voters change.
    """
    if configuration.is_joint:
        raise InvalidChange("can't apply simple config change in joint config")
    changed = _changed(configuration, changes)
    if len(set(configuration.voters) ^ set(changed.voters)) > 1:
        raise InvalidChange("more than one voter changed without entering joint config")
    return changed


def enter_joint(
    configuration: Configuration, changes: Iterable[Change], *, auto_leave: bool
) -> Configuration:
    """Make ``changes``, with today's voters as the outgoing half.

    Raises:
        InvalidChange: the configuration is joint already, or has or would have no voters.
    """
    if configuration.is_joint:
        raise InvalidChange("config is already joint")
    if not configuration.voters:
        raise InvalidChange("can't make a zero-voter config joint")
    joint = msgspec.structs.replace(configuration, outgoing=configuration.voters)
    return msgspec.structs.replace(_changed(joint, changes), auto_leave=auto_leave)


def leave_joint(configuration: Configuration) -> Configuration:
    """Drop the outgoing half; who waited to become a learner is one now.

    Raises:
        InvalidChange: the configuration is not joint.
    """
    if not configuration.is_joint:
        raise InvalidChange("can't leave a non-joint config")
    left = Configuration(
        voters=configuration.voters,
        learners=_ascending({*configuration.learners, *configuration.learners_next}),
    )
    return _keep_addresses(left, dict(configuration.addresses))


def _changed(configuration: Configuration, changes: Iterable[Change]) -> Configuration:
    voters = set(configuration.voters)
    outgoing = set(configuration.outgoing)
    learners = set(configuration.learners)
    learners_next = set(configuration.learners_next)
    addresses = dict(configuration.addresses)
    for change in changes:
        member = change.member
        if member == 0:
            continue
        if change.address:
            addresses[member] = change.address
        match change.kind:
            case ChangeKind.ADD_VOTER:
                learners.discard(member)
                learners_next.discard(member)
                voters.add(member)
            case ChangeKind.ADD_LEARNER:
                voters.discard(member)
                (learners_next if member in outgoing else learners).add(member)
            case ChangeKind.REMOVE:
                for part in (voters, learners, learners_next):
                    part.discard(member)
            case ChangeKind.UPDATE:
                pass
    if not voters:
        raise InvalidChange("removed all voters")
    changed = Configuration(
        voters=_ascending(voters),
        outgoing=configuration.outgoing,
        learners=_ascending(learners),
        learners_next=_ascending(learners_next),
        auto_leave=configuration.auto_leave,
    )
    return _keep_addresses(changed, addresses)


def _keep_addresses(configuration: Configuration, addresses: dict[int, str]) -> Configuration:
    known = tuple((each, addresses[each]) for each in configuration.members if each in addresses)
    return msgspec.structs.replace(configuration, addresses=known)


def _ascending(members: set[int]) -> tuple[int, ...]:
    return tuple(sorted(members))
