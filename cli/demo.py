"""``lictor demo``: one agent, two services, and what can be asked of them.

The tour shows each command before its outcome, and does what it shows: requests go through the
same client, DNS questions over the wire, intentions through ``lictor intention``.
"""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec

from .client import Client
from .command import command
from .errors import AgentError, Failure
from .flags import SWITCH, TEXT, flag
from .settings import Settings
from .stage import (
    DEFAULT_DNS,
    DEFAULT_HTTP,
    AgentPorts,
    AgentProcess,
    ExampleService,
    PortTaken,
    example_services,
    own_command,
    wait_until,
)

LEADER_TIMEOUT: Final = 60.0
HEALTH_TIMEOUT: Final = 30.0
DNS_TIMEOUT: Final = 5.0
"""Seconds that each step may take before the demo gives up."""

START_ATTEMPTS: Final = 3
"""A port that was free may be taken just before the agent binds it; then others are tried."""

INSTANCES: Final = (("web", "web-1"), ("api", "api-1"), ("api", "api-2"))
"""Name and identity of every instance that the demo runs."""


@command("demo", summary="Start an agent with two services and show what it can do")
@flag("-once", SWITCH, "End after the tour instead of waiting for Ctrl-C.")
@flag("-agent-binary", TEXT, "Run this binary as the agent; it takes Consul's flags.", default="")
def demo(args: tuple[str, ...], once: bool, agent_binary: str) -> None:
    """Starts an agent and two example services on this machine, and shows what they answer.

    They keep running for you to play with. Ctrl-C ends everything it started.

    $ lictor demo

    Only the tour, as a test would run it:

    $ lictor demo -once
    """
    if args:
        raise Failure(f"Too many arguments (expected 0, got {len(args)})")
    agent_command = [agent_binary] if agent_binary else own_command()
    with _ending_on_signals():
        try:
            _play(agent_command, once=once)
        except KeyboardInterrupt:
            click.echo("\nEverything the demo started has ended.")


def _play(agent_command: list[str], *, once: bool) -> None:
    """The demo from start to end. Whatever it started has ended when it returns or raises."""
    click.echo("A tour of Lictor: one agent, two services, health checks, DNS and an intention.")
    with (
        tempfile.TemporaryDirectory(prefix="lictor-demo-") as directory,
        example_services(INSTANCES) as services,
        ExitStack() as running,
    ):
        tour = _started(running, agent_command, Path(directory), services)
        tour.register()
        tour.look_up()
        tour.fail_over()
        tour.decide()
        if once:
            click.echo("\nThat was the tour; everything it started ends now.")
            return
        tour.guide()
        tour.agent.wait()


def _started(
    running: ExitStack,
    agent_command: list[str],
    directory: Path,
    services: list[ExampleService],
) -> Tour:
    """The tour with its agent leading; ``running`` ends the agent.

    Raises:
        Failure: no agent could be started.
    """
    for attempt in range(1, START_ATTEMPTS + 1):
        ports = AgentPorts.choose(usual=attempt == 1)
        agent = running.enter_context(_agent(agent_command, directory, ports))
        tour = Tour(agent, ports, services)
        try:
            tour.start_agent()
        except PortTaken:
            if attempt == START_ATTEMPTS:
                raise
            continue
        return tour
    raise AssertionError("the last attempt returns or raises")


