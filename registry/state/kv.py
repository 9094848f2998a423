"""Keys and values: how commands change them; results are the ``true`` or ``false`` of the API."""

from __future__ import annotations

from lictor.registry.commands import (
    CompareAndDeleteKey,
    CompareAndSetKey,
    DeleteKey,
    DeleteTree,
    LockKey,
    SetKey,
    UnlockKey,
)
from lictor.registry.errors import Refused
from lictor.registry.records import UUID_TEXT, KVEntry

from .store import Transaction


def set_key(tx: Transaction, command: SetKey) -> bool:
    """Write the key; a holder keeps its lock, and the lock index starts anew.

    Source: observed; a plain write on a locked key resets ``LockIndex`` to 0.
    """
    old = tx.state.kv.rows.get(command.key)
    _write(tx, command, session=old.session if old else "", lock_index=0)
    return True


def compare_and_set(tx: Transaction, command: CompareAndSetKey) -> bool:
    """Write the key if it is at the index the caller saw."""
    old = tx.state.kv.rows.get(command.key)
    if (old.modify_index if old else 0) != command.index:
        return False
    _write(tx, command, session=old.session if old else "", lock_index=0)
    return True


def lock_key(tx: Transaction, command: LockKey) -> bool:
    """Write the key and hold it, unless somebody else does or a lock delay runs.

    Raises:
        Refused: there is no such session.
    """
    session = command.session
    if tx.state.lock_delays.get(command.key, 0) > tx.time:
        return False  # before the session is looked at: its end is what began the delay
    if not UUID_TEXT.fullmatch(session):
        raise Refused("failed session lookup: index error: UUID must be 36 characters")
    if session not in tx.state.sessions.rows:
        message = f'invalid session "{session}"'
        raise Refused(message)
    old = tx.state.kv.rows.get(command.key)
    if old is not None and old.session == session:
        _write(tx, command, session=session, lock_index=old.lock_index)
        return True
    if old is not None and old.session:
        return False
    _write(tx, command, session=session, lock_index=(old.lock_index if old else 0) + 1)
    return True


def unlock_key(tx: Transaction, command: UnlockKey) -> bool:
    """Write the key and let go of it, if the session holds it."""
    old = tx.state.kv.rows.get(command.key)
    if old is None or not old.session or old.session != command.session:
        return False
    _write(tx, command, session="", lock_index=old.lock_index)
    return True


def delete_key(tx: Transaction, command: DeleteKey) -> bool:
    """Delete the key; one that is not there is fine."""
    tx.delete(tx.state.kv, command.key)
    return True


def compare_and_delete(tx: Transaction, command: CompareAndDeleteKey) -> bool:
    """Delete the key if it is at the index the caller saw; one that is not there is fine."""
    old = tx.state.kv.rows.get(command.key)
    if old is None:
        return True
    if old.modify_index != command.index:
        return False
    tx.delete(tx.state.kv, command.key)
    return True


def delete_tree(tx: Transaction, command: DeleteTree) -> bool:
    """Delete every key that begins with the prefix."""
    for key in list(tx.state.kv.prefix_keys(command.prefix)):
        tx.delete(tx.state.kv, key)
    return True


def _write(
    tx: Transaction,
    command: SetKey | CompareAndSetKey | LockKey | UnlockKey,
    *,
    session: str,
    lock_index: int,
) -> None:
    tx.put(
        tx.state.kv,
        KVEntry(
            lock_index=lock_index,
            key=command.key,
            flags=command.flags,
            value=command.value or None,
            session=session,
            create_index=0,
            modify_index=0,
        ),
    )
