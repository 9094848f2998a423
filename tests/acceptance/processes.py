"""Real agents as processes on loopback: ours and a real Consul, started, watched and ended alike.

Everything here is for tests and benchmarks: it waits by polling with a bound, and whatever it
started it ends by process id, also when the caller fails.
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIRST_PORT, LAST_PORT = 20_000, 31_900
"""Where ports are drawn from: below the range the kernel hands out by itself."""

START_ATTEMPTS = 4
"""A port may be taken between the draw and the agent's bind; then other ports are drawn."""

REPOSITORY = Path(__file__).resolve().parents[2]


class ProcessFailed(Exception):
    """A process ended or stayed silent. The message ends with the last lines of its log."""


@dataclass(frozen=True)
class Response:
    """One HTTP answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Ports:
    """The ports of one agent, all on loopback."""

    http: int
    dns: int
    server: int
    serf_lan: int
    serf_wan: int

    @classmethod
    def draw(cls) -> Ports:
        drawn: list[int] = []
        while len(drawn) < 5:
            port = free_port()
            if port not in drawn:
                drawn.append(port)
        return cls(*drawn)


def free_port() -> int:
    """A port that is free for TCP and UDP on loopback right now."""
    chooser = random.SystemRandom()
    for _ in range(200):
        port = chooser.randrange(FIRST_PORT, LAST_PORT)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                stream.bind(("127.0.0.1", port))
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    message = f"no free port between {FIRST_PORT} and {LAST_PORT}"
    raise ProcessFailed(message)


def lictor_command() -> list[str]:
    """How ``lictor`` is started: the script beside this interpreter, else the module."""
    script = Path(sys.executable).with_name("lictor")
    if script.exists():
        return [str(script)]
    return [sys.executable, "-P", "-m", "lictor.cli.main"]


def consul_binary() -> str | None:
    """The real Consul, or ``None`` where ``get_peers.sh`` could not fetch one."""
    named = os.environ.get("CONSUL_ORACLE")
    if named:
        return named if os.access(named, os.X_OK) else None
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    fetched = Path(cache) / "lictor-peers" / "consul"
    return str(fetched) if os.access(fetched, os.X_OK) else shutil.which("consul")


@contextmanager
def bounded(what: str, *, seconds: float, interval: float = 0.02) -> Iterator[Iterator[None]]:
    """A loop's bound: ``for _ in attempts`` ends by raising ``TimeoutError`` when time is up."""

    def attempts() -> Iterator[None]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield
            time.sleep(interval)
        message = f"{what}: not within {seconds} s"
        raise TimeoutError(message)

    yield attempts()


