"""What ``lictor demo`` starts and ends: an agent process and small HTTP services.

The agent is a process of its own, as in real life; the services are threads of this one, so that
they end with it whatever happens.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import msgspec

from lictor.raft.system import SystemClock

from .errors import Failure

DEFAULT_HTTP: Final = 8500
DEFAULT_DNS: Final = 8600

POLL: Final = 0.1
"""Seconds between two looks at something that is waited for."""

STOP_TIMEOUT: Final = 10.0
"""Seconds an agent gets to end by itself before it is killed."""

LOG_LINES: Final = 15
"""So many last lines of the agent's log are shown when it fails."""


def is_free(port: int) -> bool:
    """Whether ``port`` can be bound on loopback for TCP and for UDP."""
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stream.bind(("127.0.0.1", port))
            datagrams.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that are free on loopback now, all different."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            stream = held.enter_context(socket.socket())
            stream.bind(("127.0.0.1", 0))
            ports.append(int(stream.getsockname()[1]))
    return ports


def wait_until(holds: Callable[[], bool], *, timeout: float, tick: Callable[[], None]) -> bool:
    """Look again and again until ``holds``; ``False`` after ``timeout`` seconds.

    ``tick`` is called before every pause.
    """
    clock = SystemClock()
    deadline = clock.now() + timeout
    while not holds():
        if clock.now() > deadline:
            return False
        tick()
        time.sleep(POLL)
    return True


class AgentPorts(msgspec.Struct, frozen=True):
    """Where the demo's agent listens, all on loopback."""

    http: int
    dns: int
    others: tuple[int, int, int]
    """Server, Serf LAN and Serf WAN: nobody but the agent uses them here."""

    @classmethod
    def choose(cls, *, usual: bool = True) -> AgentPorts:
        """Free ports; for HTTP and DNS Consul's own where they are free and ``usual`` is set."""
        spare = free_ports(5)
        return cls(
            DEFAULT_HTTP if usual and is_free(DEFAULT_HTTP) else spare[3],
            DEFAULT_DNS if usual and is_free(DEFAULT_DNS) else spare[4],
            (spare[0], spare[1], spare[2]),
        )


class PortTaken(Failure):
    """The agent ended because somebody else took a port just before it; others may do."""


class AgentProcess:
    """One agent with its data and log below ``directory``."""

    def __init__(self, command: Sequence[str], directory: Path, ports: AgentPorts) -> None:
        server, lan, wan = ports.others
        self.arguments = [
            "agent",
            "-server",
            "-bootstrap-expect=1",
            "-node=demo",
            "-bind=127.0.0.1",
            f"-data-dir={directory / 'data'}",
            f"-http-port={ports.http}",
            f"-dns-port={ports.dns}",
            f"-server-port={server}",
            f"-serf-lan-port={lan}",
            f"-serf-wan-port={wan}",
            "-hcl=performance { raft_multiplier = 1 }",
        ]
        self.log = directory / "agent.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a list of words, no shell
                [*command, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def check(self) -> None:
        """Nothing while it runs.

        Raises:
            PortTaken: it has ended for want of a port.
            Failure: it has ended; with the end of its log.
        """
        code = self._process.poll()
        if code is not None:
            said = self.last_lines()
            taken = "address already in use" in said.lower()
            reason = f"The agent ended by itself (exit code {code}).\n{said}"
            raise PortTaken(reason) if taken else Failure(reason)

    def last_lines(self) -> str:
        """The end of its log, set in."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    | {line}" for line in lines[-LOG_LINES:])

    def wait(self) -> None:
        """Wait until it ends, which it does not do by itself. Raises as :meth:`check`."""
        self._process.wait()
        self.check()

    def stop(self) -> None:
        """End it: politely, then by force."""
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=STOP_TIMEOUT)
        finally:
            # also when a second Ctrl-C comes while it still thinks about the first
            self._process.kill()
            self._process.wait()


def own_command() -> list[str]:
    """How this very program is started again."""
    return [sys.executable, "-P", "-m", "lictor.cli.main"]


class ExampleService(ThreadingHTTPServer):
    """One instance of an example service on a free port.

    It answers ``/`` with its name, ``/health`` with its health, and lets itself be broken and
    mended by POST.
    """

    daemon_threads = True

    def __init__(self, name: str, identity: str) -> None:
        super().__init__(("127.0.0.1", 0), ExampleHandler)
        self.name = name
        self.identity = identity
        self.healthy = True

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.server_port

    def definition(self) -> dict[str, object]:
        """The body that registers it, with a health check, at an agent."""
        return {
            "Name": self.name,
            "ID": self.identity,
            "Address": "127.0.0.1",
            "Port": self.port,
            "Check": {"HTTP": f"http://127.0.0.1:{self.port}/health", "Interval": "1s"},
        }


class ExampleHandler(BaseHTTPRequestHandler):
    """The few paths an :class:`ExampleService` has."""

    server: ExampleService

    def do_GET(self) -> None:
        """``/health`` or anything else."""
        if self.path != "/health":
            self._answer(HTTPStatus.OK, f"hello from {self.server.identity}")
        elif self.server.healthy:
            self._answer(HTTPStatus.OK, "all is well")
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "somebody broke me")

    def do_POST(self) -> None:
        """``/break`` and ``/mend``."""
        changes = {"/break": False, "/mend": True}
        if self.path not in changes:
            self._answer(HTTPStatus.NOT_FOUND, "POST /break or /mend")
            return
        self.server.healthy = changes[self.path]
        self._answer(HTTPStatus.OK, "healthy" if self.server.healthy else "broken")

    def log_message(  # type: ignore[explicit-override]  # typing has override from 3.12 on
        self,
        format: str,  # noqa: A002 - its name in the base
        *args: object,
    ) -> None:
        """Say nothing: the terminal belongs to the tour."""

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def example_services(names: Sequence[tuple[str, str]]) -> Iterator[list[ExampleService]]:
    """Run one service for each name and identity until the block ends."""
    services = [ExampleService(name, identity) for name, identity in names]
    for service in services:
        threading.Thread(target=service.serve_forever, args=(POLL,), daemon=True).start()
    try:
        yield services
    finally:
        for service in services:
            service.shutdown()
            service.server_close()
