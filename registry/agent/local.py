"""What this agent vouches for: its services and checks, and what the catalogue should say of them.

Sans-IO: time comes in as ``now`` (monotonic seconds), facts go out as events. ``agent.py`` runs it.

Invariants
    I1  every check with a service id names a service that is here.
    I2  ``_by_service[s]`` has exactly the checks of service ``s``; those of the node under ``""``.
    I3  ``_queue`` has every deadline that a check has; an entry that disagrees with the check was
        moved or cancelled since, and is skipped.
    I4  a check's ``published`` differs from its ``record`` only in output, and only while
        ``publish_at`` is set.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush
from random import Random
from typing import Final, Literal, TypeAlias

import msgspec

from lictor.registry.records import (
    CRITICAL,
    NO_DEFINITION,
    NODE_MAINTENANCE,
    PASSING,
    SERVICE_MAINTENANCE_PREFIX,
    WARNING,
    HealthCheck,
    NodeService,
)

from . import alias
from .definitions import CheckRules
from .events import (
    CheckDeregistered,
    CheckRegistered,
    CheckUpdated,
    Event,
    ServiceDeregistered,
    ServiceGivenUp,
    ServiceRegistered,
)

Source: TypeAlias = Literal["remote", "local"]
"""Who registered it: somebody over the API, or the agent's own configuration."""

NANOSECONDS: Final = 1_000_000_000
MIN_DEREGISTER_AFTER: Final = 60.0
"""Seconds that a check must be critical before its service goes, whatever was asked for."""

MAINTENANCE_TYPE: Final = "maintenance"

MAX_ALIAS_ROUNDS: Final = 3
"""How often one change may come round to the same alias check: aliases can follow each other."""

MAX_ALIAS_OUTPUT: Final = 4096
"""Characters; aliases that follow each other would quote each other without end."""


class LocalService(msgspec.Struct, frozen=True, kw_only=True):
    """A service instance of this agent."""

    record: NodeService
    """Indexes are 0."""
    token: str = ""
    source: Source = "remote"
    sidecar: bool = False
    """Made by the agent for another instance, and goes with it."""


class LocalCheck:
    """A check of this agent. Read-only for everybody but :class:`Local`."""

    __slots__ = (
        "critical_since", "failures", "give_up_at", "last_output", "publish_at", "published",
        "record", "rules", "source", "successes", "token", "ttl_at",
    )  # fmt: skip

    def __init__(
        self, record: HealthCheck, rules: CheckRules | None, token: str, source: Source
    ) -> None:
        self.record = record
        """As it is now; indexes are 0."""
        self.published = record
        """As the catalogue should have it."""
        self.rules = rules
        """``None`` for maintenance."""
        self.token = token
        self.source = source
        self.last_output = ""
        """Of the last TTL update."""
        self.critical_since: float | None = None
        self.ttl_at: float | None = None
        self.publish_at: float | None = None
        self.give_up_at: float | None = None
        self.successes = rules.success_before_passing if rules else 0
        self.failures = rules.failures_before_critical if rules else 0

    @property
    def ttl(self) -> float:
        """Seconds; 0 for a check that is not TTL."""
        return self.rules.ttl / NANOSECONDS if self.rules and self.record.type == "ttl" else 0.0


