"""The steps of a transaction that only look, and how the outcome of all steps is told.

Shared by the command that applies steps and the question that only reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from lictor.registry.commands import KeyOperation
from lictor.registry.errors import Refused
from lictor.registry.records import UUID_TEXT, HealthCheck, KVEntry, Node, NodeService
from lictor.registry.shapes import OperationFailed, Settled

from .view import View

S = TypeVar("S")
Found: TypeAlias = dict[str, Any]
"""One record under the name of its kind, as ``{"KV": entry}``."""

KEY_WRITES: Final = frozenset(
    {"set", "cas", "lock", "unlock", "delete", "delete-tree", "delete-cas"}
)
"""The verbs of keys that change something; every other one, known or not, counts as reading."""


class GetNode(msgspec.Struct, frozen=True, tag="get-node"):
    """Read a node, by its id if there is one."""

    id: str
    name: str


class GetService(msgspec.Struct, frozen=True, tag="get-service"):
    """Read an instance."""

    node: str
    id: str


class GetCheck(msgspec.Struct, frozen=True, tag="get-check"):
    """Read a check."""

    node: str
    id: str


Reading: TypeAlias = KeyOperation | GetNode | GetService | GetCheck


def settle(steps: Sequence[S], carry_out: Callable[[S], Iterable[Found]]) -> Settled:
    """Carry out every step, also after a failure, so that all failures are told."""
    results: list[Found] = []
    errors: list[OperationFailed] = []
    for place, step in enumerate(steps):
        try:
            results.extend(carry_out(step))
        except Refused as error:
            errors.append(OperationFailed(op_index=place, what=str(error)))
    if errors:
        return Settled(results=None, errors=tuple(errors))
    return Settled(results=tuple(results), errors=None)


def read(view: View, step: Reading) -> list[Found]:
    """What one step finds.

    Raises:
        Refused: what it names is not there, is not as it says, or its verb is unknown.
    """
    if isinstance(step, GetNode):
        return [{"Node": find_node(view, step)}]
    if isinstance(step, GetService):
        return [{"Service": find_service(view, step)}]
    if isinstance(step, GetCheck):
        return [{"Check": find_check(view, step)}]
    return _read_key(view, step)


def find_node(view: View, step: GetNode) -> Node:
    """The node that ``step`` names.

    Raises:
        Refused: there is none.
    """
    if step.id:
        check_lookup(step.id)
        found = next(iter(view.by(view.state.nodes, "id", step.id)), None)
    else:
        found = view.get(view.state.nodes, step.name.lower())
    if found is None:
        message = f'node "{step.name}" doesn\'t exist'
        raise Refused(message)
    return found


def check_lookup(node_id: str) -> None:
    """Refuse to look for a node by what is no UUID.

    Raises:
        Refused: it is none.
    """
    if not UUID_TEXT.fullmatch(node_id):
        message = (
            f"node lookup by ID failed, wrong UUID: uuid string is wrong length for '{node_id}'"
        )
        raise Refused(message)


def find_service(view: View, step: GetService) -> NodeService:
    """The instance that ``step`` names.

    Raises:
        Refused: there is none.
    """
    row = view.get(view.state.services, (step.node.lower(), step.id))
    if row is None:
        message = f'service "{step.id}" on node "{step.node}" doesn\'t exist'
        raise Refused(message)
    return row.service


def find_check(view: View, step: GetCheck) -> HealthCheck:
    """The check that ``step`` names.

    Raises:
        Refused: there is none.
    """
    check = view.get(view.state.checks, (step.node.lower(), step.id))
    if check is None:
        message = f'check "{step.id}" on node "{step.node}" doesn\'t exist'
        raise Refused(message)
    return check


def bare(entry: KVEntry) -> Found:
    """``entry`` without its value, as every step but a reading one answers it."""
    return {"KV": msgspec.structs.replace(entry, value=None)}


def _read_key(view: View, step: KeyOperation) -> list[Found]:
    key = step.key
    if step.verb == "get-tree":
        return [{"KV": entry} for entry in view.prefix(view.state.kv, key)]
    entry = view.get(view.state.kv, key)
    if step.verb == "get":
        if entry is None:
            message = f'key "{key}" doesn\'t exist'
            raise Refused(message)
        return [{"KV": entry}]
    if step.verb == "check-not-exists":
        if entry is not None:
            message = f'key "{key}" exists'
            raise Refused(message)
        return []
    if step.verb not in {"check-index", "check-session"}:
        message = f'unknown KV verb "{step.verb}"'
        raise Refused(message)
    what = step.verb.removeprefix("check-")
    if entry is None:
        message = f'failed to check {what}, key "{key}" doesn\'t exist'
        raise Refused(message)
    if what == "index" and entry.modify_index != step.index:
        message = (
            f'failed index check for key "{key}", current modify index '
            f"{entry.modify_index} != {step.index}"
        )
        raise Refused(message)
    if what == "session" and entry.session != step.session:
        message = (
            f'failed session check for key "{key}", current session '
            f'"{entry.session}" != "{step.session}"'
        )
        raise Refused(message)
    return [bare(entry)]
