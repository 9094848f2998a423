"""From a committed entry to a changed state: pure, the same on every server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import structlog

from . import commands
from .errors import RegistryError
from .state import catalog, intentions, kv, sessions, transactions
from .state.store import State, Transaction
from .state.table import Topic

log = structlog.get_logger("registry")

APPLY: Final[dict[type[commands.Command], Callable[[Transaction, Any], object]]] = {
    commands.RegisterEntity: catalog.register,
    commands.DeregisterEntity: catalog.deregister,
    commands.SetKey: kv.set_key,
    commands.CompareAndSetKey: kv.compare_and_set,
    commands.LockKey: kv.lock_key,
    commands.UnlockKey: kv.unlock_key,
    commands.DeleteKey: kv.delete_key,
    commands.CompareAndDeleteKey: kv.compare_and_delete,
    commands.DeleteTree: kv.delete_tree,
    commands.CreateSession: sessions.create,
    commands.DestroySession: sessions.destroy,
    commands.SetIntention: intentions.set_intention,
    commands.DeleteIntention: intentions.delete_intention,
    commands.ApplyOperations: transactions.apply_operations,
}
"""One row per command; ``tests/registry/test_apply.py`` proves that none is missing."""


def apply(state: State, data: bytes, index: int) -> tuple[object, set[Topic]]:
    """Apply the entry in ``data``, committed at ``index``.

    Returns its result and the topics it touched. A command that the state forbids changes nothing;
    its result is the error. So is the result of one that broke in apply: it breaks on every server
    alike, and must not end them one by one.

    Raises:
        msgspec.DecodeError: a newer server wrote a command this one does not know. The process
            must stop: to skip it would let the state diverge.
    """
    entry = commands.decode(data)
    state.index = index
    tx = state.transaction(index=index, time=entry.time)
    try:
        result = APPLY[type(entry.command)](tx, entry.command)
    except RegistryError as error:
        tx.rollback()
        return error, set()
    except Exception as error:
        tx.rollback()
        log.exception("command broke in apply", index=index, command=type(entry.command).__name__)
        return RegistryError(f"internal error: {error}"), set()
    return result, tx.commit()
