"""Checks as they are run: against tiny servers on loopback and real commands."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import ssl
from contextlib import suppress

import msgspec
import pytest
import trustme

from lictor.raft.system import SystemClock, SystemNetwork
from lictor.registry.agent.checks.gonet import dial_failed, host_port
from lictor.registry.agent.checks.http import HTTPResponse, judge, probe, request_of
from lictor.registry.agent.checks.http2 import (
    ACK,
    DATA,
    GOAWAY,
    HEADERS,
    PING,
    PING_PAYLOAD,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    frame,
    literal,
    probe_grpc,
    probe_h2ping,
)
from lictor.registry.agent.checks.real import RealHTTP, RealScripts
from lictor.registry.agent.checks.runner import RUN
from lictor.registry.agent.checks.script import Ran
from lictor.registry.agent.checks.script import judge as judge_script
from lictor.registry.agent.checks.script import probe as probe_script
from lictor.registry.agent.checks.tcp import probe_tcp, probe_udp
from lictor.registry.agent.definitions import CheckRules
from lictor.registry.agent.validation import CHECK_TYPES
from lictor.registry.agent.verdict import Tail, cut

MS = 1_000_000
UNUSED = 1
"""A port of loopback where nothing listens."""


def rules(**said):
    return msgspec.convert(said, CheckRules)


class Web:
    """Answers every request with the bytes it was made with, and keeps the heads."""

    def __init__(self, *answers, until=b"\r\n\r\n", tls=None):
        self._until = until
        self._tls = tls
        self._answers = list(answers)
        self.heads = []
        self._busy = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *error):
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._busy)

    async def _serve(self, reader, writer):
        self._busy.add(asyncio.current_task())
        try:
            await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # what is no request gets no answer
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        head = await reader.readuntil(self._until)
        length = next(
            (
                int(line[15:])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        body = await reader.readexactly(length)
        self.heads.append(head + body)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            await reader.read()  # say nothing until the other side hangs up
        else:
            writer.write(answer)
            await writer.drain()


def reply(status, body=b"hello", **headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def http(url, keep=4096, **said):
    return await probe(RealHTTP(), rules(HTTP=url, **said), keep=keep)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("200 OK", "passing"),
        ("204 No Content", "passing"),
        ("299 ", "passing"),
        ("429 Too Many Requests", "warning"),
        ("404 Not Found", "critical"),
        ("500 Internal Server Error", "critical"),
    ],
)
async def test_the_status_decides(status, verdict):
    body = b"" if status.startswith("204") else b"hello"
    async with Web(reply(status, body)) as web:
        found = await http(web.url + "/x")
    assert found.status == verdict
    assert found.output == f"HTTP GET {web.url}/x: {status} Output: {body.decode()}"


async def test_a_request_carries_consuls_headers():
    async with Web(reply("200 OK")) as web:
        await http(web.url + "/x?a=b")
    (head,) = web.heads
    first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert first == "GET /x?a=b HTTP/1.1"
    assert sorted(lines) == [
        "Accept-Encoding: gzip",
        "Accept: text/plain, text/*, */*",
        "Connection: close",
        f"Host: 127.0.0.1:{web.port}",
        "User-Agent: Consul Health Check",
    ]


async def test_method_body_and_headers_are_those_asked_for():
    async with Web(reply("200 OK")) as web:
        found = await http(
            web.url,
            Method="POST",
            Body="bb",
            Header={"x-a": ["1", "2"], "Host": ["foo"], "Accept": ["y"]},
        )
    (head,) = web.heads
    text = head.decode()
    assert text.startswith("POST / HTTP/1.1\r\n")
    assert text.endswith("\r\n\r\nbb")
    for line in ("x-a: 1", "x-a: 2", "Host: foo", "Accept: y", "Content-Length: 2"):
        assert f"\r\n{line}\r\n" in text
    assert text.count("Accept: ") == text.count("Host: ") == 1
    assert "Content-Type" not in text
    assert found.output.startswith(f"HTTP POST {web.url}: 200 OK")


async def test_redirects_are_followed_unless_disabled():
    moved = reply("302 Found", b"", Location="/there")
    async with Web(moved, reply("200 OK")) as web:
        found = await http(web.url + "/here")
        assert found.output == f"HTTP GET {web.url}/here: 200 OK Output: hello"
    async with Web(moved) as web:
        found = await http(web.url, DisableRedirects=True)
        assert (found.status, found.output) == (
            "critical",
            f"HTTP GET {web.url}: 302 Found Output: ",
        )


async def test_endless_redirects_end():
    async with Web(reply("302 Found", b"", Location="/loop")) as web:
        found = await http(web.url + "/loop")
        assert found.output == 'Get "/loop": stopped after 10 redirects'
        assert len(web.heads) == 10


async def test_the_end_of_a_long_body_is_kept():
    async with Web(reply("200 OK", b"x" * 6000 + b"END")) as web:
        found = await http(web.url, keep=5)
        assert found.output.endswith("Output: xxEND")


async def test_a_target_that_says_nothing_times_out():
    async with Web(None) as web:
        found = await http(web.url, Timeout=30 * MS)
    assert found.status == "critical"
    assert found.output == (
        f'Get "{web.url}": context deadline exceeded '
        "(Client.Timeout exceeded while awaiting headers)"
    )


async def test_a_target_that_hangs_up_is_critical():
    async with Web(b"") as web:
        found = await http(web.url)
        assert found.output == f'Get "{web.url}": EOF'


async def test_a_target_that_speaks_no_http_is_critical():
    async with Web(b"hello\r\n\r\n") as web:
        found = await http(web.url)
        assert found.output.startswith(
            f'Get "{web.url}": net/http: HTTP/1.x transport connection broken: malformed HTTP'
        )


async def test_a_target_that_speaks_no_tls_is_critical():
    async with Web(reply("400 Bad Request"), until=b"\x16") as web:
        url = web.url.replace("http", "https")
        found = await http(url)
    assert found.output == f'Get "{url}": tls: first record does not look like a TLS handshake'


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            f"http://127.0.0.1:{UNUSED}/x",
            f"dial tcp 127.0.0.1:{UNUSED}: connect: connection refused",
        ),
        ("ftp://a/", 'unsupported protocol scheme "ftp"'),
    ],
)
async def test_what_cannot_be_asked_is_told_in_gos_words(url, text):
    found = await http(url)
    assert (found.status, found.output) == ("critical", f'Get "{url}": {text}')


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://a b/", 'parse "http://a b/": invalid character " " in host name'),
        (
            "127.0.0.1:80/ok",
            'parse "127.0.0.1:80/ok": first path segment in URL cannot contain colon',
        ),
    ],
)
async def test_what_is_no_url_is_told_in_gos_words(url, text):
    assert (await http(url)).output == text


async def test_a_method_that_is_none_is_critical():
    async with Web(reply("200 OK")) as web:
        found = await http(web.url, Method="A B")
        assert found.output == 'net/http: invalid method "A B"'
        assert web.heads == []


async def test_a_tcp_check_connects():
    async with Web(reply("200 OK")) as web:
        found = await probe_tcp(SystemNetwork(), rules(TCP=f"127.0.0.1:{web.port}"))
    assert (found.status, found.output) == ("passing", f"TCP connect 127.0.0.1:{web.port}: Success")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (f"127.0.0.1:{UNUSED}", f"dial tcp 127.0.0.1:{UNUSED}: connect: connection refused"),
        ("127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"),
        ("127.0.0.1:foo", "dial tcp: address tcp/foo: unknown port"),
    ],
)
async def test_a_failed_tcp_check_is_told_in_gos_words(address, text):
    found = await probe_tcp(SystemNetwork(), rules(TCP=address))
    assert (found.status, found.output) == ("critical", text)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "dial tcp h:1: i/o timeout"),
        (socket.gaierror(-2, "Name or service not known"), "dial tcp: lookup h: no such host"),
        (OSError(113, "x"), "dial tcp h:1: connect: no route to host"),
        (OSError(101, "x"), "dial tcp h:1: connect: network is unreachable"),
        (
            OSError(
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), "
                "[Errno 111] Connect call failed ('127.0.0.1', 1)"
            ),
            "dial tcp 127.0.0.1:1: connect: connection refused",
        ),
    ],
)
def test_errors_of_the_network_read_like_gos(error, text):
    assert dial_failed("h", 1, error) == text


@pytest.mark.parametrize(
    ("address", "wanted"),
    [("h:1", ("h", 1)), ("[::1]:80", ("::1", 80)), (":8", ("", 8))],
)
def test_addresses_are_split(address, wanted):
    assert host_port(address) == wanted


@pytest.mark.parametrize("address", ["h", "::1", "[::1]", "h:", "h:99999", "h:-1", "h:²"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="address"):
        host_port(address)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def server_tls(authority, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


UNTRUSTED = "x509: certificate signed by unknown authority"


async def test_an_https_target_must_be_trusted_unless_told_otherwise(authority):
    async with Web(reply("200 OK"), tls=server_tls(authority, "web.test")) as web:
        url = web.url.replace("http", "https")
        assert (await http(url)).output == f'Get "{url}": {UNTRUSTED}'
        found = await http(url, TLSSkipVerify=True, TLSServerName="web.test")
        assert found.output == f"HTTP GET {url}: 200 OK Output: hello"


async def test_a_tcp_check_may_want_tls(authority):
    async with Web(reply("200 OK"), tls=server_tls(authority, "web.test")) as web:
        said = {"TCP": f"127.0.0.1:{web.port}", "TCPUseTLS": True}
        found = await probe_tcp(SystemNetwork(), rules(**said))
        assert (found.status, found.output) == ("critical", UNTRUSTED)
        found = await probe_tcp(SystemNetwork(), rules(TLSSkipVerify=True, **said))
        assert found.status == "passing"
    async with Web(reply("400 Bad Request"), until=b"\x16") as web:
        said = {"TCP": f"127.0.0.1:{web.port}", "TCPUseTLS": True}
        found = await probe_tcp(SystemNetwork(), rules(**said))
        assert found.output == "tls: first record does not look like a TLS handshake"


SETTLED = frame(SETTINGS, 0, 0)
PONG = frame(PING, ACK, 0, PING_PAYLOAD)


async def h2ping(web, **said):
    address = f"127.0.0.1:{web.port}"
    found = await probe_h2ping(SystemNetwork(), SystemClock(), rules(H2PING=address, **said))
    return found.status, found.output.removeprefix(f"HTTP2 ping {address}: ")


@pytest.mark.parametrize(
    ("answer", "status", "output"),
    [
        (SETTLED + PONG, "passing", "Success"),
        (SETTLED + frame(PING, 0, 0, b"12345678") + PONG, "passing", "Success"),
        (PONG, "critical", "not an HTTP/2 server"),
        (SETTLED + frame(PING, ACK, 0, b"otherone"), "critical", "EOF"),
        (SETTLED + frame(GOAWAY, 0, 0, bytes(8)), "critical", "the server went away"),
        (reply("400 Bad Request"), "critical", "not an HTTP/2 server, or a frame too large"),
        (b"", "critical", "EOF"),
    ],
)
async def test_an_h2ping_check_wants_its_pong(answer, status, output):
    async with Web(answer, until=PREFACE) as web:
        assert await h2ping(web, H2PingUseTLS=False) == (status, output)


async def test_an_h2ping_check_speaks_tls_by_default(authority):
    async with Web(SETTLED + PONG, until=PREFACE, tls=server_tls(authority, "web.test")) as web:
        assert await h2ping(web) == ("critical", UNTRUSTED)
        assert await h2ping(web, TLSSkipVerify=True) == ("passing", "Success")


async def test_an_h2ping_check_ends_in_time():
    async with Web(None, until=PREFACE) as web:
        found = await h2ping(web, H2PingUseTLS=False, Timeout=30 * MS)
        assert found == ("critical", "context deadline exceeded")


def told(*message):
    """A health answer: data, and trailers that end the stream."""
    body = b"\x00" + len(message).to_bytes(4, "big") + bytes(message)
    return frame(DATA, 0, 1, body) + frame(HEADERS, 0x5, 1, b"\x88")


PADDED_DATA = frame(DATA, 0x8, 1, b"\x02\x00\x00\x00\x00\x02\x08\x01zz")
UNAVAILABLE = "rpc error: code = Unavailable desc ="


@pytest.mark.parametrize(
    ("answer", "status", "output"),
    [
        (told(8, 1), "passing", "gRPC check {}: success"),
        (told(8, 2), "critical", "gRPC check {}: the status is NOT_SERVING"),
        (told(), "critical", "gRPC check {}: the status is UNKNOWN"),
        (told(8, 99), "critical", "gRPC check {}: no health service answered"),
        (frame(HEADERS, 0x5, 1, b"\x88"), "critical", "gRPC check {}: no health service answered"),
        (PADDED_DATA + told(), "passing", "gRPC check {}: success"),
        (
            frame(RST_STREAM, 0, 1, bytes(4)),
            "critical",
            f"{UNAVAILABLE} the server reset the stream",
        ),
        (
            frame(DATA, 0, 1, bytes(16_000)) * 5,
            "critical",
            f"{UNAVAILABLE} the answer is too large",
        ),
    ],
)
async def test_a_grpc_check_reads_the_health_answer(answer, status, output):
    async with Web(SETTLED + answer, until=PREFACE) as web:
        target = f"127.0.0.1:{web.port}/db"
        found = await probe_grpc(SystemNetwork(), SystemClock(), rules(GRPC=target))
    assert (found.status, found.output) == (status, output.format(target))


async def test_a_grpc_server_that_is_not_there_is_told_in_gos_words():
    found = await probe_grpc(SystemNetwork(), SystemClock(), rules(GRPC=f"127.0.0.1:{UNUSED}"))
    assert found.output == (
        'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while '
        f'dialing dial tcp 127.0.0.1:{UNUSED}: connect: connection refused"'
    )


def test_long_headers_are_written_as_the_rfc_has_them():
    assert literal("a", "b" * 1337) == b"\x00\x01a\x7f" + b"\xba\x09" + b"b" * 1337
    assert literal("a", "b" * 127)[3:5] == b"\x7f\x00"


class Silent(asyncio.DatagramProtocol):
    def __init__(self):
        self.got = asyncio.Event()

    def datagram_received(self, data, addr):
        self.got.set()


async def test_a_udp_check_passes_on_silence_and_fails_on_refusal():
    loop = asyncio.get_running_loop()
    transport, silent = await loop.create_datagram_endpoint(Silent, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    network, clock = SystemNetwork(), SystemClock()
    said = rules(UDP=f"127.0.0.1:{port}", Timeout=20 * MS)
    found = await probe_udp(network, clock, said)
    assert (found.status, silent.got.is_set()) == ("passing", True)
    transport.close()
    await asyncio.sleep(0)
    found = await probe_udp(network, clock, said)
    assert found.status == "critical"
    assert found.output.endswith("connection refused")


async def script(*command, timeout=5.0, keep=4096, **said):
    return await probe_script(
        RealScripts(SystemClock()),
        rules(Args=command, Timeout=int(timeout * 1000) * MS, **said),
        keep=keep,
        interval=f"{timeout:g}s",
    )


@pytest.mark.parametrize(
    ("line", "status", "output"),
    [
        ("echo hi; echo err >&2", "passing", "hi\nerr\n"),
        ("echo warn; exit 1", "warning", "warn\n"),
        ("exit 2", "critical", ""),
        ("kill -9 $$", "critical", ""),
    ],
)
async def test_the_exit_code_decides(line, status, output):
    found = await script("/bin/sh", "-c", line)
    assert (found.status, found.output) == (status, output)


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("/nosuch", "fork/exec /nosuch: no such file or directory"),
        ("nosuchcmd", 'exec: "nosuchcmd": executable file not found in $PATH'),
        ("/etc/passwd", "fork/exec /etc/passwd: permission denied"),
    ],
)
async def test_a_command_that_does_not_start_is_told_in_gos_words(program, text):
    found = await script(program)
    assert (found.status, found.output) == ("critical", text)


async def test_the_last_bytes_of_much_output_are_kept():
    found = await script("/bin/sh", "-c", "echo 1234567890", keep=5)
    assert found.output == "Captured 5 of 11 bytes\n...\n7890\n"


async def test_a_command_is_no_shell_line():
    found = await script("/bin/echo", "$HOME;", "`id`")
    assert found.output == "$HOME; `id`\n"


async def test_a_command_out_of_time_is_killed_with_its_children(tmp_path):
    pids = tmp_path / "pids"
    line = f"echo partial; sleep 60 & echo $! > {pids}; wait"
    found = await script("/bin/sh", "-c", line, timeout=0.2)
    assert found.status == "critical"
    assert found.output == "Timed out (0.2s) running check\n\npartial\n"
    assert await _ends(int(pids.read_text()))


async def _ends(pid):
    """Whether a process that is not ours to wait for ends soon."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as stat:  # noqa: ASYNC230, PTH123
            if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        await asyncio.sleep(0.005)
    return False


