"""``?filter=`` on what the agent itself lists; the servers filter their own answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lictor.registry.agent.shapes import AgentService
from lictor.registry.errors import Refused
from lictor.registry.filter import (
    CHECK_FIELDS,
    PREFIX,
    SERVICE_SELECTORS,
    compile_filter,
    fields_of,
)

from .request import Request

AGENT_SERVICE_FIELDS: Final = fields_of(AgentService, SERVICE_SELECTORS)


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
