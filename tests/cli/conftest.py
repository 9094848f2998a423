"""An agent that says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lictor.cli.main import run


@dataclass
class FakeAgent:
    """Canned answers by ``METHOD /path?query``, or by ``METHOD /path`` for any query.

    A list is given out one by one, its last again and again.
    """

    address: str = ""
    answers: dict[str, object] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    def take(self, key):
        found = self.answers.get(
            key, self.answers.get(key.partition("?")[0], Reply(404, b"no such answer"))
        )
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Reply):
            return found
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        return Reply(200, body)


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str


@pytest.fixture
def reply():
    return Reply


@pytest.fixture
def agent(monkeypatch):
    fake = FakeAgent()

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            key = f"{self.command} {self.path}"
            fake.requests.append(key)
            fake.headers[key] = dict(self.headers)
            fake.bodies[key] = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = fake.take(key)
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            self.wfile.write(given.body)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_):
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    fake.address = f"127.0.0.1:{server.server_address[1]}"
    for name in (
        "HTTP_TOKEN",
        "HTTP_TOKEN_FILE",
        "HTTP_SSL",
        "HTTP_AUTH",
        "NAMESPACE",
        "PARTITION",
    ):
        monkeypatch.delenv(f"CONSUL_{name}", raising=False)
        monkeypatch.delenv(f"LICTOR_{name}", raising=False)
    monkeypatch.setenv("LICTOR_HTTP_ADDR", fake.address)
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def lictor(capfdbinary):
    """Run one command line in this process."""

    def call(*words: str) -> Outcome:
        capfdbinary.readouterr()
        code = run(words)
        stdout, stderr = capfdbinary.readouterr()
        return Outcome(code, stdout.decode(errors="surrogateescape"), stderr.decode())

    return call
