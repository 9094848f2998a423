"""``?filter=``: the rows of an answer that an expression selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from lictor.registry.agent.shapes import AgentService
from lictor.registry.answers import Answer
from lictor.registry.errors import Refused
from lictor.registry.filter import (
    CHECK_FIELDS,
    PREFIX,
    SERVICE_FIELDS,
    SERVICE_SELECTORS,
    Fields,
    compile_filter,
    fields_of,
)
from lictor.registry.queries import Question

from .options import check_datacenter
from .outcomes import Ask, Reply
from .request import Request

AGENT_SERVICE_FIELDS: Final = fields_of(AgentService, SERVICE_SELECTORS)


def listed(request: Request, question: Question, fields: Fields) -> Ask:
    """Ask for a list, and keep the rows that the request's filter selects."""
    keep = _predicate(request, fields)
    if keep is None:
        return Ask(question)
    return Ask(question, lambda answer: Reply.of(list(filter(keep, answer.value))))


def with_services(request: Request, question: Question) -> Ask:
    """Ask for a node with its services, and keep the services that the filter selects."""
    keep = _predicate(request, SERVICE_FIELDS)
    if keep is None:
        return Ask(question)

    def present(answer: Answer) -> Reply:
        found = answer.value
        if found is None or found.services is None:
            return Reply.of(found)
        if isinstance(found.services, Mapping):
            kept: Any = {id_: row for id_, row in found.services.items() if keep(row)}
        else:
            kept = tuple(filter(keep, found.services))
        return Reply.of(msgspec.structs.replace(found, services=kept))

    return Ask(question, present)


def agent_services(request: Request, services: Mapping[str, Any]) -> dict[str, Any]:
    """The services of this agent that the filter selects."""
    keep = compile_filter(request.query.get("filter"), AGENT_SERVICE_FIELDS)
    return {id_: row for id_, row in services.items() if keep(row)}


def agent_checks(request: Request, checks: Mapping[str, Any]) -> dict[str, Any]:
    """The checks of this agent that the filter selects.

    Raises:
        Refused: in Consul's words, which leave the prefix out where only the selector is wrong.
    """
    try:
        keep = compile_filter(request.query.get("filter"), CHECK_FIELDS)
    except Refused as error:
        bare = str(error).removeprefix(PREFIX)
        raise (Refused(bare) if bare.startswith("Selector ") else error) from error
    return {id_: row for id_, row in checks.items() if keep(row)}


def _predicate(request: Request, fields: Fields) -> Callable[[Any], bool] | None:
    """What the filter keeps; ``None`` without a filter. The data centre is looked at before."""
    check_datacenter(request.query, request.config.datacenter)
    text = request.query.get("filter")
    return compile_filter(text, fields) if text else None
