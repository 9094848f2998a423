"""Intentions as the API has them.

They are written by source and destination (``/v1/connect/intentions/exact``). A server from before
Consul 1.9 takes that path for an ID; then the same is done by ID, as its own tools do.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .client import Client
from .errors import Failure, Refused

INTENTIONS: Final = "/v1/connect/intentions"
EXACT: Final = f"{INTENTIONS}/exact"


class Intention(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One intention as the API reads and writes it."""

    source_name: str = ""
    destination_name: str = ""
    action: str = ""
    id: str = msgspec.field(name="ID", default="")
    source_ns: str = msgspec.field(name="SourceNS", default="")
    destination_ns: str = msgspec.field(name="DestinationNS", default="")
    source_peer: str = ""
    source_type: str = ""
    description: str = ""
    meta: dict[str, str] | None = None
    precedence: int = 0
    permissions: list[dict[str, object]] | None = None
    created_at: str = ""

    @property
    def source(self) -> str:
        """The source as it is typed."""
        if self.source_peer:
            return f"peer:{self.source_peer}/{self.source_name}"
        return _qualified(self.source_ns, self.source_name)

    @property
    def destination(self) -> str:
        """The destination as it is typed."""
        return _qualified(self.destination_ns, self.destination_name)

    @property
    def decision(self) -> str:
        """``allow``, ``deny``, or that it depends on the request."""
        if self.permissions:
            count = len(self.permissions)
            return f"{count} permission{'s' if count > 1 else ''}"
        return self.action

    @property
    def sentence(self) -> str:
        """``web => db (allow)``."""
        return f"{self.source} => {self.destination} ({self.decision})"


def _qualified(namespace: str, name: str) -> str:
    return name if namespace in {"", "default"} else f"{namespace}/{name}"


def between(
    source: str, destination: str, *, action: str, meta: dict[str, str], description: str
) -> Intention:
    """An intention between two ends as they are typed.

    Raises:
        Failure: an end has more than one slash.
    """
    peer = ""
    if source.startswith("peer:"):
        peer, _, source = source.removeprefix("peer:").partition("/")
    source_ns, source_name = _split(source, "source")
    destination_ns, destination_name = _split(destination, "destination")
    return Intention(
        source_name=source_name,
        source_ns=source_ns,
        source_peer=peer,
        destination_name=destination_name,
        destination_ns=destination_ns,
        source_type="consul",
        action=action,
        meta=meta or None,
        description=description,
    )


def _split(target: str, end: str) -> tuple[str, str]:
    if target.count("/") > 1:
        raise Failure(f"Error: Invalid intention {end}: target can contain at most one '/'")
    namespace, _, name = target.rpartition("/")
    return namespace, name


def all_intentions(agent: Client) -> list[Intention]:
    """Every intention, the most precise first. Raises AgentError."""
    return agent.get(INTENTIONS).decode(list[Intention])


def find(among: list[Intention], wanted: Intention) -> Intention | None:
    """The one with the same source and destination as ``wanted``."""
    ends = (wanted.source, wanted.destination)
    return next((one for one in among if (one.source, one.destination) == ends), None)


def duplicate_error(one: Intention) -> str:
    """What a server says to whom would create another like ``one``."""
    source = f"{one.source_ns or 'default'}/{one.source_name}"
    destination = f"{one.destination_ns or 'default'}/{one.destination_name}"
    return (
        f"duplicate intention found: {one.decision.upper()} {source} => {destination}"
        f" (ID: {one.id}, Precedence: {one.precedence})"
    )


def _ends(one: Intention) -> dict[str, str]:
    return {"source": one.source, "destination": one.destination}


def _takes_exact_for_an_id(refused: Refused) -> bool:
    return "UUID must be" in refused.body


def write(agent: Client, one: Intention, existing: Intention | None) -> None:
    """Create ``one``, or put it in the place of ``existing``. Raises AgentError."""
    try:
        agent.put(EXACT, _ends(one), body=one)
    except Refused as refused:
        if not _takes_exact_for_an_id(refused):
            raise
        if existing is None:
            agent.post(INTENTIONS, body=one)
        else:
            agent.put(f"{INTENTIONS}/{existing.id}", body=one)


def remove(agent: Client, found: Intention) -> None:
    """Delete ``found``. Raises AgentError."""
    try:
        agent.delete(EXACT, _ends(found))
    except Refused as refused:
        if not _takes_exact_for_an_id(refused):
            raise
        agent.delete(f"{INTENTIONS}/{found.id}")
