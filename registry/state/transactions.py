"""Transactions: many steps on keys, nodes, instances and checks, all of them or none.

Texts are those that Consul 1.8 was observed to answer.
"""

from __future__ import annotations

from lictor.registry.commands import (
    ApplyOperations,
    CheckOperation,
    CompareAndDeleteKey,
    CompareAndSetKey,
    DeleteKey,
    DeleteTree,
    KeyOperation,
    LockKey,
    NodeOperation,
    Operation,
    RegisterEntity,
    ServiceOperation,
    SetKey,
    UnlockKey,
)
from lictor.registry.errors import Refused
from lictor.registry.records import ServiceInstance
from lictor.registry.shapes import Settled

from . import catalog, kv
from .operations import (
    KEY_WRITES,
    Found,
    GetCheck,
    GetNode,
    GetService,
    bare,
    check_lookup,
    read,
    settle,
)
from .store import Transaction
from .view import View


def apply_operations(tx: Transaction, command: ApplyOperations) -> Settled:
    """Carry out every step; a failure of any leaves the state as it was."""
    settled = settle(command.operations, lambda step: _step(tx, step))
    if settled.errors:
        tx.rollback()
    return settled


def _step(tx: Transaction, step: Operation) -> list[Found]:
    if isinstance(step, KeyOperation):
        return _key_step(tx, step)
    if isinstance(step, NodeOperation):
        return _node_step(tx, step)
    return _service_step(tx, step) if isinstance(step, ServiceOperation) else _check_step(tx, step)


def _unless(done: bool, failure: str) -> None:  # noqa: FBT001  # the result of the step
    if not done:
        raise Refused(failure)


def _key_step(tx: Transaction, step: KeyOperation) -> list[Found]:
    verb, key = step.verb, step.key
    if verb not in KEY_WRITES:
        return read(View(tx.state), step)
    if verb in {"lock", "unlock"} and not step.session:
        raise Refused("missing session")
    if verb == "set":
        kv.set_key(tx, SetKey(key, step.value, step.flags))
    elif verb == "cas":
        cas = CompareAndSetKey(key, step.value, step.index, step.flags)
        _unless(kv.compare_and_set(tx, cas), f'failed to set key "{key}", index is stale')
    elif verb == "lock":
        lock = LockKey(key, step.value, step.session, step.flags)
        _unless(kv.lock_key(tx, lock), f'failed to lock key "{key}", lock is already held')
    elif verb == "unlock":
        unlock = UnlockKey(key, step.value, step.session, step.flags)
        failure = f'failed to unlock key "{key}", lock isn\'t held, or is held by another session'
        _unless(kv.unlock_key(tx, unlock), failure)
    else:
        _delete_keys(tx, step)
        return []
    return [bare(tx.state.kv.rows[key])]


def _delete_keys(tx: Transaction, step: KeyOperation) -> None:
    if step.verb == "delete-tree":
        kv.delete_tree(tx, DeleteTree(step.key))
    elif step.verb == "delete":
        kv.delete_key(tx, DeleteKey(step.key))
    else:
        done = kv.compare_and_delete(tx, CompareAndDeleteKey(step.key, step.index))
        _unless(done, f'failed to delete key "{step.key}", index is stale')


def _compare(verb: str, what: str, found: int, wanted: int) -> None:
    """Refuse a conditional ``verb`` on a record that is not at the index the caller saw."""
    if verb in {"cas", "delete-cas"} and found != wanted:
        action = "set" if verb == "cas" else "delete"
        message = f"failed to {action} {what}, index is stale"
        raise Refused(message)


def _node_step(tx: Transaction, step: NodeOperation) -> list[Found]:
    node, view = step.node, View(tx.state)
    wanted = GetNode(node.id, node.name)
    if step.verb == "get":
        return read(view, wanted)
    if step.verb not in {"set", "cas", "delete", "delete-cas"}:
        message = f'unknown Node verb "{step.verb}"'
        raise Refused(message)
    if node.id and step.verb != "set":
        check_lookup(node.id)
    named = tx.state.nodes.rows.get(node.name.lower())
    found = next(iter(tx.state.nodes.by("id", node.id)), None) if node.id else named
    at = found.modify_index if found else 0
    _compare(step.verb, f'node "{node.name}"', at, node.modify_index)
    if step.verb in {"set", "cas"}:
        catalog.ensure_node(tx, RegisterEntity(node=node))
        return read(view, wanted)
    if found is not None:
        catalog.remove_node(tx, found.name.lower())
    return []


def _service_step(tx: Transaction, step: ServiceOperation) -> list[Found]:
    service, view = step.service, View(tx.state)
    wanted = GetService(step.node, service.id)
    if step.verb == "get":
        return read(view, wanted)
    if step.verb not in {"set", "cas", "delete", "delete-cas"}:
        message = f'unknown Service verb "{step.verb}"'
        raise Refused(message)
    row = tx.state.services.rows.get((step.node.lower(), service.id))
    at = row.service.modify_index if row else 0
    _compare(step.verb, f'service "{service.id}" on node "{step.node}"', at, service.modify_index)
    if step.verb in {"set", "cas"}:
        node = tx.state.nodes.rows.get(step.node.lower())
        if node is None:
            raise Refused("Missing node registration")
        if not service.id:
            raise Refused("failed inserting service: object missing primary index")
        tx.put(tx.state.services, ServiceInstance(node=node.name, service=service))
        return read(view, wanted)
    catalog.remove_service(tx, step.node.lower(), service.id)
    return []


def _check_step(tx: Transaction, step: CheckOperation) -> list[Found]:
    check, view = step.check, View(tx.state)
    name = check.node.lower()
    wanted = GetCheck(check.node, check.check_id)
    if step.verb == "get":
        return read(view, wanted)
    if step.verb not in {"set", "cas", "delete", "delete-cas"}:
        message = f'unknown Check verb "{step.verb}"'
        raise Refused(message)
    old = tx.state.checks.rows.get((name, check.check_id))
    at = old.modify_index if old else 0
    what = f'check "{check.check_id}" on node "{check.node}"'
    _compare(step.verb, what, at, check.modify_index)
    if step.verb in {"delete", "delete-cas"}:
        catalog.remove_check(tx, name, check.check_id)
        return []
    node = tx.state.nodes.rows.get(name)
    if node is None:
        raise Refused("Missing node registration")
    if check.service_id and (name, check.service_id) not in tx.state.services.rows:
        raise Refused("Missing service registration")
    if not check.check_id:
        raise Refused("failed inserting check: object missing primary index")
    catalog.ensure_check(tx, node, check)
    return read(view, wanted)
