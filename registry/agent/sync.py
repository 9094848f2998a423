"""Anti-entropy: when the catalogue is made to say of this node what its agent says.

``plan.py`` decides what is to be written. :class:`Sync` runs it: at every change against the
catalogue as it was left, and from time to time against the catalogue as it is.

Source: intervals of Consul.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from math import ceil, log2
from random import Random
from typing import Final, Protocol

import structlog

from lictor.raft.runtime import Clock
from lictor.registry.commands import (
    SERVER,
    AnyCommand,
    DeregisterEntity,
    RegisterEntity,
)
from lictor.registry.errors import (
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Refused,
    RegistryError,
)
from lictor.registry.queries import NodeChecks, NodeServices
from lictor.registry.records import HealthCheck, Node

from .local import Local
from .plan import Catalog, note, plan
from .registry import Registry

log = structlog.get_logger("agent")

FULL_INTERVAL: Final = 60.0
"""Seconds between full syncs in a small cluster; as much again is drawn at random."""

RETRY_INTERVAL: Final = 15.0
"""Seconds after which a failed sync is tried again; as much again is drawn at random."""

FIRST_RETRY: Final = 1.0
"""Seconds after which the first failure in a row is tried again; doubled up to the above."""

SCALE_THRESHOLD: Final = 128
"""Nodes from which on full syncs become rarer."""


def scale(nodes: int) -> int:
    """By how much full syncs are slower in a cluster of ``nodes``.

    Source: Consul; 1 up to 128 nodes, and one more whenever their number doubles.
    """
    if nodes <= SCALE_THRESHOLD:
        return 1
    return ceil(log2(nodes) - log2(SCALE_THRESHOLD)) + 1


class Sync:
    """Runs anti-entropy for one agent. :meth:`request` wakes it; :meth:`run_sync` is its loop."""

    def __init__(
        self,
        node: Node,
        local: Local,
        registry: Registry,
        clock: Clock,
        rng: Random,
        *,
        overridden: TagsOverridden,
    ) -> None:
        self.node = node
        """This agent's own record; replaced when its configuration changes."""
        self.cluster_size = 1
        """Nodes in the cluster; whoever knows better sets it."""
        self._local = local
        self._registry = registry
        self._clock = clock
        self._rng = rng
        self._overridden = overridden
        self._catalog = Catalog()
        self._wake = asyncio.Event()
        self._full_at = clock.now()
        self._retry_at: float | None = None
        self._waiting: list[asyncio.Event] = []
        self.failures = 0
        """Syncs in a row that failed."""

    def request(self) -> None:
        """Something changed; sync it soon."""
        self._wake.set()

    def request_full(self, *, within: float = 0.0) -> None:
        """Compare with the real catalogue soon, at a random time in ``within`` seconds."""
        at = self._clock.now() + self._rng.uniform(0, within)
        self._full_at = min(self._full_at, at)
        if self._retry_at is not None:
            self._retry_at = min(self._retry_at, at)
        self._wake.set()

    async def settle(self, *, within: float) -> bool:
        """Request a sync and wait for its end, but no longer than ``within`` seconds.

        Returns whether a sync ended; not whether the servers were reached.
        """
        done = asyncio.Event()
        self._waiting.append(done)
        self.request()
        try:
            return await self._clock.wait(done, until=self._clock.now() + within)
        finally:
            if done in self._waiting:
                self._waiting.remove(done)

    async def run_sync(self) -> None:
        """Sync until cancelled."""
        while True:
            waiting, self._waiting = self._waiting, []
            self._wake.clear()
            await self._sync_once()
            for done in waiting:
                done.set()
            until = self._full_at if self._retry_at is None else min(self._full_at, self._retry_at)
            await self._clock.wait(self._wake, until=until)

    async def _sync_once(self) -> None:
        now = self._clock.now()
        if self._retry_at is not None and now < self._retry_at:
            return  # what the catalogue holds is unknown until the full sync that is due then
        try:
            if now >= self._full_at or self.failures:
                await self._read_catalog()
                self._full_at = self._clock.now() + self._stretched(FULL_INTERVAL)
            for command in plan(self.node, self._local, self._catalog):
                await self._write(command)
        except RegistryError as error:
            self._retry_at = self._clock.now() + self._backoff()
            self.failures += 1
            log.warning("sync failed", error=str(error), failures=self.failures)
        else:
            self.failures, self._retry_at = 0, None

    def _backoff(self) -> float:
        """Seconds to the next try: at first soon, since most failures are an election."""
        quick = FIRST_RETRY * 2.0 ** min(self.failures, 10)
        if quick < RETRY_INTERVAL:
            return quick * self._rng.uniform(0.75, 1.25)
        return self._stretched(RETRY_INTERVAL)

    def _stretched(self, interval: float) -> float:
        return interval + self._rng.uniform(0, interval * scale(self.cluster_size))

    async def _read_catalog(self) -> None:
        name, before = self.node.name, self._catalog
        services = (await self._registry.read(NodeServices(name))).value
        checks = (await self._registry.read(NodeChecks(name))).value
        self._catalog = Catalog(
            node=services.node if services else None,
            services=dict(services.services) if services else {},
            checks={check.check_id: check for check in checks},
        )
        for service_id, known in self._catalog.services.items():
            ours = self._local.services.get(service_id)
            if ours is None or not ours.record.enable_tag_override:
                continue
            left = before.services.get(service_id)
            unsynced = left is not None and (left.tags or ()) != (ours.record.tags or ())
            if not unsynced and (ours.record.tags or ()) != (known.tags or ()):
                self._overridden(service_id, known.tags)

    async def _write(self, command: AnyCommand) -> None:
        """Write one command.

        One that is denied or refused counts as written until the next full sync, so that it does
        not keep the others back; after a refusal that one comes early.

        Raises:
            RegistryError: nobody takes writes now.
        """
        try:
            await self._registry.write(command, SERVER)
        except PermissionDenied as error:
            log.warning("sync denied", error=str(error), **_told(command))
        except (Refused, InvalidRequest, NotFound) as error:
            log.warning("sync refused", error=str(error), **_told(command))
            early = self._clock.now() + self._stretched(RETRY_INTERVAL)
            self._full_at = min(self._full_at, early)
        else:
            log.info("synced", **_told(command))
        note(self._catalog, command)


class TagsOverridden(Protocol):
    """Told when the catalogue's tags of a service are to be taken over."""

    def __call__(self, service_id: str, tags: tuple[str, ...] | None) -> None:
        """Take ``tags`` over."""


def _told(command: AnyCommand) -> dict[str, object]:
    if isinstance(command, RegisterEntity):
        service = command.service.id if command.service else ""
        return {"service": service, "checks": _names(command.checks)}
    if isinstance(command, DeregisterEntity):
        return {"gone_service": command.service_id, "gone_check": command.check_id}
    return {}


def _names(checks: Iterable[HealthCheck]) -> list[str]:
    return [check.check_id for check in checks]
