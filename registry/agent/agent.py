"""The agent: takes registrations, runs checks, and makes the catalogue agree.

The decisions are elsewhere (``validation``, ``sidecar``, ``local``, ``sync.plan``); this is the
driver that has the tasks, the files and the errors. Methods raise :class:`RegistryError` with the
texts of Consul 1.8: :class:`InvalidRequest` for 400, :class:`NotFound` for 404, :class:`Refused`
for 500.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from lictor.raft.runtime import Runtime
from lictor.registry.errors import InvalidRequest, NotFound, Refused
from lictor.registry.records import CRITICAL, PASSING, WARNING, HealthCheck
from lictor.registry.shapes import listed_check

from .checks.real import RealHTTP, RealScripts
from .checks.runner import Probers, Runner
from .definitions import (
    CheckDefinition,
    ServiceDefinition,
    service_checks,
)
from .effects import Effects
from .events import Event
from .identity import AgentIdentity
from .local import Local
from .persistence import Persistence
from .registrations import Registrations, restore
from .registry import Registry
from .shapes import AgentService, LocalHealth, agent_service, local_health_check, with_hash
from .sidecar import sidecar_id
from .sync import Sync
from .verdict import Verdict, cut

log = structlog.get_logger("agent")

SYNC_GRACE: Final = 0.5
"""Seconds that a registration waits for the catalogue to hear of it; it succeeds either way."""

DEFAULT_WAIT: Final = 300.0
MAX_WAIT: Final = 600.0


class Agent:
    """One agent's own part: its services, its checks, and their way into the catalogue."""

    def __init__(
        self,
        identity: AgentIdentity,
        runtime: Runtime,
        registry: Registry,
        *,
        data_dir: Path | None = None,
        probers: Probers | None = None,
    ) -> None:
        self.identity = identity
        self._runtime = runtime
        self._clock = runtime.clock
        self.local = Local(
            identity.node_name,
            output_deferral=identity.check_update_interval,
            discard_output=identity.discard_check_output,
            rng=runtime.rng,
        )
        self._persistence = Persistence(runtime.disk, data_dir) if data_dir else None
        self._runner = Runner(
            runtime,
            probers or Probers(RealHTTP(), RealScripts(runtime.clock)),
            registry,
            self._ran,
            output_max_size=identity.check_output_max_size,
        )
        self.sync = Sync(
            identity.node,
            self.local,
            registry,
            runtime.clock,
            runtime.rng,
            overridden=self._take_tags,
        )
        self._effects = Effects(self.local, self._runner, self.sync, self._persistence)
        self._registrations = Registrations(identity, self.local, self._effects, runtime.clock)
        self._tasks: list[asyncio.Task[None]] = []

    # Life

    async def start(
        self,
        services: Sequence[ServiceDefinition] = (),
        checks: Sequence[CheckDefinition] = (),
    ) -> None:
        """Take up what is on disk and in the configuration, run its checks, and sync.

        Raises:
            RegistryError: a definition from the configuration will not do.
        """
        if self._persistence is not None:
            await self._restore(self._persistence)
        await self._load(services, checks)
        self._begin(self.sync.run_sync(), "sync")
        self._begin(self.run_deadlines(), "deadlines")

    async def close(self) -> None:
        """Stop every check and task, and write what is still to be written."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.close()
        await self._effects.flush_or_log()

    async def reload(
        self,
        services: Sequence[ServiceDefinition],
        checks: Sequence[CheckDefinition],
        *,
        identity: AgentIdentity | None = None,
    ) -> None:
        """Take over the definitions of a configuration read again; health is kept by id.

        Of ``identity`` the metadata and the leave for scripts and output count; who the agent is
        does not change.

        Raises:
            RegistryError: a definition will not do; those before it were taken over.
        """
        kept = {definition.instance_id for definition in services}
        kept |= {sidecar_id(service_id) for service_id in kept}
        named = {check_id for each in services for check_id, _ in service_checks(each)}
        named |= {definition.id or definition.name for definition in checks}
        now = self._clock.now()
        for check_id, check in list(self.local.checks.items()):
            own = check.source == "local" and check.rules is not None
            if own and check_id not in named and check.record.service_id not in kept:
                self._apply(self.local.remove_check(check_id, now=now))
        for service_id, service in list(self.local.services.items()):
            if service.source == "local" and service_id not in kept:
                self._apply(self.local.remove_service(service_id, now=now))
        if identity is not None:
            self.identity = self._registrations.identity = identity
            self.local.discard_output = identity.discard_check_output
            self.sync.node = identity.node
        await self._load(services, checks)
        self.sync.request()

    async def _load(
        self, services: Sequence[ServiceDefinition], checks: Sequence[CheckDefinition]
    ) -> None:
        for service in services:
            self._registrations.add_service(service, token=service.token, source="local")
        for check in checks:
            self._registrations.add_check(check, token=check.token, source="local")
        await self._effects.flush()

    async def run_deadlines(self) -> None:
        """Do what time brings, and write what waits to be written, until cancelled."""
        while True:
            moved = self._effects.moved
            moved.clear()
            self._apply(self.local.expire(now=self._clock.now()))
            await self._effects.flush_or_log()
            if not moved.is_set():
                await self._clock.wait(moved, until=self.local.next_deadline())

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"agent {name}")
        task.add_done_callback(_log_end)
        self._tasks.append(task)

    # Services

    async def register_service(
        self,
        definition: ServiceDefinition,
        *,
        replace_existing_checks: bool = False,
        token: str = "",
    ) -> None:
        """``PUT /v1/agent/service/register``: register or replace an instance, and its sidecar.

        ``replace_existing_checks`` removes the checks that it has and ``definition`` has not.
        ``token`` is the request's, for when the definition has none.

        Raises:
            InvalidRequest: the definition will not do.
            Refused: commands are not allowed, or no port is left for the sidecar.
        """
        self._registrations.add_service(
            definition,
            token=definition.token or token,
            source="remote",
            replace_existing_checks=replace_existing_checks,
        )
        await self._settle()

    async def deregister_service(self, service_id: str) -> None:
        """``PUT /v1/agent/service/deregister/:id``: its checks and its sidecar go too.

        One that is not here is fine, as in Consul 1.8 without ACLs.

        Raises:
            Refused: no id was given.
        """
        if not service_id:
            raise Refused("ServiceID missing")
        self._effects.remove_service(service_id, now=self._clock.now())
        await self._settle()

    def services(self) -> dict[str, AgentService]:
        """``GET /v1/agent/services``: every instance by id."""
        return {name: agent_service(each.record) for name, each in self.local.services.items()}

    async def service(self, service_id: str, *, hash_: str = "", wait: float = 0.0) -> AgentService:
        """``GET /v1/agent/service/:id``: an instance with its content hash.

        With ``hash_`` it waits until the instance's own is another, at most ``wait`` seconds (0:
        five minutes; bounded by ten), and then answers what there is.

        Raises:
            NotFound: there is no such instance, or it went while this waited.
        """
        limit = min(wait, MAX_WAIT) if wait > 0 else DEFAULT_WAIT
        until = self._clock.now() + limit
        while True:
            found = self.local.services.get(service_id)
            if found is None:
                raise NotFound(f"unknown service ID: {service_id}")
            shown = with_hash(agent_service(found.record))
            if not hash_ or shown.content_hash != hash_:
                return shown
            if not await self._clock.wait(self._effects.watch(service_id), until=until):
                return shown

    # Checks

    async def register_check(self, definition: CheckDefinition, *, token: str = "") -> None:
        """``PUT /v1/agent/check/register``: register or replace a check; its health is kept.

        Raises:
            InvalidRequest: the definition will not do.
            Refused: commands are not allowed, or its service is not here.
        """
        self._registrations.add_check(definition, token=definition.token or token, source="remote")
        await self._settle()

    async def deregister_check(self, check_id: str) -> None:
        """``PUT /v1/agent/check/deregister/:id``; one that is not here is fine.

        Raises:
            Refused: no id was given.
        """
        if not check_id:
            raise Refused("CheckID missing")
        self._apply(self.local.remove_check(check_id, now=self._clock.now()))
        await self._settle()

    async def update_ttl(self, check_id: str, status: str, output: str) -> None:
        """``PUT /v1/agent/check/{pass,warn,fail,update}/:id``: the check's owner says so.

        Raises:
            InvalidRequest: ``status`` is none.
            Refused: there is no such check, or it has no TTL.
        """
        if status not in {PASSING, WARNING, CRITICAL}:
            raise InvalidRequest(f"Invalid check status: '{status}'")
        check = self.local.checks.get(check_id)
        if check is None or check.rules is None or not check.ttl:
            raise Refused(f'CheckID "{check_id}" does not have associated TTL')
        shown = cut(output, self._runner.limit(check.rules))
        before = check.record.status
        self._apply(self.local.renew(check_id, status, shown, now=self._clock.now()))
        self._effects.save_state(check_id, expires=self._clock.wall() + check.ttl)
        if status != before:
            await self.sync.settle(within=SYNC_GRACE)

    def checks(self) -> dict[str, HealthCheck]:
        """``GET /v1/agent/checks``: every check by id, as it is now."""
        return {name: listed_check(check.record) for name, check in self.local.checks.items()}

    def _take_tags(self, service_id: str, tags: tuple[str, ...] | None) -> None:
        self._registrations.take_tags(service_id, tags)

    def _ran(self, check_id: str, verdict: Verdict) -> None:
        now = self._clock.now()
        self._apply(self.local.report(check_id, verdict.status, verdict.output, now=now))

    def counts(self) -> dict[str, str]:
        """``Stats.agent`` of ``/v1/agent/self``; monitors are script checks."""
        kinds = Counter(check.record.type for check in self.local.checks.values())
        return {
            "check_monitors": str(kinds["script"]),
            "check_ttls": str(kinds["ttl"]),
            "checks": str(len(self.local.checks)),
            "services": str(len(self.local.services)),
        }

    # Maintenance and local health

    async def service_maintenance(self, service_id: str, *, enable: bool, reason: str = "") -> None:
        """``PUT /v1/agent/service/maintenance/:id``: out of service, or back; idempotent.

        Raises:
            InvalidRequest: no id was given.
            NotFound: there is no such instance.
        """
        if not service_id:
            raise InvalidRequest("Missing service ID")
        if service_id not in self.local.services:
            raise NotFound(f'No service registered with ID "{service_id}"')
        await self._maintain(service_id, enable=enable, reason=reason)

    async def node_maintenance(self, *, enable: bool, reason: str = "") -> None:
        """``PUT /v1/agent/maintenance``: the whole node; idempotent."""
        await self._maintain("", enable=enable, reason=reason)

    async def _maintain(self, service_id: str, *, enable: bool, reason: str) -> None:
        now = self._clock.now()
        if enable:
            self._apply(self.local.start_maintenance(service_id, reason, now=now))
        else:
            self._apply(self.local.stop_maintenance(service_id, now=now))
        await self._settle()

    def local_health(self, service_id: str) -> LocalHealth | None:
        """``GET /v1/agent/health/service/id/:id``; ``None`` when there is no such instance.

        Its status is that of its own checks and the node's: maintenance, critical, warning or
        passing.
        """
        found = self.local.services.get(service_id)
        if found is None:
            return None
        status, checks = self.local.health_of(service_id)
        return LocalHealth(
            aggregated_status=status,
            service=agent_service(found.record),
            checks=tuple(local_health_check(check) for check in checks),
        )

    def local_health_by_name(self, name: str) -> list[LocalHealth]:
        """``GET /v1/agent/health/service/name/:name``: every instance of the name, by id."""
        ids = (key for key, each in self.local.services.items() if each.record.name == name)
        return [health for key in sorted(ids) if (health := self.local_health(key)) is not None]

    def _apply(self, events: Sequence[Event]) -> None:
        self._effects.apply(events, now=self._clock.now())

    async def _settle(self) -> None:
        """End a change: on disk, and if it goes fast in the catalogue."""
        await self._effects.flush()
        await self.sync.settle(within=SYNC_GRACE)

    # Restoring

    async def _restore(self, files: Persistence) -> None:
        kept = await self._runtime.disk.run(files.load)
        now = self._clock.now()
        events = restore(
            kept, self.local, self.identity.node_name, now=now, wall=self._clock.wall()
        )
        self._effects.apply(events, now=now, known=True)


def _log_end(task: asyncio.Task[None]) -> None:
    """A loop of the agent ends by being cancelled; anything else is a broken invariant."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("agent loop ended", loop=task.get_name(), exc_info=error)