class Local:
    """The services and checks of one agent."""

    def __init__(
        self,
        node: str,
        *,
        output_deferral: float = 300.0,
        discard_output: bool = False,
        rng: Random | None = None,
    ) -> None:
        self.node = node
        self.discard_output = discard_output
        """Whether checks show no output at all."""
        self.output_deferral = output_deferral
        """Seconds that a change of output alone may wait, at least half of it when there is an
        rng to spread them; 0 publishes at once.
        """
        self._rng = rng
        self.services: dict[str, LocalService] = {}
        self.checks: dict[str, LocalCheck] = {}
        self._by_service: dict[str, dict[str, None]] = {}
        self._aliases: dict[str, str] = {}  # check id -> id of the local service it follows
        self._followers: dict[str, dict[str, None]] = {}  # the other way round
        self._queue: list[tuple[float, str]] = []

    def checks_of(self, service_id: str) -> list[LocalCheck]:
        """The checks of an instance, or of the node for ``""``, oldest first."""
        return [self.checks[check_id] for check_id in self._by_service.get(service_id, ())]

    # Registration

    def add_service(self, service: LocalService, *, now: float) -> list[Event]:
        """Register or replace an instance."""
        self.services[service.record.id] = service
        return [ServiceRegistered(service.record.id), *self._follow(service.record.id, now)]

    def remove_service(self, service_id: str, *, now: float) -> list[Event]:
        """Remove an instance and its checks; one that is not here is fine."""
        if service_id not in self.services:
            return []
        events: list[Event] = []
        for check in self.checks_of(service_id):  # I1
            events += self._drop_check(check)
        del self.services[service_id]
        return [*events, ServiceDeregistered(service_id), *self._follow(service_id, now)]

    def add_check(
        self,
        record: HealthCheck,
        rules: CheckRules | None,
        *,
        now: float,
        token: str = "",
        source: Source = "remote",
    ) -> list[Event]:
        """Register or replace a check. One that was here keeps its status and output.

        The caller has seen to it that its service is here (I1).
        """
        old = self.checks.get(record.check_id)
        if old is not None:
            record = msgspec.structs.replace(
                record, status=old.record.status, output=old.record.output
            )
            self._take_from_service(old)
        check = LocalCheck(record, rules, token, source)
        if old is not None:
            check.last_output = old.last_output
            check.critical_since = old.critical_since
        self.checks[record.check_id] = check
        self._by_service.setdefault(record.service_id, {})[record.check_id] = None
        self._unfollow(record.check_id)
        if rules and record.type == "alias" and not rules.alias_node:
            self._aliases[record.check_id] = rules.alias_service
            self._followers.setdefault(rules.alias_service, {})[record.check_id] = None
        if check.ttl:
            self._restart_ttl(check, now)
        self._note_health(check, now)
        own: list[Event] = [CheckRegistered(record.check_id)]
        if record.check_id in self._aliases:
            own += self._evaluate(record.check_id, now)
        return own + self._follow(record.service_id, now)

    def remove_check(self, check_id: str, *, now: float) -> list[Event]:
        """Remove a check; one that is not here is fine."""
        check = self.checks.get(check_id)
        if check is None:
            return []
        return [*self._drop_check(check), *self._follow(check.record.service_id, now)]

    def _drop_check(self, check: LocalCheck) -> list[Event]:
        check_id = check.record.check_id
        del self.checks[check_id]
        self._unfollow(check_id)
        self._take_from_service(check)
        return [CheckDeregistered(check_id)]

    def _take_from_service(self, check: LocalCheck) -> None:
        ids = self._by_service[check.record.service_id]
        del ids[check.record.check_id]
        if not ids:
            del self._by_service[check.record.service_id]

    def _unfollow(self, check_id: str) -> None:
        target = self._aliases.pop(check_id, None)
        if target is not None:
            del self._followers[target][check_id]
            if not self._followers[target]:
                del self._followers[target]

    # Results

    def report(self, check_id: str, status: str, output: str, *, now: float) -> list[Event]:
        """A run of an active check ended so; applied once it happened as often as its rules ask.

        Source: thresholds of Consul. A new check's first result counts at once.
        """
        check = self.checks.get(check_id)
        if check is None or check.rules is None:
            return []
        rules = check.rules
        if status == CRITICAL:
            check.failures, check.successes = check.failures + 1, 0
            if check.failures < rules.failures_before_critical:
                warns = 0 < rules.failures_before_warning <= check.failures
                return self._set(check, WARNING, output, now) if warns else []
        else:
            check.successes, check.failures = check.successes + 1, 0
            if check.successes < rules.success_before_passing:
                return []
        return self._set(check, status, output, now)

    def renew(self, check_id: str, status: str, output: str, *, now: float) -> list[Event]:
        """A TTL check's owner says so; its clock starts anew.

        Raises:
            KeyError: there is no such check, or it has no TTL.
        """
        check = self.checks[check_id]
        if not check.ttl:
            raise KeyError(check_id)
        check.last_output = output
        self._restart_ttl(check, now)
        return self._set(check, status, output, now)

    def restore(
        self, check_id: str, status: str, output: str, *, remaining: float, now: float
    ) -> list[Event]:
        """Give a TTL check back what it last said, with ``remaining`` seconds to live."""
        check = self.checks.get(check_id)
        if check is None or not check.ttl or remaining <= 0:
            return []
        check.last_output = output
        check.ttl_at = now + min(remaining, check.ttl)
        heappush(self._queue, (check.ttl_at, check_id))
        return self._set(check, status, output, now)

    def _restart_ttl(self, check: LocalCheck, now: float) -> None:
        check.ttl_at = now + check.ttl
        heappush(self._queue, (check.ttl_at, check.record.check_id))

    def _set(self, check: LocalCheck, status: str, output: str, now: float) -> list[Event]:
        changed = self._assign(check, status, output, now)
        return [*changed, *self._follow(check.record.service_id, now)] if changed else []

    def _assign(self, check: LocalCheck, status: str, output: str, now: float) -> list[Event]:
        """Change a check, and leave the aliases that follow it to the caller."""
        before = check.record
        output = "" if self.discard_output else output
        if (before.status, before.output) == (status, output):
            return []
        check.record = msgspec.structs.replace(before, status=status, output=output)
        self._note_health(check, now)
        published = status != before.status or self.output_deferral <= 0
        if published:
            check.published, check.publish_at = check.record, None
        elif check.publish_at is None:
            spread = self._rng.uniform(0.5, 1.0) if self._rng else 1.0
            check.publish_at = now + self.output_deferral * spread
            heappush(self._queue, (check.publish_at, before.check_id))
        return [CheckUpdated(before.check_id, published)]

    def _note_health(self, check: LocalCheck, now: float) -> None:
        """Keep the time since when it is critical, and the end of its owner's patience."""
        if check.record.status != CRITICAL:
            check.critical_since = check.give_up_at = None
            return
        if check.critical_since is None:
            check.critical_since = now
        patience = check.rules.deregister_critical_service_after if check.rules else 0
        if patience > 0 and check.record.service_id:
            wait = max(patience / NANOSECONDS, MIN_DEREGISTER_AFTER)
            check.give_up_at = check.critical_since + wait
            heappush(self._queue, (check.give_up_at, check.record.check_id))

    # Aliases

    def _follow(self, service_id: str, now: float) -> list[Event]:
        """Bring the aliases up to date after something about ``service_id`` changed."""
        events: list[Event] = []
        rounds: Counter[str] = Counter()
        changed = deque([service_id] if self._aliases else [])
        while changed:
            current = changed.popleft()
            followers = self._followers.get(current, {}) if current else self._aliases
            for check_id in followers:
                if rounds[check_id] < MAX_ALIAS_ROUNDS:
                    rounds[check_id] += 1
                    told = self._evaluate(check_id, now)
                    if told:
                        events += told
                        changed.append(self.checks[check_id].record.service_id)
        return events

    def _evaluate(self, check_id: str, now: float) -> list[Event]:
        check, target = self.checks[check_id], self._aliases[check_id]
        if target not in self.services:
            verdict = alias.missing(target, "")
        else:
            followed = (*self.checks_of(""), *self.checks_of(target))
            verdict = alias.follow(each.record for each in followed if each is not check)
        return self._assign(check, verdict.status, verdict.output[:MAX_ALIAS_OUTPUT], now)

    # Time

    def next_deadline(self) -> float | None:
        """When :meth:`expire` next has work; ``None`` while nothing has a deadline."""
        while self._queue:
            at, check_id = self._queue[0]
            check = self.checks.get(check_id)
            if check is not None and at in {check.ttl_at, check.publish_at, check.give_up_at}:
                return at
            heappop(self._queue)  # I3: superseded
        return None

    def expire(self, *, now: float) -> list[Event]:
        """Do everything that is due at or before ``now``, oldest first."""
        events: list[Event] = []
        while (at := self.next_deadline()) is not None and at <= now:
            _, check_id = heappop(self._queue)
            check = self.checks[check_id]
            if at == check.ttl_at:
                check.ttl_at = None
                events += self._set(check, CRITICAL, _expired(check.last_output), now)
            if at == check.publish_at:
                check.published, check.publish_at = check.record, None
                events.append(CheckUpdated(check_id, published=True))
            if at == check.give_up_at:
                check.give_up_at = None
                events.append(ServiceGivenUp(check.record.service_id, check_id))
        return events

    # Maintenance

    def start_maintenance(self, service_id: str, reason: str, *, now: float) -> list[Event]:
        """Take an instance, or for ``""`` the node, out of service; done twice, once counts."""
        check_id = maintenance_id(service_id)
        if check_id in self.checks:
            return []
        service = self.services[service_id].record if service_id else None
        record = HealthCheck(
            node=self.node,
            check_id=check_id,
            name=f"{'Service' if service else 'Node'} Maintenance Mode",
            status=CRITICAL,
            notes=reason or _default_reason("service" if service else "node"),
            output="",
            service_id=service_id,
            service_name=service.name if service else "",
            service_tags=service.tags if service else None,
            type=MAINTENANCE_TYPE,
            definition=NO_DEFINITION,
            create_index=0,
            modify_index=0,
        )
        return self.add_check(record, None, now=now, source="local")

    def stop_maintenance(self, service_id: str, *, now: float) -> list[Event]:
        """Put it back into service; fine when it is."""
        return self.remove_check(maintenance_id(service_id), now=now)

    # Bearing on health

    def health_of(self, service_id: str) -> tuple[str, list[HealthCheck]]:
        """The status that an instance amounts to, with the checks that bear on it."""
        checks = [each.record for each in (*self.checks_of(""), *self.checks_of(service_id))]
        return aggregate(checks), checks


def _expired(last_output: str) -> str:
    if not last_output:
        return "TTL expired"
    return f"TTL expired (last output before timeout follows): {last_output}"


def _default_reason(what: str) -> str:
    return (
        f"Maintenance mode is enabled for this {what}, but no reason was provided. "
        "This is a default message."
    )


def maintenance_id(service_id: str) -> str:
    """The id of the check that takes an instance, or for ``""`` the node, out of service."""
    return f"{SERVICE_MAINTENANCE_PREFIX}{service_id}" if service_id else NODE_MAINTENANCE


def aggregate(checks: list[HealthCheck]) -> str:
    """What a set of checks amounts to: maintenance, else critical, warning, passing."""
    if any(check.type == MAINTENANCE_TYPE for check in checks):
        return MAINTENANCE_TYPE
    statuses = {check.status for check in checks}
    return next((status for status in (CRITICAL, WARNING) if status in statuses), PASSING)
