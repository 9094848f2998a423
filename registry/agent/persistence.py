"""What this agent was told and must remember: one JSON file for each service, check and TTL state.

Layout below the data directory, ``<h>`` being the MD5 of the id in hexadecimal::

    services/<h>       {"Token", "Service", "Source", "LocallyRegisteredAsSidecar"?}
    checks/<h>         {"Check", "ChkType", "Token", "Source"}
    checks/state/<h>   {"CheckID", "Output", "Status", "Expires"}

A file that cannot be read is kept beside as ``<h>.corrupt`` and reported; it never stops a start.

Source: names and members of Consul 1.8, as observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import md5
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from lictor.raft.runtime import Disk
from lictor.registry.answers import encode_json
from lictor.registry.records import HealthCheck, NodeService, Record

from .definitions import CheckRules
from .local import LocalCheck, LocalService, Source

log = structlog.get_logger("agent")

FileT = TypeVar("FileT", bound=Record)

CORRUPT_SUFFIX = ".corrupt"


class ServiceFile(Record, frozen=True, kw_only=True):
    """A service that somebody registered."""

    token: str
    service: NodeService
    source: Source
    locally_registered_as_sidecar: bool = False


class CheckFile(Record, frozen=True, kw_only=True):
    """A check that somebody registered; no rules for maintenance."""

    check: HealthCheck
    chk_type: CheckRules | None
    token: str
    source: Source


class StateFile(Record, frozen=True, kw_only=True):
    """What a TTL check last said."""

    check_id: str = msgspec.field(name="CheckID")
    output: str
    status: str
    expires: int
    """Seconds since the Unix epoch."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """All that was on disk."""

    services: list[ServiceFile]
    checks: list[CheckFile]
    states: list[StateFile]


def file_name(identity: str) -> str:
    """The name of the file for an id."""
    return md5(identity.encode(), usedforsecurity=False).hexdigest()


def _do_all(actions: Iterable[Callable[[], None]]) -> OSError | None:
    """Do all of them, and return the first error."""
    first: OSError | None = None
    for action in actions:
        try:
            action()
        except OSError as error:
            first = first or error
    return first


class Persistence:
    """The files of one agent.

    What is to be saved or forgotten is only noted, the last word for each file; :meth:`flush`
    writes. The reading methods block and belong on the storage thread.
    """

    def __init__(self, disk: Disk, data_dir: Path) -> None:
        self._disk = disk
        self._due: dict[Path, Callable[[], None]] = {}
        self._services = data_dir / "services"
        self._checks = data_dir / "checks"
        self._states = data_dir / "checks" / "state"

    def save_service(self, service: LocalService) -> None:
        """Remember a service."""
        content = ServiceFile(
            token=service.token,
            service=service.record,
            source=service.source,
            locally_registered_as_sidecar=service.sidecar,
        )
        self._later(self._services, service.record.id, content)

    def save_check(self, check: LocalCheck) -> None:
        """Remember a check, but not what it last said."""
        rules = check.rules
        if rules is not None:
            rules = msgspec.convert(msgspec.to_builtins(rules), CheckRules)
        content = CheckFile(
            check=msgspec.structs.replace(check.record, output=""),
            chk_type=rules,
            token=check.token,
            source=check.source,
        )
        self._later(self._checks, check.record.check_id, content)

    def save_state(self, record: HealthCheck, *, expires: float) -> None:
        """Remember what a TTL check says until ``expires``, in seconds since the Unix epoch."""
        content = StateFile(
            check_id=record.check_id,
            output=record.output,
            status=record.status,
            expires=int(expires),
        )
        self._later(self._states, record.check_id, content)

    def forget_service(self, service_id: str) -> None:
        """Remove a service's file."""
        self._later(self._services, service_id, None)

    def forget_check(self, check_id: str) -> None:
        """Remove a check's files."""
        self._later(self._checks, check_id, None)
        self._later(self._states, check_id, None)

    def load(self) -> Kept:
        """Everything remembered, expired states too. Blocks."""
        return Kept(
            services=list(self._load(self._services, ServiceFile)),
            checks=list(self._load(self._checks, CheckFile)),
            states=list(self._load(self._states, StateFile)),
        )

    async def flush(self) -> None:
        """Write everything that is due.

        Raises:
            OSError: something could not be written; the rest was.
        """
        due, self._due = self._due, {}
        if not due:
            return
        error = await self._disk.run(lambda: _do_all(due.values()))
        if error is not None:
            raise error

    def _later(self, directory: Path, identity: str, content: Record | None) -> None:
        path = directory / file_name(identity)
        if content is None:
            self._due[path] = lambda: self._disk.remove(path)
        else:
            self._due[path] = lambda: self._disk.write_atomic(
                path, encode_json(content), mode=0o600
            )

    def _load(self, directory: Path, shape: type[FileT]) -> Iterator[FileT]:
        for name in self._disk.names(directory):
            path = directory / name
            if len(name) != 32:  # temporary and corrupt files, and the state directory
                continue
            try:
                content = self._disk.read(path)
                yield msgspec.json.decode(content, type=shape)
            except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
                log.warning("file kept aside", path=str(path), error=str(error))
                self._keep_aside(path)

    def _keep_aside(self, path: Path) -> None:
        try:
            content = self._disk.read(path)
            self._disk.write_atomic(path.with_name(path.name + CORRUPT_SUFFIX), content, mode=0o600)
            self._disk.remove(path)
        except OSError as error:
            log.warning("file could not be kept aside", path=str(path), error=str(error))