class Tour:
    """The steps, in order."""

    def __init__(
        self, agent: AgentProcess, ports: AgentPorts, services: list[ExampleService]
    ) -> None:
        self.agent = agent
        self.ports = ports
        self.services = services
        self.address = f"127.0.0.1:{ports.http}"
        self.client = Client(Settings(address=self.address))
        self.program = _program()

    def start_agent(self) -> None:
        """Wait until the agent leads its cluster of one."""
        _title("1. An agent: a server of a cluster of one, its state in a temporary directory")
        for port, usual, what in (
            (self.ports.http, DEFAULT_HTTP, "HTTP"),
            (self.ports.dns, DEFAULT_DNS, "DNS"),
        ):
            if port != usual:
                click.echo(f"   Port {usual} is taken here, so {what} is on port {port}.")
        _show(f"{self.program} {' '.join(self.agent.arguments[:4])} ...")
        self._wait_for("a leader", self._has_leader, LEADER_TIMEOUT)
        _say(f"HTTP on {self.address}, DNS on 127.0.0.1:{self.ports.dns}")

    def register(self) -> None:
        """Register every instance and wait until its check has passed."""
        _title("2. Two services in three instances, each with an HTTP health check")
        example = self.services[0]
        body = msgspec.json.encode(example.definition()).decode()
        _show(f"curl -X PUT http://{self.address}/v1/agent/service/register -d '{body}'")
        for service in self.services:
            self.client.put("/v1/agent/service/register", body=service.definition())
        self._wait_for(
            "the checks to pass",
            lambda: len(self._passing("web")) == 1 and len(self._passing("api")) == 2,
            HEALTH_TIMEOUT,
        )

    def look_up(self) -> None:
        """Find the services over HTTP, over DNS and with the command line."""
        _title("3. Who is there, and healthy?")
        _show(f"curl 'http://{self.address}/v1/health/service/api?passing'")
        for identity, port in sorted(self._passing("api").items()):
            _say(f"{identity} at 127.0.0.1:{port}: passing")
        _show(f"dig @127.0.0.1 -p {self.ports.dns} +short api.service.consul SRV")
        self._say_dns("api.service.consul")
        self._run("catalog", "services")

    def fail_over(self) -> None:
        """Break one instance, see it leave the answers, and mend it."""
        _title("4. An instance falls ill, and nobody is sent to it any more")
        ill = self.services[-1]
        _show(f"curl -X POST http://127.0.0.1:{ill.port}/break")
        ill.healthy = False
        self._wait_for(
            f"{ill.identity} to leave the answers",
            lambda: ill.identity not in self._passing("api"),
            HEALTH_TIMEOUT,
        )
        _show(f"dig @127.0.0.1 -p {self.ports.dns} +short api.service.consul SRV")
        self._say_dns("api.service.consul")
        _show(f"curl -X POST http://127.0.0.1:{ill.port}/mend")
        ill.healthy = True
        self._wait_for(
            f"{ill.identity} to come back",
            lambda: ill.identity in self._passing("api"),
            HEALTH_TIMEOUT,
        )

    def decide(self) -> None:
        """Write an intention and ask for both directions."""
        _title("5. Who may talk to whom?")
        self._run("intention", "create", "-deny", "web", "api")
        self._run("intention", "check", "web", "api", negative=True)
        self._run("intention", "check", "api", "web")

    def guide(self) -> None:
        """What to try while it runs."""
        _title("It keeps running. Try, in another terminal:")
        web, ill = self.services[0], self.services[-1]
        if self.ports.http != DEFAULT_HTTP:
            _show(f"export LICTOR_HTTP_ADDR={self.address}")
        for line in (
            f"{self.program} members",
            f"{self.program} kv put greeting hello",
            f"{self.program} kv get -detailed greeting",
            f"curl 'http://{self.address}/v1/health/service/api?passing&pretty'",
            f"curl -X POST http://127.0.0.1:{ill.port}/break     # then ask again; /mend heals",
            f"dig @127.0.0.1 -p {self.ports.dns} web.service.consul SRV",
            f"curl http://127.0.0.1:{web.port}/",
            f"{self.program} intention list",
        ):
            _show(line)
        click.echo(f"\n   The agent's log is {self.agent.log}.")
        click.secho("   Ctrl-C ends everything.", bold=True)

    def _has_leader(self) -> bool:
        self.agent.check()
        try:
            leader = self.client.get("/v1/status/leader").value()
            nodes = self.client.get("/v1/catalog/nodes").value()
        except AgentError:
            return False
        return bool(leader) and bool(nodes)

    def _passing(self, service: str) -> dict[str, int]:
        """Identity and port of every healthy instance of ``service``."""
        self.agent.check()
        entries = self.client.get(f"/v1/health/service/{service}", {"passing": ""}).decode(
            list[_Entry]
        )
        return {entry.service.identity: entry.service.port for entry in entries}

    def _wait_for(self, what: str, holds: Callable[[], bool], timeout: float) -> None:
        """Wait with a dot every now and then.

        Raises:
            Failure: it took too long, or the agent ended.
        """
        click.echo(f"   waiting for {what} ", nl=False)
        try:
            held = wait_until(holds, timeout=timeout, tick=lambda: click.echo(".", nl=False))
        except BaseException:
            click.echo()
            raise
        click.echo(" yes" if held else " no")
        if not held:
            raise Failure(
                f"Gave up after {timeout:.0f} s. The end of the agent's log:\n"
                f"{self.agent.last_lines()}"
            )

    def _say_dns(self, name: str) -> None:
        for line in sorted(resolve_srv(name, self.ports.dns)):
            _say(line)

    def _run(self, *words: str, negative: bool = False) -> None:
        """Run one of our own commands against the demo's agent; its output is not touched.

        Raises:
            Failure: it did not end as it should.
        """
        # here, not above: main finds this module by name, and tests import it alone
        from .main import run

        _show(f"{self.program} {' '.join(words)}")
        where = words[: 1 + (words[0] in {"catalog", "intention"})]
        code = run([*where, f"-http-addr={self.address}", *words[len(where) :]])
        if bool(code) != negative:
            raise Failure(f"'lictor {' '.join(words)}' ended with exit code {code}")


class _Service(msgspec.Struct, frozen=True):
    identity: str = msgspec.field(name="ID")
    port: int = msgspec.field(name="Port")


class _Entry(msgspec.Struct, frozen=True):
    service: _Service = msgspec.field(name="Service")


def resolve_srv(name: str, port: int) -> list[str]:
    """The SRV records of ``name`` as dig prints them, asked over UDP on loopback.

    Raises:
        Failure: no answer, or one that is none.
    """
    from dnslib import DNSRecord
    from dnslib.dns import DNSError

    question = DNSRecord.question(name, "SRV")
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(DNS_TIMEOUT)
        try:
            datagrams.sendto(question.pack(), ("127.0.0.1", port))
            answer = DNSRecord.parse(datagrams.recv(65535))
        except (OSError, DNSError) as error:
            raise Failure(f"No DNS answer for {name} on port {port}: {error}") from error
    return [str(record.rdata) for record in answer.rr]


@contextmanager
def _agent(agent_command: list[str], directory: Path, ports: AgentPorts) -> Iterator[AgentProcess]:
    try:
        agent = AgentProcess(agent_command, directory, ports)
    except OSError as error:
        raise Failure(f"The agent cannot be started: {error}") from error
    try:
        yield agent
    finally:
        agent.stop()


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the demo as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _program() -> str:
    """How the user reaches this program from the directory they are in."""
    if shutil.which("lictor"):
        return "lictor"
    started = Path(sys.argv[0])
    return str(started) if started.name == "lictor" else "python -m lictor.cli.main"


def _title(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)


def _show(line: str) -> None:
    click.secho(f"   $ {line}", fg="cyan")


def _say(line: str) -> None:
    click.echo(f"   {line}")
