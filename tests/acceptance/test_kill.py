"""kill -9 in the middle of many writes: what was acknowledged is there, and nothing is torn."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from acceptance.processes import Agent

WRITES = 10_000
CONNECTIONS = 8
SOAK = os.environ.get("LICTOR_SOAK") == "1"
KILL_AFTER = (150, 900, 2_000, 3_500, 5_000) * (10 if SOAK else 1)
"""Acknowledged writes after which the process is killed, one round each."""

ABSENT = "(absent)"


def value_of(key: str, version: int) -> str:
    """A value that tells whose it is and whether it is whole; some are longer than a page."""
    filler = hashlib.sha256(f"{key}/{version}".encode()).hexdigest()
    body = f"{key}|{version}|" + filler * (1 + (version * 7) % 90)
    return f"{body}|{hashlib.sha256(body.encode()).hexdigest()}"


def is_whole(value: str) -> bool:
    body, _, digest = value.rpartition("|")
    return hashlib.sha256(body.encode()).hexdigest() == digest


@dataclass
class Ledger:
    """What the clients know: per key the last acknowledged value, and what was sent since."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    in_flight: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def sent(self, key: str, value: str) -> None:
        self.in_flight[key] = value

    def acknowledge(self, key: str) -> None:
        self.acknowledged[key] = self.in_flight.pop(key)
        self.count += 1

    def refuse(self, key: str) -> None:
        del self.in_flight[key]

    def settle(self, stored: dict[str, str]) -> None:
        """Take over what a restart decided about writes that were under way."""
        self.in_flight.clear()
        self.acknowledged = {key: stored.get(key, ABSENT) for key in self.acknowledged} | stored

    def check(self, stored: dict[str, str]) -> None:
        """Every key holds its last acknowledged value, or the one that was under way."""
        torn = [key for key, value in stored.items() if not is_whole(value)]
        assert not torn, f"torn values: {torn[:5]}"
        for key, value in self.acknowledged.items():
            found = stored.get(key, ABSENT)
            assert found in {value, self.in_flight.get(key)}, (
                f"{key}: acknowledged {value[:60]!r}, under way "
                f"{self.in_flight.get(key, '')[:60]!r}, found {found[:60]!r}"
            )
        for key in stored.keys() - self.acknowledged.keys():
            assert stored[key] == self.in_flight.get(key), f"{key} was never written"


