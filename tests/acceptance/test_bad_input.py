"""Bad input from outside: a clear error, no traceback, nothing lost, and it keeps serving."""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from dnslib import DNSRecord

from acceptance.processes import Agent, ProcessFailed, bounded

KEPT = "/v1/kv/bad-input/kept"
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(autouse=True)
def still_serving(lictor_agent: Agent):
    """After every test: the process lives, what was stored is there, the log shows no traceback."""
    lictor_agent.put(KEPT, "kept")
    yield
    lictor_agent.check_running()
    answer = lictor_agent.request("GET", KEPT + "?raw")
    assert (answer.status, answer.text) == (200, "kept")
    assert resolve(lictor_agent, "consul.service.consul").header.get_rcode() == 0
    log = lictor_agent.log_path.read_text(errors="replace")
    assert "Traceback" not in log, lictor_agent.log()
    assert "panic" not in log


def assert_no_internals(text: str) -> None:
    for sign in ("Traceback", 'File "', ".py", "Error(", "object at 0x", "panic", "goroutine"):
        assert sign not in text, text


# --- HTTP: well-formed requests that ask for nonsense ---------------------------------------------

NONSENSE = [
    # method, path, body, status (those that Consul gives), part of the answer
    ("PUT", "/v1/agent/service/register", "{", 400, "unexpected EOF"),
    ("PUT", "/v1/agent/service/register", "", 400, "EOF"),
    ("PUT", "/v1/agent/service/register", "nonsense", 400, "invalid character"),
    ("PUT", "/v1/agent/service/register", '"text"', 400, ""),
    ("PUT", "/v1/agent/service/register", "[1, 2]", 400, ""),
    ("PUT", "/v1/agent/service/register", "{}", 400, "Missing service name"),
    ("PUT", "/v1/agent/service/register", '{"Name": 7}', 400, "Name"),
    ("PUT", "/v1/agent/service/register", '{"Name": "x", "Port": "p"}', 400, "Port"),
    ("PUT", "/v1/agent/service/register", '{"Name": "x", "Port": 1.5}', 400, "Port"),
    ("PUT", "/v1/agent/service/register", '{"Name": "x", "Tags": "t"}', 400, "Tags"),
    ("PUT", "/v1/agent/service/register", '{"Name": "x", "Bogus": 1}', 400, "Bogus"),
    (
        "PUT",
        "/v1/agent/service/register",
        '{"Name": "x", "Check": {"HTTP": "http://a"}}',
        400,
        "Interval",
    ),
    ("PUT", "/v1/agent/service/register", b'{"Name": "\xff\xfe\xfd"', 400, ""),
    ("PUT", "/v1/agent/service/register", '{"Name": "x", "Meta": ' + DEEP + "}", 400, ""),
    ("PUT", "/v1/agent/check/register", "{}", 400, "Missing check name"),
    ("PUT", "/v1/agent/check/register", '{"Name": "x", "TTL": "soon"}', 400, ""),
    ("PUT", "/v1/agent/check/pass/no-such-check", None, (404, 500), "no-such-check"),
    ("PUT", "/v1/agent/check/update/no-such-check", '{"Status": "odd"}', 400, "status"),
    ("PUT", "/v1/catalog/register", "{}", (400, 500), "Must provide node"),
    ("PUT", "/v1/catalog/register", '{"Node": 5}', 400, "Node"),
    ("PUT", "/v1/catalog/register", DEEP, 400, ""),
    ("PUT", "/v1/catalog/deregister", "{}", (400, 500), "Must provide node"),
    ("PUT", "/v1/session/create", '{"TTL": "1s"}', (400, 500), ""),
    ("PUT", "/v1/session/create", '{"Behavior": "explode"}', (400, 500), "explode"),
    ("PUT", "/v1/kv/", "x", 400, "Missing key name"),
    ("PUT", "/v1/kv/x?flags=many", "x", (400, 500), "many"),
    ("PUT", "/v1/kv/x?cas=never", "x", (400, 500), "never"),
    ("PUT", "/v1/kv/x?acquire=a&release=b", "x", 400, "Conflicting"),
    ("PUT", "/v1/kv/big", "x" * (512 * 1024 + 1), 413, ""),
    ("GET", "/v1/kv/x?index=abc", None, 400, "index"),
    ("GET", "/v1/kv/x?index=1&wait=abc", None, 400, "wait"),
    ("GET", "/v1/kv/x?stale&consistent", None, 400, ""),
    ("GET", "/v1/kv/x?dc=nowhere", None, 500, "No path to datacenter"),
    ("GET", "/v1/health/state/odd?index=-1", None, 400, ""),
    ("GET", "/v1/no/such/endpoint", None, 404, ""),
    ("GET", "/v2/kv/x", None, 404, ""),
    ("GET", "/v1/catalog/service/", None, 400, "Missing service name"),
    ("GET", "/v1/agent/service/register", None, 405, "GET"),
    ("POST", "/v1/kv/x", "x", 405, "POST"),
    ("PATCH", "/v1/catalog/services", "x", 405, "PATCH"),
    ("BREW", "/v1/kv/x", None, (400, 405), ""),
    ("GET", "/v1/kv/%zz", None, 400, ""),
    ("GET", "/v1/kv/a%00b", None, 400, ""),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "part"),
    NONSENSE,
    ids=[f"{method}-{path}-{number}" for number, (method, path, *_) in enumerate(NONSENSE)],
)
def test_nonsense_gets_a_clear_error(lictor_agent, method, path, body, status, part):
    answer = lictor_agent.request(method, path, body)
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer.text
    assert part in answer.text
    assert_no_internals(answer.text)


