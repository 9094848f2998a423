"""What can go wrong in a pool."""

from __future__ import annotations

from lictor.registry.errors import RegistryError


class MembershipError(RegistryError):
    """Something about the pool of members."""


class MalformedMessage(MembershipError):
    """A peer's bytes are not a message. Whoever sent them has to mend it; it is dropped."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        """A handful of values, fit for a metric's label."""


class ProtocolMismatch(MembershipError):
    """No protocol version is spoken by both sides; one of them has to be upgraded."""


class MergeRefused(MembershipError):
    """The other side has members that may not be in this pool; nothing was merged."""


class JoinFailed(MembershipError):
    """No address given could be joined; the operator sees why, one line for each."""


class InvalidAddress(MembershipError):
    """An address to join is not one; the operator can correct it."""


class RefusedByPeer(MembershipError):
    """The other side answered with an error of its own."""


class UnknownMember(MembershipError):
    """No member has the name given; the caller can correct it."""


class KeyringError(MembershipError):
    """A key is not one, is not there, or may not be removed; the operator can correct it."""


class EventTooLarge(MembershipError):
    """A user event or query exceeds what fits into gossip; the caller can make it smaller."""


class NotRunning(MembershipError):
    """The pool was not started, or has left."""
