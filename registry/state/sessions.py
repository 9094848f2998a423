"""Sessions: made, ended, and what their end does to the keys they hold."""

from __future__ import annotations

import msgspec

from lictor.registry.commands import CreateSession, DestroySession
from lictor.registry.errors import Refused
from lictor.registry.records import CRITICAL, Session

from .store import Transaction


def create(tx: Transaction, command: CreateSession) -> str:
    """Make the session and return its id.

    Raises:
        Refused: its node or one of its checks is missing, or a check is critical.
    """
    session = command.session
    state = tx.state
    node = state.nodes.rows.get(session.node.lower())
    if node is None:
        raise Refused("Missing node registration")
    names = [*(session.node_checks or ()), *(c.id for c in session.service_checks or ())]
    for name in names:
        check = state.checks.rows.get((session.node.lower(), name))
        if check is None:
            message = f"Missing check '{name}' registration"
            raise Refused(message)
        if check.status == CRITICAL:
            message = f"Check '{name}' is in {check.status} state"
            raise Refused(message)
    tx.put(state.sessions, session)
    return session.id


def destroy(tx: Transaction, command: DestroySession) -> bool:
    """End the session; one that is not there is fine."""
    session = tx.state.sessions.rows.get(command.id)
    if session is not None:
        invalidate(tx, session)
    return True


def invalidate(tx: Transaction, session: Session) -> None:
    """End ``session``: its keys are released or deleted, and its lock delay begins.

    Source: Consul's sessions: the delay holds after an invalidation, not after a release.
    """
    kv = tx.state.kv
    tx.delete(tx.state.sessions, session.id)
    for entry in list(kv.by("session", session.id)):
        if session.behavior == "delete":
            tx.delete(kv, entry.key)
        else:
            tx.put(kv, msgspec.structs.replace(entry, session=""))
        if session.lock_delay > 0:
            tx.delay_lock(entry.key, until=tx.time + session.lock_delay)
