"""A runtime on asyncio's own loopback network, with a clock that tests turn by hand."""

import asyncio
from random import Random

from lictor.raft.runtime import Runtime


class Listening:
    def __init__(self, address, close):
        self.address = address
        self._close = close

    async def close(self):
        self._close()


class LoopbackNetwork:
    async def serve_stream(self, factory, host, port, *, backlog=1024):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, host, port, backlog=backlog)
        return Listening(server.sockets[0].getsockname()[:2], server.close)

    async def connect_stream(self, factory, host, port, *, timeout):
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.create_connection(factory, host, port), timeout)

    async def serve_datagrams(self, factory, host, port):
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(factory, local_addr=(host, port))
        listening = Listening(transport.get_extra_info("sockname")[:2], transport.close)
        return listening, transport, protocol

    async def connect_datagrams(self, factory, host, port):
        loop = asyncio.get_running_loop()
        return await loop.create_datagram_endpoint(factory, remote_addr=(host, port))


class HandClock:
    """Stands still until :meth:`advance`."""

    def __init__(self, wall=1_700_000_000.0):
        self._now = 100.0
        self._wall = wall
        self._alarms = []

    def now(self):
        return self._now

    def wall(self):
        return self._wall + self._now

    def advance(self, duration):
        self._now += duration
        due = [event for until, event in self._alarms if until <= self._now]
        self._alarms = [alarm for alarm in self._alarms if alarm[0] > self._now]
        for event in due:
            event.set()

    async def sleep(self, duration):
        await self.wait(asyncio.Event(), until=self._now + duration)

    async def wait(self, event, *, until):
        if until is None:
            await event.wait()
            return True
        if until <= self._now:
            return event.is_set()
        alarm = asyncio.Event()
        self._alarms.append((until, alarm))
        waits = [asyncio.ensure_future(e.wait()) for e in (event, alarm)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return event.is_set()


def loopback_runtime(*, clock=None, seed=7):
    return Runtime(
        clock=clock or HandClock(), rng=Random(seed), disk=None, network=LoopbackNetwork()
    )
