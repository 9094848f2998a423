"""Runs active checks: one task each, started at a random point of its interval, without drift."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

import structlog

from lictor.raft.runtime import Runtime
from lictor.registry import durations
from lictor.registry.agent.definitions import CheckRules
from lictor.registry.agent.registry import Registry
from lictor.registry.agent.verdict import Verdict
from lictor.registry.records import CRITICAL

from . import http, script
from .http import HTTPProber
from .http2 import probe_grpc, probe_h2ping
from .remote_alias import follow_remote
from .script import ScriptProber
from .tcp import probe_tcp, probe_udp

log = structlog.get_logger("agent")

NANOSECONDS: Final = 1_000_000_000
MIN_INTERVAL: Final = 1.0
"""Seconds; a shorter interval is stretched to it."""

MAX_CONCURRENT: Final = 512
"""Checks that wait for the network at the same moment; the others wait their turn."""

MAX_COMMANDS: Final = 32
"""Commands that run at the same moment; the others wait their turn."""


@dataclass(frozen=True, slots=True)
class Probers:
    """Who acts on the world for checks, beside the runtime's network."""

    http: HTTPProber
    scripts: ScriptProber


@dataclass(frozen=True, slots=True)
class Run:
    """All that one run of a check may use."""

    runtime: Runtime
    probers: Probers
    rules: CheckRules
    keep: int
    """Bytes of output that are kept."""


async def _run_http(run: Run) -> Verdict:
    return await http.probe(run.probers.http, run.rules, keep=run.keep)


async def _run_tcp(run: Run) -> Verdict:
    return await probe_tcp(run.runtime.network, run.rules)


async def _run_udp(run: Run) -> Verdict:
    return await probe_udp(run.runtime.network, run.runtime.clock, run.rules)


async def _run_grpc(run: Run) -> Verdict:
    return await probe_grpc(run.runtime.network, run.runtime.clock, run.rules)


async def _run_h2ping(run: Run) -> Verdict:
    return await probe_h2ping(run.runtime.network, run.runtime.clock, run.rules)


async def _run_script(run: Run) -> Verdict:
    timeout = run.rules.timeout or int(script.DEFAULT_TIMEOUT * NANOSECONDS)
    return await script.probe(
        run.probers.scripts, run.rules, keep=run.keep, interval=durations.format_ns(timeout)
    )


def _cannot_run(kind: str) -> Callable[[Run], Awaitable[Verdict]]:
    async def run(_: Run) -> Verdict:
        return Verdict(CRITICAL, f"This agent does not run {kind} checks yet")

    return run


RUN: Final[dict[str, Callable[[Run], Awaitable[Verdict]]]] = {
    "http": _run_http,
    "tcp": _run_tcp,
    "udp": _run_udp,
    "script": _run_script,
    "docker": _cannot_run("docker"),
    "grpc": _run_grpc,
    "h2ping": _run_h2ping,
    "os_service": _cannot_run("OS service"),
}
"""One row for each type that is run at intervals; TTL and alias checks are not."""


class Runner:
    """The running checks of one agent."""

    def __init__(
        self,
        runtime: Runtime,
        probers: Probers,
        registry: Registry,
        report: Callable[[str, Verdict], None],
        *,
        output_max_size: int = 4096,
    ) -> None:
        self._runtime = runtime
        self._probers = probers
        self._registry = registry
        self._report = report
        self._output_max_size = output_max_size
        self._places = asyncio.Semaphore(MAX_CONCURRENT)
        self._command_places = asyncio.Semaphore(MAX_COMMANDS)
        self._tasks: dict[str, tuple[CheckRules, asyncio.Task[None]]] = {}

    def start(self, check_id: str, kind: str, rules: CheckRules) -> None:
        """Run a check from now on; one that runs by the same rules is left alone."""
        running = self._tasks.get(check_id)
        if running is not None and running[0] == rules and not running[1].done():
            return
        self.stop(check_id)
        if kind in RUN:
            work = self._repeat(check_id, kind, rules)
        elif kind == "alias" and rules.alias_node:
            work = follow_remote(
                self._registry,
                self._runtime.clock,
                check_id,
                rules,
                lambda verdict: self._report(check_id, verdict),
            )
        else:
            return
        task = asyncio.get_running_loop().create_task(work, name=f"check {check_id}")
        self._tasks[check_id] = (rules, task)

    def stop(self, check_id: str) -> None:
        """Stop running a check; fine when it does not run."""
        running = self._tasks.pop(check_id, None)
        if running is not None:
            running[1].cancel()

    async def close(self) -> None:
        """Stop all, and wait until their processes and connections are gone."""
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def limit(self, rules: CheckRules) -> int:
        """Bytes of output kept of a check."""
        if 0 < rules.output_max_size < self._output_max_size:
            return rules.output_max_size
        return self._output_max_size

    async def _repeat(self, check_id: str, kind: str, rules: CheckRules) -> None:
        clock = self._runtime.clock
        interval = max(rules.interval / NANOSECONDS, MIN_INTERVAL)
        run = Run(self._runtime, self._probers, rules, self.limit(rules))
        places = self._command_places if kind == "script" else self._places
        due = clock.now() + self._runtime.rng.uniform(0, interval)
        while True:
            await clock.sleep(max(due - clock.now(), 0))
            async with places:
                verdict = await self._probe(check_id, kind, run)
            self._report(check_id, verdict)
            missed = max((clock.now() - due) / interval, 0)
            due += interval * max(ceil(missed), 1)

    async def _probe(self, check_id: str, kind: str, run: Run) -> Verdict:
        try:
            return await RUN[kind](run)
        except Exception as error:
            log.exception("check broke", check=check_id, type=kind)
            return Verdict(CRITICAL, f"internal error: {error}")
