"""The shipped agent, from its listeners to its disk, in a simulated world."""

import asyncio
from contextlib import suppress

from aiohttp import BaseConnector, ClientSession
from aiohttp.client_proto import ResponseHandler

from lictor.raft.simulation import World
from lictor.testing import running_agent


class Connector(BaseConnector):
    """aiohttp's client on a simulated network."""

    def __init__(self, network):
        super().__init__()
        self._network = network

    async def _create_connection(self, req, traces, timeout):
        _, protocol = await self._network.connect_stream(
            lambda: ResponseHandler(self._loop), req.url.host, req.url.port, timeout=5.0
        )
        return protocol


def blocking_query(seed):
    """How long a blocking query took on a key that is written after 40 seconds, and the trace."""
    with World(seed=seed) as world:
        host = world.host("a")
        started = world.loop.create_future()

        async def serve():
            async with running_agent(runtime=host.runtime) as agent:
                started.set_result(f"http://127.0.0.1:{agent.http_port}")
                with suppress(asyncio.CancelledError):
                    await world.loop.create_future()

        async def put(session, url, after):
            await host.clock.sleep(after)
            async with session.put(f"{url}/v1/kv/key", data=b"%d" % after) as response:
                assert (response.status, (await response.text()).strip()) == (200, "true")

        async def ask():
            url = await started
            async with ClientSession(connector=Connector(host.runtime.network)) as session:
                await put(session, url, 0)
                async with session.get(f"{url}/v1/kv/key") as response:
                    index = response.headers["X-Consul-Index"]
                writer = host.spawn(put(session, url, 40))
                began = world.now
                async with session.get(f"{url}/v1/kv/key?index={index}&wait=300s") as response:
                    assert response.status == 200
                    assert int(response.headers["X-Consul-Index"]) > int(index)
                await writer
                return world.now - began

        async def story():
            server = host.spawn(serve())
            took = await host.spawn(ask())
            server.cancel()
            await server
            return took

        return world.run(story()), world.digest


def test_a_blocking_query_of_40_seconds_takes_none_of_ours():
    took, _ = blocking_query(1)
    assert 40.0 <= took < 40.5


def test_one_seed_gives_one_history_of_the_whole_agent():
    assert blocking_query(2) == blocking_query(2)
