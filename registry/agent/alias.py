"""Alias checks: what the health of another service says of this check. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lictor.registry.records import CRITICAL, PASSING, WARNING, HealthCheck

from .verdict import Verdict


def missing(service: str, node: str) -> Verdict:
    """The target is not there. ``node`` is as the check names it, empty for this agent."""
    return Verdict(CRITICAL, f"Service {service} could not be found on node {node}")


def follow(checks: Iterable[HealthCheck]) -> Verdict:
    """The worst of ``checks``: the first critical one, else the last that warns.

    Source: texts of Consul 1.8, as observed.
    """
    verdict = Verdict(PASSING, "No checks found.")
    for check in checks:
        told = f'Aliased check "{check.name}" failing: {check.output}'
        if check.status == CRITICAL:
            return Verdict(CRITICAL, told)
        if check.status == WARNING:
            verdict = Verdict(WARNING, told)
        elif verdict.status == PASSING:
            verdict = Verdict(PASSING, "All checks passing.")
    return verdict
