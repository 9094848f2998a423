"""Alias checks that follow a service of another node, as the catalogue tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from lictor.raft.runtime import Clock
from lictor.registry.agent.alias import follow, missing
from lictor.registry.agent.definitions import CheckRules
from lictor.registry.agent.registry import Registry
from lictor.registry.agent.verdict import Verdict
from lictor.registry.errors import RegistryError
from lictor.registry.queries import NodeChecks, NodeServices
from lictor.registry.records import CRITICAL

log = structlog.get_logger("agent")

RETRY: Final = 5.0
"""Seconds to the next try when the servers cannot be asked; meanwhile the check stays as it is."""

WAIT: Final = 60.0
"""Seconds after which a service is looked for again though no check changed."""


async def follow_remote(
    registry: Registry,
    clock: Clock,
    check_id: str,
    rules: CheckRules,
    report: Callable[[Verdict], None],
) -> None:
    """Report what the target's health amounts to, at every change, until cancelled."""
    index = 0
    while True:
        try:
            checks = await registry.read(NodeChecks(rules.alias_node), index=index, wait=WAIT)
            services = (await registry.read(NodeServices(rules.alias_node))).value
        except RegistryError as error:
            log.warning("alias target not read", check=check_id, error=str(error))
            await clock.sleep(RETRY)
            continue
        index = max(checks.index, 1)
        if services is None:
            report(Verdict(CRITICAL, f"Node {rules.alias_node} could not be found"))
        elif rules.alias_service and rules.alias_service not in services.services:
            report(missing(rules.alias_service, rules.alias_node))
        else:
            report(
                follow(
                    check
                    for check in checks.value
                    if check.service_id in {"", rules.alias_service} and check.check_id != check_id
                )
            )
        await clock.sleep(0)  # a read that does not wait must not keep the loop