class Connection:
    """One HTTP connection that speaks just enough to write."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, agent: Agent) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", agent.ports.http))

    async def ask(self, method: str, path: str, body: str = "") -> tuple[int, dict[str, str], str]:
        """One request and its answer. Raises ``OSError`` or ``EOFError`` when the agent is gone."""
        head = f"{method} {path} HTTP/1.1\r\nHost: agent\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write((head + body).encode())
        await self.writer.drain()
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in answer[1:] if line)
        if headers.get("transfer-encoding") == "chunked":
            content = b""
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                content += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        else:
            content = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(answer[0].split()[1]), headers, content.decode()


Worker = Callable[[Connection, Ledger, range], Awaitable[None]]


async def write_until_killed(agent: Agent, ledger: Ledger, worker: Worker, after: int) -> None:
    """Run ``worker`` on every connection; kill the agent after so many acknowledgements."""
    target = ledger.count + after

    async def one(share: range) -> None:
        connection = await Connection.open(agent)
        try:
            await worker(connection, ledger, share)
        except (OSError, EOFError):
            assert agent.process is None, f"the connection broke by itself\n{agent.log()}"
        finally:
            connection.writer.transport.abort()

    async def killer() -> None:
        while ledger.count < target:
            await asyncio.sleep(0.001)
        agent.kill()

    shares = [range(first, WRITES, CONNECTIONS) for first in range(CONNECTIONS)]
    async with asyncio.timeout(90):
        await asyncio.gather(killer(), *(one(share) for share in shares))
    assert target <= ledger.count < target + WRITES - after, "not in the middle"


def stored_values(agent: Agent, prefix: str) -> dict[str, str]:
    answer = agent.request("GET", f"/v1/kv/{prefix}?recurse&consistent", timeout=60.0)
    if answer.status == 404:
        return {}
    assert answer.status == 200, answer.text
    return {
        entry["Key"]: base64.b64decode(entry["Value"] or "").decode() for entry in answer.json()
    }


USUAL: tuple[str, ...] = ()
SNAPSHOTS_OFTEN = ("-hcl=raft_snapshot_threshold = 250", "-hcl=raft_trailing_logs = 100")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [USUAL, SNAPSHOTS_OFTEN], ids=["usual", "snapshots often"])
async def test_acknowledged_puts_survive_kill_9_and_none_is_torn(make_agent, arguments):
    agent: Agent = make_agent(arguments=arguments)
    agent.start()
    ledger = Ledger()
    for number, after in enumerate(KILL_AFTER):
        version = 1 + number

        async def put(
            connection: Connection, ledger: Ledger, share: range, version: int = version
        ) -> None:
            for i in share:
                key = f"kill/{i:05}"
                value = value_of(key, version)
                ledger.sent(key, value)
                status, _, text = await connection.ask("PUT", f"/v1/kv/{key}", value)
                assert (status, text.strip()) == (200, "true")
                ledger.acknowledge(key)

        await write_until_killed(agent, ledger, put, after)
        agent.restart()
        stored = stored_values(agent, "kill/")
        ledger.check(stored)
        ledger.settle(stored)


@pytest.mark.slow
async def test_deletes_and_cas_survive_kill_9(make_agent):
    agent: Agent = make_agent(arguments=SNAPSHOTS_OFTEN)
    agent.start()
    ledger = Ledger()
    rng = random.Random(7)
    for round_ in range(3):

        async def change(
            connection: Connection, ledger: Ledger, share: range, round_: int = round_
        ) -> None:
            for i in share:
                # each connection has keys of its own, so that one key's writes are in order
                key = f"change/{share.start}/{i % 97:02}"
                path = f"/v1/kv/{key}"
                known = ledger.acknowledged.get(key, ABSENT)
                if known != ABSENT and rng.random() < 0.3:
                    ledger.sent(key, ABSENT)
                    status, _, text = await connection.ask("DELETE", path)
                    assert (status, text.strip()) == (200, "true")
                    ledger.acknowledge(key)
                    continue
                value = value_of(key, round_ * WRITES + i)
                expected = 0
                if known != ABSENT:
                    _, _, text = await connection.ask("GET", path)
                    expected = json.loads(text)[0]["ModifyIndex"]
                stale = rng.random() < 0.2
                ledger.sent(key, value)
                index = expected + 1_000_000 if stale else expected
                status, _, text = await connection.ask("PUT", f"{path}?cas={index}", value)
                assert (status, text.strip()) == (200, "false" if stale else "true")
                if stale:
                    ledger.refuse(key)
                else:
                    ledger.acknowledge(key)

        await write_until_killed(agent, ledger, change, 600 + 400 * round_)
        agent.restart()
        stored = stored_values(agent, "change/")
        ledger.check(stored)
        ledger.settle(stored)


@pytest.mark.slow
async def test_an_index_never_goes_backwards_over_a_crash(make_agent):
    agent: Agent = make_agent()
    agent.start()
    for number in range(3):
        agent.put(f"/v1/kv/index/{number}", "x")
        before = agent.request("GET", f"/v1/kv/index/{number}?consistent")
        agent.kill()
        agent.restart()
        after = agent.request("GET", f"/v1/kv/index/{number}?consistent")
        assert after.json() == before.json()
        agent.put(f"/v1/kv/index/{number}", "y")
        (entry,) = agent.get(f"/v1/kv/index/{number}")
        assert entry["ModifyIndex"] > before.json()[0]["ModifyIndex"]
