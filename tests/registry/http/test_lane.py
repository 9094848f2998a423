"""The fast lane: the same bytes, the same answer, never out of order, never out of date."""

from __future__ import annotations

import asyncio

import pytest
from acceptance.memory_server import MemoryAgent, head
from hypothesis import example, given
from hypothesis import strategies as st

from lictor.raft.system import SystemClock
from lictor.registry.answers import Answers
from lictor.registry.http.lane import MAX_KEY, Lane, lone_read, owed
from lictor.registry.http.respond import Wire
from lictor.registry.queries import ReadKey
from lictor.registry.state.store import State


@pytest.fixture
async def agent():
    async with MemoryAgent() as agent:
        agent.lane = agent.http.lane
        yield agent


@pytest.fixture
async def client(agent):
    client = await agent.connect()
    yield client
    await client.close()


async def test_the_second_time_is_answered_by_the_lane_with_the_same_bytes(agent, client):
    await agent.put("/v1/kv/a", b"x")
    first = await client.request("GET", "/v1/kv/a")
    second = await client.request("GET", "/v1/kv/a")
    assert agent.lane.hits == 1
    assert [line for line in first.lines if not line.startswith("Date")] == [
        line for line in second.lines if not line.startswith("Date")
    ]
    assert first.body == second.body


@pytest.mark.parametrize(
    "path",
    [
        "/v1/kv/a",
        "/v1/kv/a?raw",
        "/v1/kv/none",
        "/v1/kv/a?stale",
        "/v1/kv/?keys",
        "/v1/catalog/nodes?filter=Node==n1",
        "/v1/health/service/consul?passing&pretty",
        "/v1/connect/intentions",
    ],
)
async def test_plain_reads_are_kept(agent, client, path):
    await agent.put("/v1/kv/a", b"x")
    answers = [await client.request("GET", path) for _ in range(3)]
    assert agent.lane.hits == 2
    assert len({(answer.status, answer.body) for answer in answers}) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/v1/kv/a?consistent",
        "/v1/kv/a?index=1",
        "/v1/catalog/services?cached",
        "/v1/status/leader",
        "/v1/kv/a?index=x",
        "/v1/nope",
        "/v1/catalog/nodes?max_stale=1s",
    ],
)
async def test_what_depends_on_more_than_the_state_is_not_kept(agent, client, path):
    await agent.put("/v1/kv/a", b"x")
    for _ in range(3):
        await client.request("GET", path)
    assert (agent.lane.hits, len(agent.lane)) == (0, 0)


async def test_a_change_is_seen_by_the_very_next_request(agent, client):
    for number in range(5):
        value = f"value {number}".encode()
        await client.request("PUT", "/v1/kv/a", value)
        for _ in range(3):
            assert (await client.request("GET", "/v1/kv/a?raw")).body == value
    assert agent.lane.hits == 10


async def test_writes_on_the_same_connection_leave_the_lane_open(agent, client):
    await client.request("GET", "/v1/kv/a")
    await client.request("PUT", "/v1/kv/b", b"x" * 3000)
    await client.request("GET", "/v1/kv/a")
    await client.request("GET", "/v1/kv/a")
    assert agent.lane.hits == 2


async def test_a_server_that_lost_its_office_does_not_answer_from_the_lane(agent, client):
    await client.request("GET", "/v1/kv/a")
    agent.server.leads = False
    received = await client.request("GET", "/v1/kv/a")
    assert (received.status, received.text) == (500, "No cluster leader")
    assert agent.lane.hits == 0


async def test_another_header_is_another_question(agent, client):
    await client.request("GET", "/v1/kv/a")
    await client.request("GET", "/v1/kv/a", headers={"X-Consul-Token": "t"})
    assert agent.lane.hits == 0


async def test_pipelined_requests_are_answered_in_their_order(agent, client):
    await agent.put("/v1/kv/a", b"a")
    await client.request("GET", "/v1/kv/a?raw")
    client.send(head("PUT", "/v1/kv/a", b"b") + b"b" + head("GET", "/v1/kv/a?raw"))
    assert (await client.receive()).body == b"true"
    assert (await client.receive()).body == b"b"


