"""Script checks: what the end of a command means. Pure.

Source: exit codes and texts that Consul 1.8.7 was observed to give.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from lictor.registry.agent.definitions import CheckRules
from lictor.registry.agent.verdict import ProbeFailed, Verdict
from lictor.registry.records import CRITICAL, PASSING, WARNING

NANOSECONDS: Final = 1_000_000_000
DEFAULT_TIMEOUT: Final = 30.0


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was started, and how it ended."""

    exit_code: int | None
    """``None`` when it was killed because its time was up; negative when a signal ended it."""
    output: bytes
    """Standard output and error as they came, the last bytes of them."""
    total: int
    """Bytes that it wrote in all."""


class ScriptProber(Protocol):
    """Runs commands."""

    async def run(self, command: tuple[str, ...], *, timeout: float, keep: int) -> Ran:
        """Run ``command``, never through a shell; kill it and its children after ``timeout``.

        Raises:
            ProbeFailed: it could not be started.
        """


async def probe(prober: ScriptProber, rules: CheckRules, *, keep: int, interval: str) -> Verdict:
    """Run a script check once; ``interval`` is its timeout as Go prints it."""
    timeout = rules.timeout / NANOSECONDS if rules.timeout > 0 else DEFAULT_TIMEOUT
    try:
        ran = await prober.run(rules.command, timeout=timeout, keep=keep)
    except ProbeFailed as error:
        return Verdict(CRITICAL, str(error))
    return judge(ran, timeout=interval)


def judge(ran: Ran, *, timeout: str) -> Verdict:
    """What the end of a command says: 0 passes, 1 warns, the rest is critical."""
    output = ran.output.decode("utf-8", "replace")
    if ran.total > len(ran.output):
        output = f"Captured {len(ran.output)} of {ran.total} bytes\n...\n{output}"
    if ran.exit_code is None:
        said = f"Timed out ({timeout}) running check"
        return Verdict(CRITICAL, f"{said}\n\n{output}" if output else said)
    return Verdict({0: PASSING, 1: WARNING}.get(ran.exit_code, CRITICAL), output)
