"""Measure, print the table, and write it where asked."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from acceptance import processes
from acceptance.processes import Agent, ProcessFailed

from bench import data, load, report, tools
from bench.load import Measured
from bench.rows import ROWS, Row

SETTLE = 2.0
"""Seconds between start-up and the reading of idle memory."""


class Plan(msgspec.Struct, frozen=True):
    """How long and how often each row is measured. Durations are in seconds."""

    rounds: int
    seconds: float
    warm_up: float
    external_tools: bool


def measure(agent: Agent, row: Row, plan: Plan, *, seconds: float) -> Measured:
    """One run of ``row`` against ``agent``."""
    if row.kind == "dns":
        name, kind = row.query.split()
        if plan.external_tools:
            return tools.dnsperf(
                agent.ports.dns, row.query, window=row.connections, seconds=seconds
            )
        return asyncio.run(
            load.dns_load(agent.ports.dns, name, kind, window=row.connections, seconds=seconds)
        )
    if plan.external_tools:
        return tools.wrk(
            agent.url + row.query,
            connections=row.connections,
            seconds=seconds,
            put=row.kind == "put",
        )
    requests = (
        load.put_requests(row.query, data.VALUE.encode())
        if row.kind == "put"
        else load.get_requests(row.query)
    )
    return asyncio.run(
        load.http_load(agent.ports.http, requests, connections=row.connections, seconds=seconds)
    )


def check_same(agents: dict[str, Agent], row: Row) -> None:
    """Make sure that both sides do the same work: as many items in their answers.

    Raises:
        ProcessFailed: they do not, so that their rates would say nothing.
    """
    if row.kind != "http":
        return
    counts = {side: len(agent.get(row.query)) for side, agent in agents.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ProcessFailed(f"the answers to {row.query} differ: {counts} items")


def measure_alternating(agents: dict[str, Agent], row: Row, plan: Plan) -> dict[str, Measured]:
    """The medians over rounds of A B A B; whoever is not measured stands still."""
    check_same(agents, row)
    runs: dict[str, list[Measured]] = {side: [] for side in agents}
    for _ in range(plan.rounds):
        for side, agent in agents.items():
            others = [other for other in agents.values() if other is not agent]
            for other in others:
                other.pause()
            try:
                measure(agent, row, plan, seconds=plan.warm_up)
                runs[side].append(measure(agent, row, plan, seconds=plan.seconds))
            finally:
                for other in others:
                    other.resume()
                    other.wait_until_leading()
    return {side: report.middle(each) for side, each in runs.items()}


def start_ups(agents: dict[str, Agent], plan: Plan) -> tuple[dict[str, Measured], ...]:
    """Start every agent ``plan.rounds`` times on an empty disk; return start-up and memory.

    They are left running.
    """
    times: dict[str, list[float]] = {side: [] for side in agents}
    memory: dict[str, list[float]] = {side: [] for side in agents}
    for number in range(plan.rounds):
        for side, agent in agents.items():
            agent.kill()
            agent.directory = agent.directory.with_name(f"{side}-{number}")
            times[side].append(agent.start())
            time.sleep(SETTLE)
            memory[side].append(float(agent.resident_bytes()))

    def medians(numbers: dict[str, list[float]]) -> dict[str, Measured]:
        return {
            side: report.middle([Measured(value, 0.0, 0.0) for value in values])
            for side, values in numbers.items()
        }

    return medians(times), medians(memory)


def bench(agents: dict[str, Agent], rows: list[Row], plan: Plan) -> list[report.Line]:
    """Every row, in order. A row that fails is told on stderr and left out."""
    started, idle = start_ups(agents, plan)
    for agent in agents.values():
        data.fill(agent)
    lines = []
    for row in rows:
        print(f"  {row.name} ...", file=sys.stderr, flush=True)
        if row.kind == "memory":
            lines.append(report.Line(row, idle))
        elif row.kind == "start":
            lines.append(report.Line(row, started))
        else:
            try:
                lines.append(report.Line(row, measure_alternating(agents, row, plan)))
            except (tools.ToolFailed, OSError) as error:
                print(f"  {row.name}: {error}", file=sys.stderr)
    after = {
        side: Measured(float(agent.resident_bytes()), 0.0, 0.0) for side, agent in agents.items()
    }
    lines.append(report.Line(Row(name="memory after the load", kind="memory"), after))
    return lines


def conditions(plan: Plan) -> str:
    """What the numbers depend on, in one sentence."""
    tool = "wrk and dnsperf" if plan.external_tools else "the bundled asyncio generator"
    return (
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}; load by {tool} on the same machine; medians of "
        f"{plan.rounds} alternating rounds of {plan.seconds:g} s, each after {plan.warm_up:g} s "
        "of warm-up; servers with one voter, durable, log level warn."
    )


DOCUMENT = """\
# Side by side with Consul

`make bench` starts this agent and a real Consul 1.8.7, gives both the same data, and measures
them in turns; the one that is not measured stands still.

{table}

{conditions}
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: a look, no verdict")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--generator", choices=["auto", "tools", "asyncio"], default="auto")
    parser.add_argument("--without-consul", action="store_true")
    parser.add_argument("--lictor", help="another command for ours, such as a second Consul")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--write-docs", action="store_true", help="write docs/bench.md")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    external = options.generator == "tools" or (options.generator == "auto" and tools.available())
    plan = Plan(
        rounds=1 if options.quick else options.rounds,
        seconds=1.0 if options.quick else options.seconds,
        warm_up=1.0,
        external_tools=external,
    )
    rows = [row for row in ROWS if options.only.lower() in row.name.lower()]
    if not rows:
        print(f"bench: no row's name contains {options.only!r}", file=sys.stderr)
        return 1
    # in the repository, so that fsync meets a disk also where /tmp is memory
    scratch = processes.REPOSITORY / ".bench"
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        command = options.lictor.split() if options.lictor else processes.lictor_command()
        agents = {"lictor": Agent("bench", command, Path(directory) / "lictor")}
        if options.without_consul:
            pass
        elif processes.consul_binary() is None:
            print("bench: no real Consul on this machine; measuring ours alone", file=sys.stderr)
        else:
            agents["consul"] = processes.consul(Path(directory) / "consul", name="bench")
        try:
            lines = bench(agents, rows, plan)
        except ProcessFailed as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        finally:
            for agent in agents.values():
                agent.kill()
    print(report.as_text(lines))
    print()
    print(conditions(plan))
    if options.json is not None:
        outcome = {"conditions": conditions(plan), "lines": lines}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(outcome)) + b"\n")
    if options.write_docs:
        document = DOCUMENT.format(table=report.as_markdown(lines), conditions=conditions(plan))
        (processes.REPOSITORY / "docs" / "bench.md").write_text(document)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
