"""From definitions to local services and checks: judged, expanded, registered."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from lictor.raft.runtime import Clock
from lictor.registry.errors import Refused
from lictor.registry.records import CRITICAL, NodeService

from .definitions import (
    CheckDefinition,
    CheckRules,
    ServiceDefinition,
    health_check,
    node_service,
    service_checks,
)
from .effects import Effects
from .events import Event
from .identity import AgentIdentity
from .local import Local, LocalService, Source
from .persistence import Kept
from .sidecar import sidecar_id, sidecar_of
from .validation import check_type, validate_check, validate_scripts, validate_service

log = structlog.get_logger("agent")


class Registrations:
    """Takes definitions from callers and from the configuration."""

    def __init__(
        self, identity: AgentIdentity, local: Local, effects: Effects, clock: Clock
    ) -> None:
        self.identity = identity
        """Replaced when the configuration is read again."""
        self._local = local
        self._effects = effects
        self._clock = clock

    def _apply(self, events: Sequence[Event]) -> None:
        self._effects.apply(events, now=self._clock.now())

    def add_service(
        self,
        definition: ServiceDefinition,
        *,
        token: str,
        source: Source,
        replace_existing_checks: bool = False,
    ) -> None:
        """Register or replace an instance, its checks and its sidecar.

        Raises:
            InvalidRequest: the definition will not do.
            Refused: commands are not allowed, or no port is left for the sidecar.
        """
        validate_service(definition)
        sidecar = self._sidecar(definition)
        wanted = [definition] if sidecar is None else [definition, sidecar]
        for each in wanted:
            self._allow_scripts(each.all_checks, source)
        for each in wanted:
            self._put_service(
                each,
                token=token,
                source=source,
                sidecar=each is sidecar,
                replace_existing_checks=replace_existing_checks,
            )

    def _sidecar(self, definition: ServiceDefinition) -> ServiceDefinition | None:
        own = sidecar_id(definition.instance_id)
        services = self._local.services
        current = services.get(own)
        ports = range(self.identity.sidecar_min_port, self.identity.sidecar_max_port + 1)
        return sidecar_of(
            definition,
            taken={each.record.port for name, each in services.items() if name != own},
            current=current.record.port if current and current.sidecar else 0,
            ports=ports,
        )

    def _put_service(
        self,
        definition: ServiceDefinition,
        *,
        token: str,
        source: Source,
        sidecar: bool,
        replace_existing_checks: bool,
    ) -> None:
        now = self._clock.now()
        record = node_service(definition)
        service = LocalService(record=record, token=token, source=source, sidecar=sidecar)
        checks = service_checks(definition)
        if replace_existing_checks:
            named = {check_id for check_id, _ in checks}
            for old in self._local.checks_of(record.id):
                if old.record.check_id not in named:
                    self._apply(self._local.remove_check(old.record.check_id, now=now))
        self._apply(self._local.add_service(service, now=now))
        for check_id, rules in checks:
            self._put_check(check_id, rules, record, token=token, source=source)

    def take_tags(self, service_id: str, tags: tuple[str, ...] | None) -> None:
        """The catalogue's tags win over ours, as the service allows."""
        service = self._local.services[service_id]
        record = msgspec.structs.replace(service.record, tags=tags)
        service = msgspec.structs.replace(service, record=record)
        self._apply(self._local.add_service(service, now=self._clock.now()))

    def add_check(self, definition: CheckDefinition, *, token: str, source: Source) -> None:
        """Register or replace a check.

        Raises:
            InvalidRequest: the definition will not do.
            Refused: commands are not allowed, or its service is not here.
        """
        validate_check(definition)
        service: NodeService | None = None
        if definition.service_id:
            found = self._local.services.get(definition.service_id)
            if found is None:
                raise Refused(f'ServiceID "{definition.service_id}" does not exist')
            service, token = found.record, token or found.token
        self._allow_scripts([definition], source)
        check_id = definition.id or definition.name
        self._put_check(check_id, definition, service, token=token, source=source)

    def _put_check(
        self,
        check_id: str,
        rules: CheckRules,
        service: NodeService | None,
        *,
        token: str,
        source: Source,
    ) -> None:
        record = health_check(
            check_id, rules, check_type(rules), node=self.identity.node_name, service=service
        )
        now = self._clock.now()
        self._apply(self._local.add_check(record, rules, now=now, token=token, source=source))

    def _allow_scripts(self, checks: Sequence[CheckRules], source: Source) -> None:
        validate_scripts(
            checks,
            local=source == "local",
            local_allowed=self.identity.enable_local_script_checks,
            remote_allowed=self.identity.enable_script_checks,
        )


def restore(kept: Kept, local: Local, node: str, *, now: float, wall: float) -> list[Event]:
    """Register what was on disk. ``wall`` is in seconds since the Unix epoch."""
    events: list[Event] = []
    for each in kept.services:
        service = LocalService(
            record=each.service,
            token=each.token,
            source=each.source,
            sidecar=each.locally_registered_as_sidecar,
        )
        events += local.add_service(service, now=now)
    for known in kept.checks:
        check = known.check
        if check.service_id and check.service_id not in local.services:
            log.warning("check of no service dropped", check=check.check_id)
            continue
        # Critical until it has run: nothing may send traffic to what may have died meanwhile.
        record = msgspec.structs.replace(check, node=node, status=CRITICAL, output="")
        events += local.add_check(
            record, known.chk_type, now=now, token=known.token, source=known.source
        )
    for state in kept.states:
        remaining = state.expires - wall
        events += local.restore(
            state.check_id, state.status, state.output, remaining=remaining, now=now
        )
    return events