async def test_a_known_read_behind_an_unanswered_request_waits_its_turn(agent, client):
    await agent.put("/v1/kv/a", b"a")
    await client.request("GET", "/v1/kv/a?raw")
    client.send(head("GET", "/v1/kv/b?index=999"))
    await asyncio.sleep(0)
    client.send(head("GET", "/v1/kv/a?raw"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert agent.lane.hits == 0
    await agent.put("/v1/kv/b", b"b")
    agent.server.index = 1000
    await agent.put("/v1/kv/b", b"c")
    assert (await client.receive()).headers["X-Consul-Index"] == "1001"
    assert (await client.receive()).body == b"a"


async def test_a_body_that_looks_like_a_known_read_is_a_body(agent, client):
    await agent.put("/v1/kv/a", b"a")
    await client.request("GET", "/v1/kv/a?raw")
    trap = head("GET", "/v1/kv/a?raw")
    client.send(head("PUT", "/v1/kv/b", trap))
    for _ in range(20):
        await asyncio.sleep(0)
    client.send(trap)
    assert (await client.receive()).body == b"true"
    assert (await client.request("GET", "/v1/kv/b?raw")).body == trap
    assert agent.lane.hits == 0


async def test_a_head_in_pieces_is_answered_and_not_by_the_lane(agent, client):
    await agent.put("/v1/kv/a", b"a")
    whole = head("GET", "/v1/kv/a?raw")
    await client.request("GET", "/v1/kv/a?raw")
    client.send(whole[:20])
    for _ in range(20):
        await asyncio.sleep(0)
    client.send(whole[20:])
    assert (await client.receive()).body == b"a"
    assert agent.lane.hits == 0


async def test_a_client_that_does_not_read_is_not_served_ahead(agent):
    await agent.put("/v1/kv/a", b"x" * 400_000)
    client = await agent.connect()
    await client.request("GET", "/v1/kv/a?raw")
    (connection,) = agent.http.door._connections
    for _ in range(200):
        client.send(head("GET", "/v1/kv/a?raw"))
        await client.writer.drain()
        await asyncio.sleep(0)
    assert agent.lane.hits < 50
    assert connection.transport.get_write_buffer_size() < 20_000_000
    client.writer.transport.abort()


async def test_a_lane_that_is_switched_off_is_not_there():
    async with MemoryAgent(answer_lane=False) as agent:
        assert agent.http.lane is None
        assert (await agent.get("/v1/kv/a")).status == 404


def kept(lane, answers, name, size=10):
    answer = answers.get(ReadKey(name))
    lane.record(name.encode(), answer, Wire(b"h", b"t", b"x" * size))
    return answer


def test_the_oldest_go_when_there_are_too_many_or_they_are_too_big():
    answers = Answers(State())
    lane = Lane(lambda: True, SystemClock(), max_entries=3, max_bytes=1000)
    for name in "abcd":
        kept(lane, answers, name)
    assert [lane.find(name) is not None for name in (b"a", b"b", b"c", b"d")] == [
        False, True, True, True,
    ]  # fmt: skip
    kept(lane, answers, "big", size=500)
    assert lane.find(b"big") is None  # more than its share
    lane.clear()
    assert len(lane) == 0


def test_a_dead_answer_is_neither_kept_nor_served():
    answers = Answers(State())
    lane = Lane(lambda: True, SystemClock())
    answer = kept(lane, answers, "a")
    answer.drop()
    assert lane.find(b"a") is None
    assert len(lane) == 0
    lane.record(b"a", answer, Wire(b"", b"", b""))
    assert len(lane) == 0


PLAIN = b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN + PLAIN,
        PLAIN[:-2],
        PLAIN.replace(b"GET", b"PUT"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"),
        PLAIN.replace(b"\r\n\r\n", b"\r\ntransfer-encoding : chunked\r\n\r\n"),
        PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"),
        PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive, upgrade\r\n\r\n"),
        PLAIN.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
        PLAIN.replace(b"Host: x", b"Host: x\nContent-Length: 5"),
        PLAIN.replace(b"Host: x", b"Host: x\rContent-Length: 5"),
        b"GET /" + b"a" * MAX_KEY + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_only_a_lone_read_is_a_key(data):
    assert lone_read(PLAIN)
    assert not lone_read(data)


PUT = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (PLAIN, 0),
        (PUT, 5),
        (PUT + b"abc", 2),
        (PUT + b"abcde", 0),
        (PUT + b"abcdeG", None),
        (PUT[:-2], None),
        (PUT.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked"), None),
        (PUT.replace(b"\r\n\r\n", b"\r\nContent-Length: 6\r\n\r\n"), None),
        (PUT.replace(b"Content-Length: 5", b"Content-Length : 5"), None),
        (PUT.replace(b"Content-Length: 5", b"Content-Length: +5"), None),
        (PUT.replace(b"\r\nContent", b"\nContent"), None),
    ],
)
def test_what_a_request_still_lacks_is_known_or_the_lane_closes(data, missing):
    assert owed(data) == missing


@given(st.binary(max_size=60), st.integers(0, 60))
@example(b"content-length", 8)  # in the path: no body is owed, though it looks doubtful
def test_no_two_requests_are_one_key(noise, at):
    data = PLAIN[:at] + noise + PLAIN[at:]
    if lone_read(data):
        assert data.count(b"\r\n\r\n") == 1
        assert owed(data) in {0, None}
