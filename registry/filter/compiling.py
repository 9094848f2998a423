"""Expressions to predicates over records.

An absent object (``None``) and an absent list or map are empty, as Go's zero values are. An absent
key of a map satisfies every test but ``==`` and ``in``: so does ``matches``, as in the original.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any, Final, TypeAlias

from .expressions import And, Expression, Match, Not, Operator, Or
from .fields import Field, Fields, Keyed, Members, Repeated, Scalar
from .literals import boolean, integer, quoted
from .patterns import matcher

MAX_PATTERN_BYTES: Final = 4 << 20
"""What all regular expressions of one filter may hold when compiled, in equal shares."""

Predicate: TypeAlias = Callable[[Any], bool]
Step: TypeAlias = Callable[[Predicate], Predicate]
"""Makes a test of a part into a test of the whole."""

_ALLOWED: Final = {
    "string": {Operator.EQUAL, Operator.IN, Operator.MATCHES},
    "integer": {Operator.EQUAL},
    "boolean": {Operator.EQUAL},
    "strings": {Operator.IN, Operator.EMPTY},
    Keyed: {Operator.IN, Operator.EMPTY},
    Repeated: {Operator.EMPTY},
    Members: set[Operator](),
}


class Unsuitable(Exception):
    """The expression is well formed and does not fit the fields; its writer must change it."""


def compiled(expression: Expression, fields: Fields) -> Predicate:
    """The predicate that ``expression`` is over rows with ``fields``.

    Raises:
        Unsuitable: in the original's words, for the leftmost test that does not fit.
    """
    patterns = sum(match.operator is Operator.MATCHES for match in _matches(expression))
    return _compiled(expression, fields, MAX_PATTERN_BYTES // max(patterns, 1))


def _matches(expression: Expression) -> Iterator[Match]:
    match expression:
        case Match():
            yield expression
        case Not(operand):
            yield from _matches(operand)
        case And(operands) | Or(operands):
            for operand in operands:
                yield from _matches(operand)


def _compiled(expression: Expression, fields: Fields, share: int) -> Predicate:
    match expression:
        case Match():
            return _match(expression, fields, share)
        case Not(operand):
            inner = _compiled(operand, fields, share)
            return lambda row: not inner(row)
        case And(operands):
            every = [_compiled(operand, fields, share) for operand in operands]
            return lambda row: all(predicate(row) for predicate in every)
        case Or(operands):
            some = [_compiled(operand, fields, share) for operand in operands]
            return lambda row: any(predicate(row) for predicate in some)


def _match(match: Match, fields: Fields, share: int) -> Predicate:
    field, steps = _selected(match, fields)
    operator = match.operator
    kind = field.kind if isinstance(field, Scalar) else type(field)
    if operator not in _ALLOWED[kind]:
        name = operator.value[match.negated]
        selector = quoted(".".join(match.selector))
        raise Unsuitable(f'Invalid match operator "{name}" for selector {selector}')
    holds = _test(match, field, share)
    predicate = (lambda value: not holds(value)) if match.negated else holds
    for step in reversed(steps):
        predicate = step(predicate)
    return predicate


def _selected(match: Match, fields: Fields) -> tuple[Field, list[Step]]:
    """What the selector ends at, and the way there."""
    absent = match.negated or match.operator is Operator.MATCHES
    steps: list[Step] = []
    field: Field = fields
    for depth, name in enumerate(match.selector, start=1):
        if isinstance(field, Keyed):
            steps.append(_value_of(name, absent=absent))
            field = field.value
            continue
        if isinstance(field, Repeated):
            steps.append(_any_of)
            field = field.item
        if not isinstance(field, Members) or name not in field.named:
            raise Unsuitable(f"Selector {quoted('.'.join(match.selector[:depth]))} is not valid")
        attribute, field = field.named[name]
        steps.append(_member(attribute))
    return field, steps


def _member(attribute: str) -> Step:
    def step(inner: Predicate) -> Predicate:
        return lambda row: inner(None if row is None else getattr(row, attribute))

    return step


def _value_of(key: str, *, absent: bool) -> Step:
    def step(inner: Predicate) -> Predicate:
        return lambda row: inner(row[key]) if row and key in row else absent

    return step


def _any_of(inner: Predicate) -> Predicate:
    return lambda rows: any(inner(row) for row in rows or ())


def _test(match: Match, field: Field, share: int) -> Predicate:
    """The test of the selected value, before negation."""
    wanted = match.value
    if match.operator is Operator.EMPTY:
        return lambda value: not value
    if match.operator is Operator.MATCHES:
        found = _pattern(wanted, share)
        return lambda value: found(value or "")
    if match.operator is Operator.IN:
        nothing: Container[str] = "" if isinstance(field, Scalar) and field.kind == "string" else ()
        return lambda value: wanted in (value or nothing)
    zero, parsed = _coerced(match, field)
    return lambda value: (value or zero) == parsed


def _pattern(pattern: str, share: int) -> Callable[[str], bool]:
    try:
        return matcher(pattern, size_bytes=share)
    except ValueError as error:
        sentence = f"Failed to compile regular expression {quoted(pattern)}: {error}"
        raise Unsuitable(sentence) from None


def _coerced(match: Match, field: Field) -> tuple[object, object]:
    """The zero of the field's kind, and the value in that kind."""
    assert isinstance(field, Scalar)
    try:
        match field.kind:
            case "integer":
                return 0, integer(match.value)
            case "boolean":
                return False, boolean(match.value)
            case _:
                return "", match.value
    except ValueError as error:
        selector = quoted(".".join(match.selector))
        sentence = f"Failed to coerce value {quoted(match.value)} for selector {selector}: {error}"
        raise Unsuitable(sentence) from None