@dataclass
class Agent:
    """One agent process with a data directory that outlives its restarts.

    ``command`` is the binary and what precedes ``agent``; ``arguments`` follow ours and so win.
    """

    name: str
    command: Sequence[str]
    directory: Path
    arguments: Sequence[str] = ()
    durable: bool = True
    ports: Ports = field(default_factory=Ports.draw)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def log_path(self) -> Path:
        return self.directory / "agent.log"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports.http}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def command_line(self) -> list[str]:
        ports = self.ports
        role = ["-server", "-bootstrap-expect=1", f"-data-dir={self.data_dir}"]
        return [
            *self.command,
            "agent",
            *(role if self.durable else ["-dev"]),
            f"-node={self.name}",
            "-bind=127.0.0.1",
            "-client=127.0.0.1",
            f"-http-port={ports.http}",
            f"-dns-port={ports.dns}",
            f"-server-port={ports.server}",
            f"-serf-lan-port={ports.serf_lan}",
            f"-serf-wan-port={ports.serf_wan}",
            "-grpc-port=-1",
            "-log-level=warn",
            "-hcl=performance { raft_multiplier = 1 }",
            "-hcl=disable_update_check = true",
            *self.arguments,
        ]

    def start(self, *, seconds: float = 40.0) -> float:
        """Start on fresh ports; return the seconds until the first answer as a leader."""
        for attempt in range(START_ATTEMPTS):
            try:
                return self.restart(seconds=seconds)
            except ProcessFailed as error:
                taken = "address already in use" in str(error).lower()
                if not taken or attempt == START_ATTEMPTS - 1:
                    raise
                self.ports = Ports.draw()
        raise AssertionError("unreachable")

    def restart(self, *, seconds: float = 40.0) -> float:
        """Start on the same ports and data; return the seconds until the first answer."""
        began = time.monotonic()
        self.launch()
        try:
            self.wait_until_leading(seconds=seconds)
        except BaseException:
            self.kill()
            raise
        return time.monotonic() - began

    def launch(self) -> None:
        """Start the process on the same ports and data, and wait for nothing."""
        assert self.process is None, "already running"
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command_line(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**os.environ, "PYTHONSAFEPATH": "1"},
            )
        atexit.register(self.kill)

    def wait_until_leading(self, *, seconds: float = 40.0) -> None:
        """Wait until the agent leads and its own node is in the catalogue."""
        try:
            with bounded("a leader", seconds=seconds) as attempts:
                for _ in attempts:
                    self.check_running()
                    try:
                        leader = self.request("GET", "/v1/status/leader", timeout=2.0)
                        nodes = self.request("GET", "/v1/catalog/nodes", timeout=2.0)
                    except (OSError, http.client.HTTPException):
                        continue
                    if leader.status == 200 and leader.json() and nodes.status == 200:
                        names = {node["Node"] for node in nodes.json() or []}
                        if self.name in names:
                            return
        except TimeoutError as error:
            message = f"{self.name}: {error}\n{self.log()}"
            raise ProcessFailed(message) from error

    def check_running(self) -> None:
        """Raise :class:`ProcessFailed` when the process has ended by itself."""
        assert self.process is not None, "not started"
        code = self.process.poll()
        if code is not None:
            self.process = None
            message = f"{self.name} ended with exit code {code}\n{self.log()}"
            raise ProcessFailed(message)

    def stop(self, *, seconds: float = 20.0) -> int:
        """Ask it to end (SIGTERM) and return its exit code; kill it when it does not."""
        assert self.process is not None, "not running"
        process = self.process
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            self.kill()
            message = f"{self.name} did not end within {seconds} s of SIGTERM\n{self.log()}"
            raise ProcessFailed(message) from error
        self.process = None
        atexit.unregister(self.kill)
        return code

    def kill(self) -> None:
        """SIGKILL, as a crash would; nothing happens when it is not running."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
        atexit.unregister(self.kill)

    def pause(self) -> None:
        """Stop it from using the processor (SIGSTOP) until :meth:`resume`."""
        assert self.process is not None, "not running"
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None, "not running"
        self.process.send_signal(signal.SIGCONT)

    def resident_bytes(self) -> int:
        """Resident memory, in bytes."""
        assert self.process is not None, "not running"
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def log(self, *, lines: int = 60) -> str:
        """The last lines it wrote, for a failure's message."""
        if not self.log_path.exists():
            return "(no log)"
        text = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join([f"--- log of {self.name}, last lines ---", *text[-lines:]])

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 15.0,
    ) -> Response:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http, timeout=timeout)
        try:
            payload = body.encode() if isinstance(body, str) else body
            connection.request(method, path, body=payload, headers=dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, names, content)

    def get(self, path: str) -> Any:
        """The JSON of a successful GET."""
        answer = self.request("GET", path)
        assert answer.status == 200, (path, answer.status, answer.text)
        return answer.json()

    def put(self, path: str, body: object = None) -> Response:
        """A successful PUT; anything but bytes and text is sent as JSON."""
        payload = body if isinstance(body, bytes | str | None) else json.dumps(body)
        answer = self.request("PUT", path, payload)
        assert answer.status == 200, (path, answer.status, answer.text)
        return answer


def lictor(directory: Path, *, name: str = "lictor-node", arguments: Sequence[str] = ()) -> Agent:
    """An agent of ours, not yet started."""
    return Agent(name, lictor_command(), directory, arguments)


def consul(directory: Path, *, name: str = "consul-node", arguments: Sequence[str] = ()) -> Agent:
    """A real Consul, not yet started.

    Raises:
        ProcessFailed: there is none on this machine.
    """
    binary = consul_binary()
    if binary is None:
        raise ProcessFailed("no real Consul on this machine; see tests/acceptance/get_peers.sh")
    return Agent(name, [binary], directory, arguments)
