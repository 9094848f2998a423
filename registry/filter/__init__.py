"""The language of ``?filter=``: boolean expressions over what an endpoint lists.

Pure and bounded: text in, predicate over records out. A route asks for its rows as ever and then

    rows = apply_filter(rows, request.query.get("filter", ""), HEALTH_FIELDS)

or, where what is listed is a map,

    keep = compile_filter(text, SERVICE_FIELDS)
    services = {id: service for id, service in services.items() if keep(service)}

The same text over the same fields is compiled once, while it is among the last that were asked.
Another record with a service's selectors has ``fields_of(AgentService, SERVICE_SELECTORS)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, TypeVar

from lictor.registry.errors import Refused

from .compiling import Unsuitable, compiled
from .fields import (
    CATALOG_SERVICE_FIELDS,
    CHECK_FIELDS,
    CHECK_SELECTORS,
    HEALTH_FIELDS,
    NODE_FIELDS,
    NODE_SELECTORS,
    SERVICE_FIELDS,
    SERVICE_SELECTORS,
    Fields,
    fields_of,
)
from .parsing import Malformed, parse

Row = TypeVar("Row")

PREFIX: Final = "Failed to create boolean expression evaluator: "
"""What every refusal begins with."""

KEPT_FILTERS: Final = 64
"""How many compiled filters are kept."""


def apply_filter(rows: Iterable[Row], text: str, fields: Fields) -> list[Row]:
    """The rows that ``text`` selects, in their order; all of them when it is empty.

    Raises:
        Refused: as :func:`compile_filter`, rows or not.
    """
    return list(filter(compile_filter(text, fields), rows))


@lru_cache(maxsize=KEPT_FILTERS)
def compile_filter(text: str, fields: Fields) -> Callable[[Any], bool]:
    """The predicate that ``text`` is over rows with ``fields``; an empty one holds for every row.

    May be kept and called from any thread. It never raises.

    Raises:
        Refused: not an expression, a selector these rows lack, or a test or value that does not
            suit what is selected; in Consul's words.
    """
    if not text:
        return _everything
    try:
        return compiled(parse(text), fields)
    except (Malformed, Unsuitable) as error:
        raise Refused(PREFIX + str(error)) from None


def _everything(_row: object) -> bool:
    return True


__all__ = [
    "CATALOG_SERVICE_FIELDS",
    "CHECK_FIELDS",
    "CHECK_SELECTORS",
    "HEALTH_FIELDS",
    "NODE_FIELDS",
    "NODE_SELECTORS",
    "PREFIX",
    "SERVICE_FIELDS",
    "SERVICE_SELECTORS",
    "Fields",
    "apply_filter",
    "compile_filter",
    "fields_of",
]
