"""The shipped agent, whole, in a simulated world: minutes of its life in milliseconds of ours."""

import asyncio
import json
from contextlib import asynccontextmanager

import dnslib
import msgspec
import pytest

from lictor.cli.start import start_agent
from lictor.raft.simulation import World
from lictor.registry.config import Listen, load

HTTP = 8500
DNS = 8600


def nothing(path):
    raise FileNotFoundError(path)


def config_of(host):
    loaded = load(
        flags={
            "server": True,
            "bootstrap": True,
            "data_dir": "/data",
            "bind_addr": host.address,
            "client_addr": host.address,
        },
        read=nothing,
        names=nothing,
        hostname=host.name,
        rng=host.runtime.rng,
    ).config
    http = (Listen(host.address, HTTP),)
    listeners = msgspec.structs.replace(
        loaded.listeners, http=http, dns=(Listen(host.address, DNS),)
    )
    return msgspec.structs.replace(loaded, listeners=listeners)


async def started(host):
    config = config_of(host)
    return await host.spawn(
        start_agent(config, host.runtime, storage=lambda _: host.disk.storage())
    )


class Exchange(asyncio.Protocol):
    """One request and its whole response."""

    def __init__(self):
        self.received = b""
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.received += data

    def connection_lost(self, exc):
        self.closed.set_result(exc)


class Client:
    """A machine beside the agent that asks it."""

    def __init__(self, world, address):
        self.network = world.host("client").runtime.network
        self.address = address

    async def http(self, method, path, body=b""):
        transport, exchange = await self.network.connect_stream(
            Exchange, self.address, HTTP, timeout=5.0
        )
        head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        error = await exchange.closed
        if error is not None:
            raise error
        head, _, payload = exchange.received.partition(b"\r\n\r\n")
        assert head, "the connection ended without an answer"
        return int(head.split()[1]), payload

    async def dns(self, name):
        answer = asyncio.get_running_loop().create_future()

        class Ask(asyncio.DatagramProtocol):
            def datagram_received(self, data, addr):
                answer.set_result(dnslib.DNSRecord.parse(data))

        transport, _ = await self.network.connect_datagrams(Ask, self.address, DNS)
        question = dnslib.DNSRecord.question(name)
        question.header.id = 7  # dnslib would draw one
        transport.sendto(question.pack())
        try:
            return await asyncio.wait_for(answer, 5.0)
        finally:
            transport.close()


@asynccontextmanager
async def living(world):
    host = world.host("a")
    agent = await started(host)
    yield host, agent, Client(world, host.address)
    await agent.close()


async def a_day(world):
    """A service comes, is healthy, falls silent, and comes back."""
    seen = []
    async with living(world) as (_, _, client):
        service = {"Name": "web", "Port": 80, "Check": {"TTL": "30s", "Status": "passing"}}
        assert await client.http(
            "PUT", "/v1/agent/service/register", json.dumps(service).encode()
        ) == (200, b"")
        for _ in range(2):
            seen.append(len((await client.dns("web.service.consul")).rr))
            await asyncio.sleep(45.0)  # past the TTL, and nobody reported
            seen.append(len((await client.dns("web.service.consul")).rr))
            await client.http("PUT", "/v1/agent/check/pass/service:web")
            await asyncio.sleep(1.0)
    return seen


def test_a_silent_check_takes_its_service_out_of_dns_in_virtual_time():
    with World(seed=1) as world:
        assert world.run(a_day(world)) == [1, 0, 1, 0]
        assert world.now > 90.0


def test_the_same_seed_gives_the_same_day():
    digests = []
    for _ in range(2):
        with World(seed=7) as world:
            world.run(a_day(world))
            digests.append(world.digest)
    assert digests[0] == digests[1]


async def a_crash(world, writes):
    host = world.host("a")
    await started(host)
    client = Client(world, host.address)
    acknowledged = {}

    async def write(number):
        value = f"value {number}".encode()
        try:
            status, body = await client.http("PUT", f"/v1/kv/k{number}", value)
        except (OSError, AssertionError):
            return  # nobody promised anything
        if (status, body) == (200, b"true"):
            acknowledged[number] = value

    writers = [asyncio.ensure_future(write(number)) for number in range(writes)]
    await asyncio.sleep(world.rng.uniform(0.001, 0.03))
    world.crash(host)
    await asyncio.gather(*writers)
    agent = await started(host)
    for number, value in acknowledged.items():
        assert await client.http("GET", f"/v1/kv/k{number}?raw") == (200, value)
    await agent.close()
    return len(acknowledged)


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_crash_at_any_moment():
    kept = []
    for seed in range(12):
        with World(seed=seed) as world:
            kept.append(world.run(a_crash(world, writes=40)))
    assert any(0 < count < 40 for count in kept)  # the crash fell into the middle of it


def test_a_full_disk_refuses_writes_and_keeps_answering():
    async def story(world):
        async with living(world) as (host, agent, client):
            assert (await client.http("PUT", "/v1/kv/a", b"1"))[1] == b"true"
            host.disk.failure = OSError(5, "input/output error")
            status, _ = await client.http("PUT", "/v1/kv/a", b"2")
            assert status == 500
            assert isinstance(await agent.failed, Exception)
            host.disk.failure = None

    with World(seed=3) as world:
        world.run(story(world))