def test_an_oversized_definition_is_refused(lictor_agent):
    body = json.dumps({"Name": "big", "Meta": {"k": "v" * 20_000_000}})
    answer = raw_request(
        lictor_agent,
        b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body.encode()),
    )
    assert answer == b"" or answer.split()[1] in REFUSALS, answer[:200]
    assert "big" not in lictor_agent.get("/v1/agent/services")


# --- HTTP: bytes that are not HTTP ----------------------------------------------------------------


def raw_request(agent: Agent, content: bytes, *, seconds: float = 15.0) -> bytes:
    """Send ``content`` and read until the agent closes or answers; at most 64 KiB of it."""
    with socket.create_connection(("127.0.0.1", agent.ports.http), timeout=seconds) as stream:
        try:
            stream.sendall(content)
            stream.shutdown(socket.SHUT_WR)
            received = b""
            while len(received) < 65536 and (piece := stream.recv(65536)):
                received += piece
        except OSError as error:
            if error.errno not in {errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN}:
                raise
            return b""  # refused before all of it was sent
        return received


GARBAGE = {
    "random bytes": random.Random(1).randbytes(4096) + b"\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    "no version": b"GET /v1/status/leader\r\n\r\n",
    "an odd version": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "a bad method": b"G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header without colon": b"GET /v1/status/leader HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "a negative length": b"PUT /v1/kv/x HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello",
    "two lengths": b"PUT /v1/kv/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Content-Length: 6\r\n\r\nhello!",
    "a bad chunk": b"PUT /v1/kv/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"zz\r\nhello",
    "a huge header": b"GET / HTTP/1.1\r\nHost: a\r\nX-Huge: " + b"h" * 2_000_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: a\r\n"
    + b"".join(b"X-%d: %b\r\n" % (n, b"v" * 100) for n in range(20_000))
    + b"\r\n",
    "a huge path": b"GET /v1/kv/" + b"k" * 2_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
}


# Consul answers 500 where the body, not the head, cannot be read
REFUSALS = {b"400", b"413", b"414", b"431", b"500", b"501", b"505"}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused(lictor_agent, content):
    answer = raw_request(lictor_agent, content)
    assert answer == b"" or answer.split()[1] in REFUSALS
    assert_no_internals(answer.decode("latin-1"))


def test_half_requests_do_not_keep_others_waiting(lictor_agent):
    halves = [
        b"GET /v1/kv/x HT",
        b"PUT /v1/kv/half HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nonly this",
        b"PUT /v1/kv/half HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly",
        b"",
    ]
    streams = []
    try:
        for half in halves * 20:
            stream = socket.create_connection(("127.0.0.1", lictor_agent.ports.http), timeout=5)
            stream.sendall(half)
            streams.append(stream)
        assert lictor_agent.request("GET", KEPT, timeout=5).status == 200
    finally:
        for stream in streams:
            stream.close()
    assert lictor_agent.request("GET", "/v1/kv/half").status == 404


# --- DNS ------------------------------------------------------------------------------------------


def resolve(agent: Agent, name: str, kind: str = "A") -> DNSRecord:
    query = DNSRecord.question(name, kind)
    answer = ask_udp(agent, query.pack())
    assert answer is not None, f"no answer for {name}"
    return DNSRecord.parse(answer)


