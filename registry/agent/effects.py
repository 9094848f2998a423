"""What follows from the agent's events: files, running checks, woken watchers, a sync."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from lictor.registry.errors import RegistryError

from .checks.runner import Runner
from .events import (
    CheckDeregistered,
    CheckRegistered,
    CheckUpdated,
    Event,
    ServiceDeregistered,
    ServiceGivenUp,
    ServiceRegistered,
)
from .local import Local
from .persistence import Persistence
from .sidecar import sidecar_id
from .sync import Sync

log = structlog.get_logger("agent")


class Effects:
    """Carries out what events ask for. Nothing here waits but :meth:`flush`."""

    def __init__(
        self, local: Local, runner: Runner, sync: Sync, persistence: Persistence | None
    ) -> None:
        self._local = local
        self._runner = runner
        self._sync = sync
        self._persistence = persistence
        self.moved = asyncio.Event()
        """Set when a deadline may have moved, or something waits to be written."""
        self._watched: dict[str, asyncio.Event] = {}

    def watch(self, service_id: str) -> asyncio.Event:
        """An event that is set when a service is next registered or deregistered."""
        return self._watched.setdefault(service_id, asyncio.Event())

    def apply(self, events: Sequence[Event], *, now: float, known: bool = False) -> None:
        """Carry out ``events``, oldest first; ``known`` when the files have them already."""
        for event in events:
            self._apply(event, now=now, known=known)
        if events:
            self.moved.set()
            if any(not isinstance(each, CheckUpdated) or each.published for each in events):
                self._sync.request()

    def _apply(self, event: Event, *, now: float, known: bool) -> None:
        match event:
            case ServiceRegistered(service_id) | ServiceDeregistered(service_id):
                self._wake(service_id)
                if not known:
                    self._save_service(service_id)
            case CheckRegistered(check_id) | CheckDeregistered(check_id):
                self._run(check_id)
                if not known:
                    self._save_check(check_id)
            case CheckUpdated(check_id):
                check = self._local.checks.get(check_id)
                if check is not None:
                    log.debug("check updated", check=check_id, status=check.record.status)
            case ServiceGivenUp(service_id, check_id):
                log.warning("service given up", service=service_id, check=check_id)
                self.remove_service(service_id, now=now)
            case _:
                raise AssertionError(event)

    def remove_service(self, service_id: str, *, now: float) -> None:
        """Remove an instance, its checks, and the sidecar that was made for it."""
        self.apply(self._local.remove_service(service_id, now=now), now=now)
        sidecar = self._local.services.get(sidecar_id(service_id))
        if sidecar is not None and sidecar.sidecar:
            self.apply(self._local.remove_service(sidecar.record.id, now=now), now=now)

    def save_state(self, check_id: str, *, expires: float) -> None:
        """Have what a TTL check said written soon; it lives until ``expires`` (Unix seconds)."""
        if self._persistence is not None:
            record = self._local.checks[check_id].record
            self._persistence.save_state(record, expires=expires)
            self.moved.set()

    async def flush(self) -> None:
        """Write what waits to be written.

        Raises:
            RegistryError: the disk did not take it.
        """
        if self._persistence is None:
            return
        try:
            await self._persistence.flush()
        except OSError as error:
            raise RegistryError(f"failed to persist: {error}") from error

    async def flush_or_log(self) -> None:
        """The same where there is nobody to tell."""
        try:
            await self.flush()
        except RegistryError:
            log.exception("registration not persisted")

    def _wake(self, service_id: str) -> None:
        watched = self._watched.pop(service_id, None)
        if watched is not None:
            watched.set()

    def _run(self, check_id: str) -> None:
        check = self._local.checks.get(check_id)
        if check is None or check.rules is None:
            self._runner.stop(check_id)
        else:
            self._runner.start(check_id, check.record.type, check.rules)

    def _save_service(self, service_id: str) -> None:
        if self._persistence is None:
            return
        service = self._local.services.get(service_id)
        if service is not None and service.source == "remote":
            self._persistence.save_service(service)
        else:
            self._persistence.forget_service(service_id)

    def _save_check(self, check_id: str) -> None:
        if self._persistence is None:
            return
        check = self._local.checks.get(check_id)
        if check is not None and (check.source == "remote" or check.rules is None):
            self._persistence.save_check(check)
        else:
            self._persistence.forget_check(check_id)
