"""Three real Serf agents and three of our pools are one cluster, and agree on everything."""

import asyncio
import base64
import os
import shutil
import signal
import socket
import subprocess

import pytest

from acceptance.processes import free_port
from lictor.raft.system import system_runtime
from lictor.registry.membership.config import PoolConfig
from lictor.registry.membership.events import UserEvent
from lictor.registry.membership.keyring import Keyring
from lictor.registry.membership.messages import Suspect, encode
from lictor.registry.membership.pool import Pool

SERF = shutil.which("serf")
KEY = b"0123456789abcdef" * 2
NEW_KEY = b"fedcba9876543210" * 2
PATIENCE = 45.0
"""Seconds that anything may take; failures are found in about six."""

# what `serf agent -profile local` uses
LOCAL = PoolConfig(
    probe_timeout=0.2,
    gossip_interval=0.1,
    suspicion_mult=3,
    push_pull_interval=15.0,
    stream_timeout=1.0,
    leave_propagate_delay=1.0,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SERF is None, reason="no serf binary here; Debian's package is `serf`"),
]


class SerfAgent:
    """One `serf agent`."""

    def __init__(self, name, directory, *, key):
        self.name = name
        self.address = f"127.0.0.1:{free_port()}"
        self._rpc = f"127.0.0.1:{free_port()}"
        self._log = directory / f"{name}.log"
        self._heard = directory / f"{name}.events"
        self._heard.touch()
        command = [
            SERF, "agent", "-node", name, "-bind", self.address, "-rpc-addr", self._rpc,
            "-profile", "local", "-tag", f"who={name}", "-log-level", "debug",
            "-event-handler", f"user=echo $SERF_USER_EVENT >> {self._heard}",
        ]  # fmt: skip
        if key is not None:
            command += ["-encrypt", base64.b64encode(key).decode()]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def log(self):
        return self._log.read_text(errors="replace")

    def heard(self):
        return self._heard.read_text().split()

    async def run(self, command, *arguments):
        process = await asyncio.create_subprocess_exec(
            SERF, command, f"-rpc-addr={self._rpc}", *arguments,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        return output.decode()

    async def members(self):
        rows = [line.split() for line in (await self.run("members")).splitlines() if line]
        return {row[0]: (row[2], row[3] if len(row) > 3 else "") for row in rows if len(row) > 2}

    def end(self, how=signal.SIGKILL):
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
            self.process.wait(timeout=20)


class Cluster:
    def __init__(self, directory, key):
        self.serfs = [SerfAgent(f"s{number}", directory, key=key) for number in range(3)]
        self.events = {f"l{number}": [] for number in range(3)}
        self.pools = [
            Pool(
                LOCAL,
                system_runtime(),
                name=name,
                tags={"who": name},
                keyring=None if key is None else Keyring([key]),
                address="127.0.0.1",
                port=0,
                events=events.append,
            )
            for name, events in self.events.items()
        ]

    async def form(self):
        for pool in self.pools:
            await pool.start()
        for agent in self.serfs:
            await eventually(lambda agent=agent: joined(agent))
        s0, s1, s2 = self.serfs
        assert "contacting 1 nodes" in await s0.run("join", s1.address)
        # both ways: ours to theirs, and theirs to ours
        assert await self.pools[0].join([s0.address]) == 1
        assert await self.pools[1].join([f"127.0.0.1:{self.pools[0].address[1]}"]) == 1
        host, port = self.pools[1].address
        assert "contacting 1 nodes" in await s2.run("join", f"{host}:{port}")
        assert await self.pools[2].join([s2.address]) == 1
        names = ("l0", "l1", "l2", "s0", "s1", "s2")
        await self.agree({name: ("alive", f"who={name}") for name in names})

    async def agree(self, expected, *, without=()):
        """Everybody still here sees ``expected``: for each name a status and a tag."""
        for agent in self.serfs:
            if agent.name not in without:
                await eventually(lambda agent=agent: sees(agent, expected))
        for pool in self.pools:
            if pool._name not in without:
                await eventually(lambda pool=pool: ours(pool) == expected)

    async def end(self):
        for pool in self.pools:
            await pool.close()
        for agent in self.serfs:
            agent.end()


def ours(pool):
    return {
        member.name: (str(member.status), ",".join(f"{k}={v}" for k, v in member.tags.items()))
        for member in pool.members()
    }


async def sees(agent, expected):
    return await agent.members() == expected


async def joined(agent):
    return agent.name in await agent.members()


async def eventually(condition):
    """Wait until ``condition``, which may be a coroutine function, holds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return result
            await asyncio.sleep(0.05)


@pytest.fixture(params=[None, KEY], ids=["plain", "encrypted"])
async def cluster(request, tmp_path):
    made = Cluster(tmp_path, request.param)
    try:
        await made.form()
        yield made
    finally:
        await made.end()


async def test_one_life_together(cluster):
    s0, s1, s2 = cluster.serfs
    l0, l1, l2 = cluster.pools

    # events, both ways
    await s0.run("event", "theirs", "payload")
    l1.user_event("ours", b"payload")
    for events in cluster.events.values():
        await eventually(
            lambda events=events: (
                {(event.name, event.payload) for event in events if isinstance(event, UserEvent)}
                == {("theirs", b"payload"), ("ours", b"payload")}
            )
        )
    for agent in cluster.serfs:
        await eventually(lambda agent=agent: sorted(agent.heard()) == ["ours", "theirs"])

    # queries, both ways
    await eventually(lambda: all_acknowledge(s1))
    await eventually(lambda: all_acknowledge_ours(l2))

    # tags, both ways
    l0.set_tags({"who": "changed"})
    await s0.run("tags", "-set", "who=changed")
    names = ("l0", "l1", "l2", "s0", "s1", "s2")
    expected = {name: ("alive", f"who={name}") for name in names}
    expected["l0"] = expected["s0"] = ("alive", "who=changed")
    await cluster.agree(expected)

    # who is alive refutes what is said of it
    before = {name: l0._serf.swim.peers.by_name[name].incarnation for name in ("s1", "l1")}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        for name, incarnation in before.items():
            accusation = encode(Suspect(incarnation, name, "l2"))
            packet = l2._codec.seal(accusation, checksum=False)
            forger.sendto(packet, l0.address)
            host, port = s0.address.split(":")
            forger.sendto(packet, (host, int(port)))
    await eventually(
        lambda: all(
            l0._serf.swim.peers.by_name[name].incarnation > incarnation
            for name, incarnation in before.items()
        )
    )
    await cluster.agree(expected)

    # distances, seen from both sides
    await eventually(lambda: l0.rtt("s1"))
    assert 0 < l0.rtt("s1") < 0.1
    await eventually(lambda: tells_rtt(s1, "l0"))

    # leaving, both ways
    await l2.leave()
    assert "Graceful leave complete" in await s2.run("leave")
    expected["l2"], expected["s2"] = ("left", "who=l2"), ("left", "who=s2")
    await cluster.agree(expected, without=("l2", "s2"))

    # failing, both ways
    await l1.close()
    s1.end()
    expected["l1"], expected["s1"] = ("failed", "who=l1"), ("failed", "who=s1")
    await cluster.agree(expected, without=("l1", "l2", "s1", "s2"))

    # and being forced out
    await l0.force_leave("s1")
    assert "" in await s0.run("force-leave", "l1")
    expected["l1"], expected["s1"] = ("left", "who=l1"), ("left", "who=s1")
    await cluster.agree(expected, without=("l1", "l2", "s1", "s2"))


async def all_acknowledge(agent):
    # Serf's local profile sends each message twice only: gossip may miss somebody, so ask again
    return "Total Acks: 6" in await agent.run("query", "-timeout=2s", "anybody")


async def all_acknowledge_ours(pool):
    answers = await pool.query("anybody", ack=True, relay_factor=2, timeout=2.0)
    return answers.acks == ("l0", "l1", "l2", "s0", "s1", "s2")


async def succeeds(step, *key):
    report = await step(*key)
    assert not report.errors, report
    return report.failure() is None  # else gossip has missed somebody: the operator asks again


async def removes_key(agent, key):
    return "Successfully removed key" in await agent.run("keys", "-remove", key)


async def tells_rtt(agent, name):
    return "Estimated" in await agent.run("rtt", name)


@pytest.mark.parametrize("cluster", [KEY], indirect=True, ids=["encrypted"])
async def test_a_key_is_rotated_while_everybody_talks(cluster):
    s0 = cluster.serfs[0]
    pool = cluster.pools[0]
    for step in (pool.install_key, pool.use_key):
        await eventually(lambda step=step: succeeds(step, NEW_KEY))
    text = base64.b64encode(KEY).decode()
    await eventually(lambda: removes_key(s0, text))
    await eventually(lambda: succeeds(pool.list_keys))
    report = await pool.list_keys()
    assert set(report.keys) == {base64.b64encode(NEW_KEY).decode()}
    assert all(each._keyring.keys == (NEW_KEY,) for each in cluster.pools)
    pool.user_event("after")
    await eventually(lambda: "after" in s0.heard())
