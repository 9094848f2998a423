"""What a filter says, as a tree. Frozen; may be kept and shared."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import msgspec


class Operator(Enum):
    """How a selected value is tested: its name in errors, as said and as denied."""

    EQUAL = ("Equal", "Not Equal")
    IN = ("In", "Not In")
    """Also written ``contains``, with the sides exchanged."""
    MATCHES = ("Matches", "Not Matches")
    EMPTY = ("Is Empty", "Is Not Empty")


class Match(msgspec.Struct, frozen=True):
    """One test. ``value`` is as written, quotes and escapes resolved; empty for ``EMPTY``."""

    selector: tuple[str, ...]
    operator: Operator
    negated: bool
    value: str = ""


class Not(msgspec.Struct, frozen=True):
    """True when ``operand`` is not."""

    operand: Expression


class And(msgspec.Struct, frozen=True):
    """True when every one of two or more operands is."""

    operands: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True):
    """True when any of two or more operands is."""

    operands: tuple[Expression, ...]


Expression: TypeAlias = Match | Not | And | Or
