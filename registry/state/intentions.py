"""Intentions: one record a destination, holding a rule for each source."""

from __future__ import annotations

from lictor.connect.intentions import precedence
from lictor.registry.commands import DeleteIntention, SetIntention
from lictor.registry.errors import Refused
from lictor.registry.records import ServiceIntentions, SourceIntention

from .store import Transaction

KIND = "service-intentions"


def set_intention(tx: Transaction, command: SetIntention) -> bool:
    """Write the rule for one source and destination.

    Raises:
        Refused: ``only_new`` was asked for and there is such a rule.
    """
    entry = tx.state.intentions.rows.get(command.destination)
    sources = list(entry.sources) if entry else []
    for position, old in enumerate(sources):
        if old.name == command.source.name:
            if command.only_new:
                raise Refused(_duplicate(command.destination, old))
            sources[position] = command.source
            break
    else:
        sources.append(command.source)
    _store(tx, command.destination, entry, sources)
    return True


def delete_intention(tx: Transaction, command: DeleteIntention) -> bool:
    """Remove the rule for one source and destination; the last one takes the record with it."""
    entry = tx.state.intentions.rows.get(command.destination)
    if entry is None:
        return True
    sources = [source for source in entry.sources if source.name != command.source]
    if not sources:
        tx.delete(tx.state.intentions, command.destination)
    else:
        _store(tx, command.destination, entry, sources)
    return True


def _store(
    tx: Transaction,
    destination: str,
    entry: ServiceIntentions | None,
    sources: list[SourceIntention],
) -> None:
    sources.sort(key=lambda source: -precedence(source.name, destination))
    tx.put(
        tx.state.intentions,
        ServiceIntentions(
            kind=KIND,
            name=destination,
            meta=entry.meta if entry else None,
            sources=tuple(sources),
            create_index=0,
            modify_index=0,
        ),
    )


def _duplicate(destination: str, old: SourceIntention) -> str:
    """Consul's words for a second rule of the same ends."""
    return (
        f"duplicate intention found: {old.action.upper()} default/{old.name} => "
        f"default/{destination} (ID: {old.legacy_id}, Precedence: {old.precedence})"
    )