def ask_udp(agent: Agent, packet: bytes, *, seconds: float = 5.0) -> bytes | None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(seconds)
        datagrams.sendto(packet, ("127.0.0.1", agent.ports.dns))
        try:
            return datagrams.recv(65535)
        except TimeoutError:
            return None


def header(questions: int = 1, answers: int = 0, extra: int = 0, flags: int = 0x0100) -> bytes:
    return struct.pack("!6H", 0x1234, flags, questions, answers, 0, extra)


QUESTION = b"\x06consul\x07service\x06consul\x00\x00\x01\x00\x01"

PACKETS = {
    "empty": b"",
    "half a header": b"\x12\x34\x01",
    "header only, one question claimed": header(),
    "no question": header(questions=0),
    "two questions claimed, one there": header(questions=2) + QUESTION,
    "65535 questions claimed": header(questions=65535) + QUESTION,
    "65535 answers claimed": header(answers=65535) + QUESTION,
    "65535 additionals claimed": header(extra=65535) + QUESTION,
    "question cut in a label": header() + QUESTION[:9],
    "question without type": header() + QUESTION[:-4],
    "pointer to itself": header() + b"\xc0\x0c\x00\x01\x00\x01",
    "two pointers at each other": header() + b"\xc0\x0e\xc0\x0c\x00\x01\x00\x01",
    "pointer past the end": header() + b"\xff\xff\x00\x01\x00\x01",
    "pointer into the header": header() + b"\x01a\xc0\x00\x00\x01\x00\x01",
    "reserved label type": header() + b"\x80abc\x00\x00\x01\x00\x01",
    "name longer than 255": header()
    + b"\x3f"
    + (b"a" * 63 + b"\x3f") * 5
    + b"\x00\x00\x01\x00\x01",
    "label of zero bytes and more": header() + b"\x00\x07service\x00\x00\x01\x00\x01",
    "bytes after the question": header() + QUESTION + b"trailing",
    "odd OPT": header(extra=1) + QUESTION + b"\x00\x00\x29\xff\xff\x00\x00\x00\x00\xff\xff\x01",
    "update": header(flags=0x2800) + QUESTION,
    "a response": header(flags=0x8180) + QUESTION,
    "unknown class and type": header() + QUESTION[:-4] + b"\xfe\xfe\xfe\xfe",
    "non-ASCII label": header() + b"\x03\xff\x00.\x07service\x06consul\x00\x00\x01\x00\x01",
    "64 KiB of zeros": bytes(65000),
}


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS.keys())
def test_invalid_dns_packet_over_udp(lictor_agent, packet):
    answer = ask_udp(lictor_agent, packet, seconds=0.2)
    if answer is not None:
        assert answer[:2] == packet[:2]
        assert answer[2] & 0x80, "not marked as a response"


def test_invalid_dns_packets_over_tcp(lictor_agent):
    for packet in PACKETS.values():
        for claimed in (len(packet), len(packet) + 500):
            address = ("127.0.0.1", lictor_agent.ports.dns)
            with socket.create_connection(address, timeout=5) as stream:
                stream.sendall(struct.pack("!H", min(claimed, 65535)) + packet)
                stream.shutdown(socket.SHUT_WR)
                try:
                    stream.recv(65535)
                except ConnectionResetError:
                    continue


@pytest.mark.slow
def test_memory_stays_flat_under_bad_input(lictor_agent):
    rng = random.Random(20)
    address = ("127.0.0.1", lictor_agent.ports.dns)

    def storm(rounds: int) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            for _ in range(rounds):
                for packet in PACKETS.values():
                    datagrams.sendto(packet, address)
                    flipped = bytearray(packet or b"\0")
                    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
                    datagrams.sendto(bytes(flipped), address)
                for name in ("random bytes", "a bad chunk", "a huge header"):
                    raw_request(lictor_agent, GARBAGE[name])
                for unique in range(10):
                    path = f"/v1/kv/{rng.random()}?index=x{unique}"
                    assert lictor_agent.request("GET", path).status == 400
                lictor_agent.request("PUT", "/v1/kv/big", "x" * 600_000)
                lictor_agent.request("PUT", "/v1/catalog/register", DEEP)

    storm(15)
    before = lictor_agent.resident_bytes()
    storm(45)
    grown = lictor_agent.resident_bytes() - before
    assert grown < 12_000_000, f"{grown / 1e6:.1f} MB more after three times the storm"


# --- flags and configuration ----------------------------------------------------------------------


