"""What is read without aiohttp, what is left to it, and that nobody can tell which it was."""

from __future__ import annotations

import asyncio

import pytest
from acceptance.memory_server import MemoryAgent
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.registry.http.direct import MAX_SIZE, read_direct

GET = b"GET /v1/kv/a?raw HTTP/1.1\r\nHost: x\r\nX-Consul-Token: t\r\n\r\n"
PUT = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n\r\n\x00"


def test_a_whole_simple_request_is_read():
    request = read_direct(GET)
    assert (request.method, request.raw_path) == ("GET", "/v1/kv/a?raw")
    assert request.headers["x-consul-token"] == "t"
    assert request.is_lone_read
    assert not request.body_exists


def test_a_body_may_be_any_bytes():
    request = read_direct(PUT)
    assert request.read_nowait() == b"\r\n\x00"
    assert request.content_length == 3
    assert not request.is_lone_read


@pytest.mark.parametrize(
    "data",
    [
        GET[:-1],
        GET + b"G",
        PUT[:-1],
        PUT + b"x",
        GET.replace(b"1.1", b"1.0"),
        GET.replace(b"GET", b"HEAD"),
        GET.replace(b"/v1", b"http://h/v1"),
        GET.replace(b"/v1/kv/a", b"/v1/kv/\xc3\xa9"),
        GET.replace(b"Host: x\r\n", b""),
        GET.replace(b"Host: x", b"Host: x\r\n folded"),
        GET.replace(b"Host: x", b"Host : x"),
        GET.replace(b"Host: x", b"Host: x\r\nConnection: close"),
        GET.replace(b"Host: x", b"Host: x\x00"),
        GET.replace(b"\r\n", b"\n"),
        PUT.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: 3\r\nContent-Length: 3"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: +3"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: 3\r\nExpect: 100-continue"),
        GET.replace(b"Host", b"A: b\r\n" * 70 + b"Host"),
        PUT + bytes(MAX_SIZE),
        b"",
    ],
)
def test_whatever_is_not_exactly_that_is_left_to_aiohttp(data):
    assert read_direct(data) is None


@given(st.binary(max_size=120), st.integers(0, len(PUT)))
@settings(derandomize=True)
def test_noise_never_breaks_the_reader(noise, at):
    for data in (noise, PUT[:at] + noise + PUT[at:], GET[:at] + noise):
        request = read_direct(data)
        if request is not None:
            assert len(request.read_nowait()) == (request.content_length or 0)


REQUESTS = [
    b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none",
    b"GET /v1/kv/a?raw HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PUT /v1/kv/a?cas=x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwo",
    b"GET /v1/nope HTTP/1.1\r\nHost: x\r\n\r\n",
    b"DELETE /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
]


async def answers_to(pieces):
    """What a fresh agent answers to all of REQUESTS, sent in ``pieces``."""
    async with MemoryAgent() as agent:
        client = await agent.connect()
        for piece in pieces:
            client.send(piece)
            await client.writer.drain()
            await asyncio.sleep(0)
        found = [await client.receive() for _ in REQUESTS]
        await client.close()
        return [(answer.status, answer.body) for answer in found]


WHOLE = b"".join(REQUESTS)


@pytest.mark.parametrize(
    "pieces",
    [
        REQUESTS,
        [WHOLE],
        [WHOLE[at : at + 50] for at in range(0, len(WHOLE), 50)],
        [REQUESTS[0], b"".join(REQUESTS[1:])],
        [b"".join(REQUESTS[:2]), *REQUESTS[2:]],
        [REQUESTS[0] + REQUESTS[1][:9], REQUESTS[1][9:], *REQUESTS[2:]],
    ],
    ids=["one by one", "at once", "in pieces", "one, then the rest", "two, then each", "cut"],
)
async def test_answers_are_the_same_however_requests_arrive(pieces):
    assert await answers_to(pieces) == [
        (200, b"true"),
        (200, b"one"),
        (500, b'strconv.ParseUint: parsing "x": invalid syntax'),
        (404, b""),
        (200, b"true"),
        (404, b""),
    ]


async def test_a_request_line_without_a_version_is_refused_as_go_does():
    async with MemoryAgent() as agent:
        client = await agent.connect()
        client.send(b"GET /v1/status/leader\r\n\r\n")
        answer = await client.receive()
        assert (answer.status, answer.body) == (400, b"400 Bad Request")
        await client.close()


@pytest.mark.timeout(10)
def test_a_long_value_that_ends_badly_is_given_up_in_one_pass():
    hostile = b"GET / HTTP/1.1\r\nHost: x\r\nA:" + b" " * 60_000 + b"\x01\r\n\r\n"
    for _ in range(20):  # quadratic, each would take half a minute
        assert read_direct(hostile) is None
