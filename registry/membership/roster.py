"""Who meant to go, and who just went: Serf's view of the members, above SWIM's.

SWIM only knows alive and dead. An intent to leave, spread before, makes the difference between a
member that left and one that failed. Intents carry Lamport times, so that the later one wins,
whichever comes first.

Invariants
    R1  A member's ``ltime`` never falls; an intent that is not newer changes nothing.
    R2  At most ``MAX_INTENTS`` intents of unknown members are kept, each for a limited time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from .config import PoolConfig
from .errors import MalformedMessage
from .events import Member, MemberChange, MemberEvent, MemberStatus
from .lamport import LamportClock
from .messages import State
from .peers import VERSIONS, Peer
from .serf_messages import JoinIntent, LeaveIntent, decode_tags
from .timers import Timers

MAX_INTENTS: Final = 4096


@dataclass(slots=True)
class Tracked:
    """A member and what we remember beside it."""

    member: Member
    ltime: int = 0
    """When it last intended anything."""

    gone_since: float = 0.0


@dataclass(slots=True)
class Intent:
    """What somebody unknown intends."""

    leave: bool
    ltime: int
    since: float


class Roster:
    """All members by name, those that failed or left among them."""

    def __init__(
        self,
        config: PoolConfig,
        own_name: str,
        clock: LamportClock,
        timers: Timers,
        *,
        emit: Callable[[MemberEvent], None],
        stay: Callable[[], None],
    ) -> None:
        self.by_name: dict[str, Tracked] = {}
        self.leaving = False
        """Whether we mean to leave ourselves."""
        self.flaps = 0
        """Members that came back soon after they had failed."""
        self._config = config
        self._own_name = own_name
        self._clock = clock
        self._timers = timers
        self._emit = emit
        self._stay = stay
        self._intents: dict[str, Intent] = {}

    def with_status(self, status: MemberStatus) -> list[Tracked]:
        """Those with ``status``."""
        return [each for each in self.by_name.values() if each.member.status is status]

    # -- what SWIM says ------------------------------------------------------------------------

    def joined(self, peer: Peer, *, now: float) -> None:
        """``peer`` is alive, and was not before."""
        known = self.by_name.get(peer.name)
        status = MemberStatus.ALIVE
        if known is None:
            tracked = Tracked(describe(peer, status))
            intent = self._intents.pop(peer.name, None)
            if intent is not None:
                tracked.ltime = intent.ltime
                if intent.leave:
                    tracked.member = describe(peer, MemberStatus.LEAVING)
            self.by_name[peer.name] = tracked
        else:
            if (
                known.member.status is MemberStatus.FAILED
                and now - known.gone_since < self._config.flap_timeout
            ):
                self.flaps += 1
            tracked = known
            tracked.member = describe(peer, status)
            tracked.gone_since = 0.0
        self._emit(MemberEvent(MemberChange.JOIN, tracked.member))

    def updated(self, peer: Peer) -> None:
        """``peer`` describes itself differently."""
        tracked = self.by_name.get(peer.name)
        if tracked is not None:
            tracked.member = describe(peer, tracked.member.status)
            self._emit(MemberEvent(MemberChange.UPDATE, tracked.member))

    def departed(self, peer: Peer, *, now: float) -> None:
        """``peer`` is gone: as it meant to, or it failed."""
        tracked = self.by_name.get(peer.name)
        if tracked is None:
            return
        if tracked.member.status is MemberStatus.LEAVING or (
            peer.state is State.LEFT and tracked.member.status is MemberStatus.ALIVE
        ):
            self._set(tracked, MemberStatus.LEFT, MemberChange.LEAVE, now)
        elif tracked.member.status is MemberStatus.ALIVE:
            self._set(tracked, MemberStatus.FAILED, MemberChange.FAILED, now)

    # -- what members intend -------------------------------------------------------------------

    def join_intent(self, intent: JoinIntent, *, now: float) -> bool:
        """Somebody means to stay; whether that is news for others."""
        self._clock.witness(intent.ltime)
        tracked = self.by_name.get(intent.node)
        if tracked is None:
            return self._remember(intent.node, leave=False, ltime=intent.ltime, now=now)
        if intent.ltime <= tracked.ltime:
            return False  # R1
        tracked.ltime = intent.ltime
        if tracked.member.status is MemberStatus.LEAVING:
            tracked.member = msgspec.structs.replace(tracked.member, status=MemberStatus.ALIVE)
        return True

    def leave_intent(self, intent: LeaveIntent, *, now: float) -> bool:
        """Somebody means to leave, or is to be treated so; whether that is news for others."""
        self._clock.witness(intent.ltime)
        tracked = self.by_name.get(intent.node)
        if tracked is None:
            return self._remember(intent.node, leave=True, ltime=intent.ltime, now=now)
        if intent.ltime <= tracked.ltime:
            return False  # R1
        if intent.node == self._own_name and not self.leaving:
            self._stay()
            return False
        tracked.ltime = intent.ltime
        match tracked.member.status:
            case MemberStatus.ALIVE:
                tracked.member = msgspec.structs.replace(
                    tracked.member, status=MemberStatus.LEAVING
                )
            case MemberStatus.FAILED:
                self._set(tracked, MemberStatus.LEFT, MemberChange.LEAVE, now)
            case _:
                pass
        if intent.prune:
            self._prune(intent.node, now)
        return True

    def _remember(self, name: str, *, leave: bool, ltime: int, now: float) -> bool:
        known = self._intents.get(name)
        if known is not None and ltime <= known.ltime:
            return False
        if known is None and len(self._intents) >= MAX_INTENTS:
            raise MalformedMessage("too many intents")  # R2
        self._intents[name] = Intent(leave, ltime, now)
        return True

    # -- forgetting ----------------------------------------------------------------------------

    def _prune(self, name: str, now: float) -> None:
        """Forget ``name``: at once if it is gone, else when it had the time to go."""
        tracked = self.by_name[name]
        if tracked.member.status is not MemberStatus.LEAVING:
            self.erase(name)
            return

        def erase(_: float) -> None:
            again = self.by_name.get(name)
            if again is not None and again.member.status is not MemberStatus.ALIVE:
                self.erase(name)

        grace = self._config.broadcast_timeout + self._config.leave_propagate_delay
        self._timers.at(now + grace, erase)

    def erase(self, name: str) -> None:
        """Forget ``name``."""
        tracked = self.by_name.pop(name)
        self._emit(MemberEvent(MemberChange.REAP, tracked.member))

    def reap(self, *, now: float) -> None:
        """Forget who is gone for too long, and old intents."""
        config = self._config
        limits = {
            MemberStatus.FAILED: config.reconnect_timeout,
            MemberStatus.LEFT: config.tombstone_timeout,
        }
        for name, tracked in list(self.by_name.items()):
            limit = limits.get(tracked.member.status)
            if limit is not None and now - tracked.gone_since > limit:
                self.erase(name)
        oldest = now - config.recent_intent_timeout
        for name, intent in list(self._intents.items()):
            if intent.since < oldest:
                del self._intents[name]

    def _set(
        self, tracked: Tracked, status: MemberStatus, change: MemberChange, now: float
    ) -> None:
        if tracked.gone_since == 0.0 or status is not MemberStatus.LEFT:
            tracked.gone_since = now
        tracked.member = msgspec.structs.replace(tracked.member, status=status)
        self._emit(MemberEvent(change, tracked.member))


def describe(peer: Peer, status: MemberStatus) -> Member:
    """``peer`` as a member; tags that cannot be read are none."""
    try:
        tags = decode_tags(peer.meta)
    except MalformedMessage:
        tags = {}
    vsn = peer.vsn.ljust(VERSIONS, b"\0")
    return Member(peer.name, *peer.address, tags, status, *vsn[:VERSIONS])