def run(agent: Agent, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*agent.command, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


CONFIGURATIONS = {
    "an unknown key": ("a.hcl", "bogus = 1", "invalid config key bogus"),
    "an unknown nested key": (
        "a.json",
        '{"ports": {"bogus": 1}}',
        "invalid config key ports.bogus",
    ),
    "broken HCL": ("a.hcl", "ports {", "failed to parse"),
    "broken JSON": ("a.json", '{"ports": ', "failed to parse"),
    "a wrong type": ("a.json", '{"ports": {"http": "many"}}', "failed to parse"),
    "a bad duration": ("a.hcl", 'retry_interval = "xx"', "invalid duration"),
    "a port out of range": ("a.hcl", "ports { http = 99999 }", "99999"),
    "a bad datacentre": ("a.hcl", 'datacenter = "BAD DC!"', "datacenter"),
    "an empty file of zeros": ("a.hcl", "\0\0\0", "failed to parse"),
}


@pytest.mark.parametrize(("file", "text", "part"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_bad_configuration_ends_with_one_clear_message(lictor_agent, tmp_path, file, text, part):
    (tmp_path / file).write_text(text)
    done = run(lictor_agent, "agent", "-data-dir=data", f"-config-file={file}", cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert part in said
    assert_no_internals(said)


FLAGS = {
    "an unknown flag": (["agent", "-bogus"], "-bogus"),
    "a flag without its value": (["agent", "-data-dir"], "-data-dir"),
    "a port that is no number": (["agent", "-dev", "-http-port=many"], "many"),
    "no data directory": (["agent", "-server"], "data_dir cannot be empty"),
    "surplus arguments": (["agent", "-dev", "surplus"], "surplus"),
    "a file that is not there": (["agent", "-config-file=absent.hcl"], "absent.hcl"),
    "an unknown flag of kv": (["kv", "get", "-bogus", "x"], "-bogus"),
    "a missing argument": (["kv", "put"], "KEY"),
    "an unknown command": (["frobnicate"], "frobnicate|Usage"),
    "an unknown subcommand": (["kv", "frobnicate"], "frobnicate|Usage"),
}


@pytest.mark.parametrize(("arguments", "part"), FLAGS.values(), ids=FLAGS)
def test_bad_flags_end_with_a_clear_message(lictor_agent, tmp_path, arguments, part):
    done = run(lictor_agent, *arguments, cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode in {1, 127}, said
    assert any(each.lower() in said.lower() for each in part.split("|")), said
    assert_no_internals(said)


def test_a_taken_port_is_named_in_the_message(lictor_agent, tmp_path):
    taken = lictor_agent.ports.http
    done = run(lictor_agent, "agent", "-dev", f"-http-port={taken}", cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert str(taken) in said
    assert "address already in use" in said.lower()
    assert_no_internals(said)


SERVER = ("agent", "-server", "-bootstrap", "-bind=127.0.0.1")


def test_an_unwritable_data_directory_is_named_in_the_message(lictor_agent, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    done = run(lictor_agent, *SERVER, "-data-dir=file/data", cwd=tmp_path)
    assert done.returncode == 1
    assert "file/data" in done.stdout + done.stderr
    assert_no_internals(done.stdout + done.stderr)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"not a UUID"], ids=["bytes", "text"])
def test_a_damaged_node_id_is_named_in_the_message(lictor_agent, tmp_path, content):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "node-id").write_bytes(content)
    done = run(lictor_agent, *SERVER, "-data-dir=data", cwd=tmp_path)
    assert done.returncode == 1
    assert "node" in (done.stdout + done.stderr).lower()
    assert_no_internals(done.stdout + done.stderr)


def test_a_data_directory_in_use_is_not_shared(make_agent, tmp_path):
    first, second = make_agent("first"), make_agent("second")
    first.start()
    first.put("/v1/kv/mine", "x")
    second.directory.mkdir()
    (second.directory / "data").symlink_to(first.data_dir)
    with pytest.raises(ProcessFailed, match="is in use"):
        second.start(seconds=5)
    assert first.request("GET", "/v1/kv/mine?raw").text == "x"
    assert "Traceback" not in second.log()


def test_many_connections_from_one_client_do_not_stop_it(lictor_agent):
    streams = []
    try:
        for _ in range(400):
            try:
                streams.append(
                    socket.create_connection(("127.0.0.1", lictor_agent.ports.http), timeout=2)
                )
            except OSError:
                break
    finally:
        for stream in streams:
            stream.close()

    def serves() -> bool:
        try:
            return lictor_agent.request("GET", KEPT).status == 200
        except OSError:
            return False

    with bounded("serving again", seconds=10) as attempts:
        for _ in attempts:
            if serves():
                return
