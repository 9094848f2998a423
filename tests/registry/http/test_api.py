"""The HTTP server as a client meets it: bytes over loopback, a state in memory behind."""

from __future__ import annotations

import asyncio
import gzip
import json
from random import Random

import pytest
from acceptance.memory_server import MemoryAgent, head

from lictor.raft.runtime import Runtime
from lictor.raft.system import system_runtime
from lictor.registry.errors import Overloaded
from lictor.registry.http.app import GROUPS
from lictor.registry.http.outcomes import Reply
from lictor.registry.http.respond import Zipper
from lictor.registry.http.routes import Router, RouteTable


class HandClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._moved = asyncio.Event()

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return 1_700_000_000.0 + self.time

    def advance(self, duration: float) -> None:
        self.time += duration
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep(self, duration: float) -> None:
        until = self.time + duration
        while self.time < until:
            await self._moved.wait()

    async def wait(self, event: asyncio.Event, *, until: float | None) -> bool:
        while not event.is_set() and (until is None or self.time < until):
            waits = [asyncio.ensure_future(e.wait()) for e in (event, self._moved)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
        return event.is_set()


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def runtime(clock):
    real = system_runtime()
    return Runtime(clock=clock, rng=Random(1), disk=real.disk, network=real.network)


@pytest.fixture
async def agent(runtime):
    async with MemoryAgent(runtime=runtime) as agent:
        yield agent


async def until(condition) -> None:
    """Let the loop turn until ``condition`` holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


# -- the answer's form ----------------------------------------------------------------------------


async def test_headers_come_in_gos_order_and_spelling(agent):
    await agent.put("/v1/kv/a", b"x")
    received = await agent.get("/v1/kv/a")
    assert received.lines == [
        "Content-Type: application/json",
        "Vary: Accept-Encoding",
        "X-Consul-Index: 3",
        "X-Consul-Knownleader: true",
        "X-Consul-Lastcontact: 0",
        "Date: Tue, 14 Nov 2023 22:30:00 GMT",
        "Content-Length: 84",
    ]


async def test_an_index_is_never_zero(agent):
    received = await agent.get("/v1/kv/none")
    assert (received.status, received.headers["X-Consul-Index"]) == (404, "1")


async def test_pretty_indents_by_four_and_ends_the_line(agent):
    assert (await agent.get("/v1/status/peers?pretty")).text == '[\n    "127.0.0.1:8300"\n]\n'
    assert (await agent.get("/v1/status/peers")).text == '["127.0.0.1:8300"]'


async def test_a_development_agent_always_indents(runtime):
    async with MemoryAgent(runtime=runtime, pretty=True) as agent:
        assert (await agent.get("/v1/status/peers")).text == '[\n    "127.0.0.1:8300"\n]\n'
        assert (await agent.put("/v1/kv/a", b"x")).text == "true\n"


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("deflate", False), ("gzip;q=0", False)],
)
async def test_answers_are_zipped_for_who_accepts_it(agent, accepted, zipped):
    received = await agent.request("GET", "/v1/status/peers", headers={"Accept-Encoding": accepted})
    assert ("Content-Encoding" in received.headers) is zipped
    body = gzip.decompress(received.body) if zipped else received.body
    assert body == b'["127.0.0.1:8300"]'


async def test_an_old_client_is_told_that_its_connection_stays(agent):
    client = await agent.connect()
    for _ in range(2):
        client.send(b"GET /v1/status/leader HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await client.receive()).headers["Connection"] == "keep-alive"
    client.send(b"GET /v1/status/leader HTTP/1.0\r\n\r\n")
    assert (await client.receive()).headers["Connection"] == "close"
    assert await client.reader.read() == b""
    await client.close()


def test_a_compressed_body_is_made_once_and_kept_within_bounds(monkeypatch):
    made = []
    compress = gzip.compress
    monkeypatch.setattr(gzip, "compress", lambda body, *a, **k: made.append(body) or compress(body))
    zipper = Zipper(max_bytes=5000)
    for name in (b"a", b"b", b"a", b"c", b"d", b"e", b"a"):
        assert gzip.decompress(zipper.zipped(name * 1000)) == name * 1000
    assert [body[:1] for body in made] == [b"a", b"b", b"c", b"d", b"e", b"a"]


async def test_a_success_without_words_has_no_type(agent):
    received = await agent.request("OPTIONS", "/v1/kv/x")
    assert "Content-Type" not in received.headers
    assert received.headers["Content-Length"] == "0"


async def test_configured_headers_are_on_every_answer_in_canonical_spelling(runtime):
    async with MemoryAgent(runtime=runtime, response_headers={"x-foo-BAR": "1"}) as agent:
        assert (await agent.get("/v1/status/peers")).headers["X-Foo-Bar"] == "1"


async def test_a_header_cannot_be_split_by_what_a_client_sent(agent):
    received = await agent.get("/v1/kv//a%0d%0aX-Evil:%201")
    assert received.status == 400
    assert "X-Evil" not in received.headers


# -- refusals -------------------------------------------------------------------------------------


async def test_blocked_endpoints_are_refused_before_their_method(runtime):
    async with MemoryAgent(runtime=runtime, blocked_prefixes=("/v1/kv",)) as agent:
        received = await agent.request("POST", "/v1/kv/x")
        assert (received.status, received.text) == (
            403,
            "Endpoint is blocked by agent configuration",
        )
        assert (await agent.get("/v1/status/peers")).status == 200


async def test_a_body_is_bounded_even_when_its_length_is_not_told(runtime):
    async with MemoryAgent(runtime=runtime, max_body_size=1000) as agent:
        client = await agent.connect()
        client.send(
            head("PUT", "/v1/session/create", headers={"Transfer-Encoding": "chunked"})
            + b"3e9\r\n" + b" " * 1001 + b"\r\n0\r\n\r\n"
        )  # fmt: skip
        received = await client.receive()
        await client.close()
    assert (received.status, received.text) == (
        413,
        "Request body too large, max size: 1000 bytes.",
    )


async def test_a_value_is_bounded_by_its_setting(runtime):
    async with MemoryAgent(runtime=runtime, kv_max_value_size=4) as agent:
        received = await agent.put("/v1/kv/a", b"12345")
        assert received.status == 413
        assert received.text.startswith("Request body(5 bytes) too large, max size: 4 bytes.")
        assert (await agent.put("/v1/kv/a", b"1234")).text == "true"


async def test_what_is_no_http_is_answered_and_hung_up_on(agent):
    client = await agent.connect()
    client.send(b"\x16\x03\x01 hello\r\n\r\n")
    assert (await client.reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    await client.close()


async def test_an_unexpected_error_is_500_without_details(runtime):
    group = RouteTable("test")

    @group("GET", "/v1/broken", namespaced=False)
    def broken(_):
        """Break."""
        raise ZeroDivisionError("a secret")

    async with MemoryAgent(runtime=runtime, groups=[group]) as agent:
        received = await agent.get("/v1/broken")
    assert (received.status, received.text) == (500, "internal error")


async def test_without_a_leader_default_reads_fail_and_stale_ones_do_not(agent):
    await agent.put("/v1/kv/a", b"x")
    agent.server.leads = False
    failed = await agent.get("/v1/catalog/nodes")
    assert (failed.status, failed.text) == (500, "No cluster leader")
    assert failed.headers["X-Consul-Knownleader"] == "false"
    assert (await agent.put("/v1/kv/a", b"y")).text == "No cluster leader"
    stale = await agent.get("/v1/kv/a?stale")
    assert (stale.status, stale.headers["X-Consul-Knownleader"]) == (200, "false")


async def test_an_overloaded_cluster_asks_the_client_to_slow_down(agent, monkeypatch):
    async def refuse(*_):
        raise Overloaded("too many proposals")

    monkeypatch.setattr(agent.server, "write", refuse)
    received = await agent.put("/v1/kv/a", b"x")
    assert (received.status, received.text) == (429, "too many proposals")


async def test_changes_may_be_kept_to_some_networks(runtime):
    async with MemoryAgent(runtime=runtime, allow_write_from=("10.0.0.0/8",)) as agent:
        received = await agent.put("/v1/kv/a", b"x")
        assert (received.status, received.text) == (403, "Access is restricted")
        assert (await agent.get("/v1/kv/a")).status == 404
    async with MemoryAgent(runtime=runtime, allow_write_from=("127.0.0.0/8",)) as agent:
        assert (await agent.put("/v1/kv/a", b"x")).text == "true"


# -- freshness ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("", "stale"),
        ("?leader", "leader"),
        ("?consistent", "consistent"),
        ("?cached", "leader"),
        ("?max_stale=1s", "stale"),
    ],
)
async def test_discovery_may_be_stale_by_configuration(runtime, query, mode):
    async with MemoryAgent(runtime=runtime, discovery_max_stale=5.0) as agent:
        received = await agent.get(f"/v1/catalog/nodes{query}")
        assert received.headers["X-Consul-Effective-Consistency"] == mode


@pytest.mark.parametrize(("age", "mode"), [(0.5, "stale"), (2.0, "leader")])
async def test_an_answer_that_would_be_too_stale_comes_from_the_leader(
    agent, monkeypatch, age, mode
):
    monkeypatch.setattr(type(agent.server), "last_contact", age)
    received = await agent.get("/v1/catalog/nodes?max_stale=1s")
    assert received.headers["X-Consul-Effective-Consistency"] == mode


# -- changes --------------------------------------------------------------------------------------


async def test_a_change_is_attributed_to_where_it_came_from(agent):
    await agent.put("/v1/kv/a", b"x")
    origin = agent.server.origins[-1]
    assert origin.address == "127.0.0.1"
    assert len(origin.request_id) == 16


async def test_a_change_is_carried_through_when_its_client_goes_away(agent, monkeypatch):
    entered, leave = asyncio.Event(), asyncio.Event()
    write = agent.server.write

    async def slow(command, origin):
        entered.set()
        await leave.wait()
        return await write(command, origin)

    monkeypatch.setattr(agent.server, "write", slow)
    monkeypatch.setattr(agent.server, "may_answer", lambda: False)  # it must ask the leader
    client = await agent.connect()
    client.send(head("PUT", "/v1/kv/a", b"x") + b"x")
    await entered.wait()
    client.writer.transport.abort()
    await until(lambda: not len(agent.http.door))
    leave.set()
    await until(lambda: "a" in agent.server.machine.state.kv.rows)


# -- blocking -------------------------------------------------------------------------------------


async def blocked_on(agent, path):
    client = await agent.connect()
    client.send(head("GET", path))
    await until(lambda: any(a.watchers for a in agent.server.machine.answers._answers.values()))
    return client


async def test_a_blocking_query_wakes_for_its_own_data_only(agent):
    await agent.put("/v1/kv/a", b"x")
    index = (await agent.get("/v1/kv/a")).headers["X-Consul-Index"]
    client = await blocked_on(agent, f"/v1/kv/a?index={index}")
    await agent.put("/v1/kv/b", b"x")
    answer = asyncio.ensure_future(client.receive())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not answer.done()
    await agent.put("/v1/kv/a", b"y")
    received = await answer
    assert int(received.headers["X-Consul-Index"]) > int(index)
    assert json.loads(received.body)[0]["Value"] == "eQ=="
    await client.close()


async def test_a_blocking_query_that_times_out_answers_what_is_there(agent, clock):
    await agent.put("/v1/kv/a", b"x")
    client = await blocked_on(agent, "/v1/kv/a?index=999&wait=10s")
    clock.advance(11)
    received = await client.receive()
    assert (received.status, received.headers["X-Consul-Index"]) == (200, "3")
    await client.close()


async def test_a_blocked_query_is_let_go_when_its_client_leaves(agent):
    client = await blocked_on(agent, "/v1/kv/a?index=999")
    await client.close()
    await until(lambda: not any(a.watchers for a in agent.server.machine.answers._answers.values()))


# -- connections ----------------------------------------------------------------------------------


async def test_one_client_has_a_bounded_number_of_connections(runtime):
    async with MemoryAgent(runtime=runtime, max_connections_per_client=2) as agent:
        first, second = await agent.connect(), await agent.connect()
        assert (await first.request("GET", "/v1/status/peers")).status == 200
        assert (await second.request("GET", "/v1/status/peers")).status == 200
        third = await agent.connect()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await third.request("GET", "/v1/status/peers")
        await first.close()
        await until(lambda: len(agent.http.door) < 2)
        assert (await agent.get("/v1/status/peers")).status == 200
        await second.close()
        await third.close()


async def test_a_head_that_comes_too_slowly_ends_its_connection(agent, clock):
    client = await agent.connect()
    client.send(b"GET /v1/kv/a HTTP/1.1\r\nHost:")
    await until(lambda: any(c.head_since for c in agent.http.door._connections))
    clock.advance(6)
    await until(lambda: len(clock._moved._waiters) > 0)
    assert len(agent.http.door) == 1
    clock.advance(6)
    await until(lambda: not len(agent.http.door))
    await client.close()


async def test_a_body_that_comes_too_slowly_ends_its_connection(agent, clock):
    client = await agent.connect()
    client.send(b"PUT /v1/kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    await until(lambda: any(c.body_since for c in agent.http.door._connections))
    clock.advance(100)
    await until(lambda: not len(agent.http.door))
    assert "a" not in agent.server.machine.state.kv.rows
    await client.close()


async def test_a_client_that_asks_may_send_its_body_after_the_go_ahead(agent):
    client = await agent.connect()
    client.send(head("PUT", "/v1/kv/a", b"xyz", {"Expect": "100-continue"}))
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"xyz")
    assert (await client.receive()).text == "true"
    await client.close()


async def test_closing_ends_blocked_queries(runtime):
    agent = await MemoryAgent(runtime=runtime).__aenter__()
    client = await blocked_on(agent, "/v1/kv/a?index=999")
    await agent.http.close(grace=0.01)
    assert await client.reader.read() == b""
    await client.close()


# -- metrics --------------------------------------------------------------------------------------


async def test_what_was_answered_is_counted(agent):
    client = await agent.connect()
    for path in ("/v1/kv/a", "/v1/kv/a", "/v1/kv/", "/v1/status/leader"):
        await client.request("GET", path)
    received = await client.request("GET", "/v1/agent/metrics?format=prometheus")
    await client.close()
    assert received.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    for line in (
        'lictor_http_answers_total{group="kv",status="4xx"} 2.0',
        'lictor_http_answers_total{group="status",status="2xx"} 1.0',
        "lictor_http_fast_lane_hits_total 1.0",
        "lictor_http_connections 1.0",
    ):
        assert line in received.text.splitlines()


async def test_metrics_are_json_unless_asked_otherwise(agent):
    shown = json.loads((await agent.get("/v1/agent/metrics")).body)
    assert list(shown) == ["Timestamp", "Gauges", "Points", "Counters", "Samples"]
    assert shown["Timestamp"] == "2023-11-14 22:30:00 +0000 UTC"
    assert {"Name": "lictor_http_connections", "Value": 1.0, "Labels": {}} in shown["Gauges"]


# -- the table ------------------------------------------------------------------------------------


ROWS = Router(GROUPS).rows


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}")
def test_every_row_says_what_it_does_and_what_it_demands(row):
    assert row.summary.endswith(".")
    changes = row.method != "GET"
    assert row.acl.endswith(":write") or not changes or row.path.startswith("/v1/lictor/")
    assert not (changes and row.blocking)


def test_the_longest_row_wins():
    group = RouteTable("test")
    for path in ("/v1/a/{x}", "/v1/a/b/{y}", "/v1/a/exact"):
        group("GET", path)(lambda _: Reply())
    router = Router([group])
    found = [router.find(path) for path in ("/v1/a/b/c/d", "/v1/a/bc", "/v1/a/exact", "/v1/a/")]
    assert [(match.endpoint.path, match.rest) for match in found] == [
        ("/v1/a/b/", "c/d"),
        ("/v1/a/", "bc"),
        ("/v1/a/exact", ""),
        ("/v1/a/", ""),
    ]
    assert router.find("/v1") is None
    assert router.lacks_slash("/v1/a")


def test_two_rows_for_one_method_are_a_mistake():
    group = RouteTable("test")
    group("GET", "/v1/a")(lambda _: Reply())
    group("GET", "/v1/a")(lambda _: Reply())
    with pytest.raises(AssertionError, match="two rows"):
        Router([group])