async def test_a_command_that_left_its_group_holds_nobody_up(tmp_path):
    pid = tmp_path / "pid"
    line = f"setsid sh -c 'echo $$ > {pid}; exec sleep 60' & sleep 0.05; echo left"
    found = await script("/bin/sh", "-c", line, timeout=0.3)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert found.output == "Timed out (0.3s) running check\n\nleft\n"


async def test_what_a_command_leaves_behind_quietly_lives_on(tmp_path):
    pid = tmp_path / "pid"
    line = f"sleep 60 >/dev/null 2>&1 & echo $! > {pid}; echo done"
    found = await script("/bin/sh", "-c", line)
    assert (found.status, found.output) == ("passing", "done\n")
    os.kill(int(pid.read_text()), signal.SIGKILL)  # fails if it was killed before


async def test_a_cancelled_check_leaves_no_process():
    started = asyncio.get_running_loop().create_task(script("/bin/sleep", "61"))
    for _ in range(200):
        await asyncio.sleep(0.005)
        found = _children("61")
        if found:
            break
    assert found
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started
    assert await _ends(found[0])


def _children(argument):
    """Pids of this process's children that were given ``argument``."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:  # noqa: PTH123
                words = file.read().split(b"\0")
            with open(f"/proc/{entry}/stat") as file:  # noqa: PTH123
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if argument.encode() in words and parent == os.getpid():
            found.append(int(entry))
    return found


@pytest.mark.parametrize(
    ("ran", "status", "output"),
    [
        (Ran(exit_code=None, output=b"", total=0), "critical", "Timed out (1s) running check"),
        (Ran(exit_code=-9, output=b"x", total=1), "critical", "x"),
        (Ran(exit_code=0, output=b"\xff", total=1), "passing", "\ufffd"),
    ],
)
def test_ends_are_judged(ran, status, output):
    found = judge_script(ran, timeout="1s")
    assert (found.status, found.output) == (status, output)


def test_undecodable_bodies_are_shown():
    request = request_of(rules(HTTP="u"), keep=9)
    found = judge(request, HTTPResponse(status=200, reason="OK", body=b"\xff"))
    assert found.output == "HTTP GET u: 200 OK Output: \ufffd"


def test_a_tail_keeps_the_last_bytes_of_any_pieces():
    tail = Tail(4)
    for piece in (b"ab", b"", b"cde", b"fghijk", b"l"):
        tail.add(piece)
    assert (tail.kept, tail.total) == (b"ijkl", 12)


def test_cutting_never_splits_a_character():
    assert cut("äöü", 6) == "äöü"
    assert cut("äöü", 3) == "ä ... (captured 3 of 6 bytes)"


def test_every_type_that_is_asked_for_is_run():
    assert {kind for kind, _ in CHECK_TYPES} == {*RUN, "alias"}


def test_a_command_whose_check_is_cancelled_is_killed_and_reaped(tmp_path):
    pid = tmp_path / "pid"
    os.mkfifo(pid)
    command = ("/bin/sh", "-c", f"echo $$ > {pid}; exec sleep 60")

    async def cancelled():
        run = asyncio.create_task(RealScripts(SystemClock()).run(command, timeout=30.0, keep=100))
        number = int(await asyncio.to_thread(pid.read_text))
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
        return number

    number = asyncio.run(cancelled())  # the loop ends at once, as at an agent's end
    with pytest.raises(ProcessLookupError):  # not even a zombie is left
        os.kill(number, 0)
    gc.collect()  # nor a transport that nobody closed, which would warn now
