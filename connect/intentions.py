"""Which intention decides whether one service may talk to another, and why.

Pure: rules in, a :class:`Verdict` out. API, command line and proxies all call :func:`decide`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

WILDCARD: Final = "*"


class Rule(Protocol):
    """What deciding needs to know of a rule."""

    @property
    def source(self) -> str:
        """A service name, or the wildcard."""

    @property
    def destination(self) -> str:
        """A service name, or the wildcard."""

    @property
    def action(self) -> str:
        """``allow`` or ``deny``; empty when only HTTP permissions decide."""


RuleT = TypeVar("RuleT", bound=Rule)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a connection is allowed, and what said so."""

    allowed: bool
    rule: Rule | None
    """The rule that decided; ``None`` when none matched and the default did."""
    precedence: int
    """Of the deciding rule; 0 for the default."""

    @property
    def reason(self) -> str:
        """The decision in words."""
        if self.rule is None:
            word = "allows" if self.allowed else "denies"
            return f"no intention matches; the default policy {word} it"
        what = f"{self.rule.source} => {self.rule.destination}"
        if not self.rule.action:
            return f"{what} has HTTP permissions, which a connection alone cannot satisfy"
        return f"{what} ({self.rule.action}, precedence {self.precedence})"


def precedence(source: str, destination: str) -> int:
    """How specific a rule is: 9 is the most, 5 the least.

    Source: Consul's table with the namespace always exact.
    """
    return (6 if destination == WILDCARD else 9) - (1 if source == WILDCARD else 0)


def ordered(rules: Iterable[RuleT]) -> list[RuleT]:
    """``rules`` as they are consulted: most specific first, ties by source, then destination."""
    return sorted(
        rules,
        key=lambda rule: (
            -precedence(rule.source, rule.destination),
            rule.source,
            rule.destination,
        ),
    )


def matching(rules: Iterable[RuleT], *, by: str, name: str) -> list[RuleT]:
    """The rules that bear on ``name`` as ``source`` or ``destination``, most specific first."""
    ends = {name, WILDCARD}
    if by == "source":
        return ordered(rule for rule in rules if rule.source in ends)
    return ordered(rule for rule in rules if rule.destination in ends)


def decide(rules: Iterable[Rule], *, source: str, destination: str, default_allow: bool) -> Verdict:
    """May ``source`` open a connection to ``destination``? One rule decides; none are merged.

    A rule with HTTP permissions denies here: a connection has no path to compare with.
    """
    for rule in matching(rules, by="destination", name=destination):
        if rule.source in {source, WILDCARD}:
            return Verdict(rule.action == "allow", rule, precedence(rule.source, rule.destination))
    return Verdict(default_allow, None, 0)
