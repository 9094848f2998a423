"""Clusters of real servers: they form, lose members, and lose nothing else."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import processes
from acceptance.processes import Agent, bounded

SECONDS = 40.0


class Cluster:
    """Servers that find each other, on loopback."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory = directory
        self.size = size
        self.servers: list[Agent] = []
        self.clients: list[Agent] = []
        self.seeds: list[str] = []
        for number in range(size):
            self.add(f"s{number}")

    def add(self, name: str) -> Agent:
        """One more server, not yet started."""
        server = processes.lictor(self.directory / name, name=name)
        self.seeds.append(f"-retry-join=127.0.0.1:{server.ports.serf_lan}")
        server.arguments = [
            f"-bootstrap-expect={self.size}",
            '-hcl=retry_interval = "200ms"',
            '-hcl=autopilot { server_stabilization_time = "200ms" }',
            *self.seeds,
        ]
        self.servers.append(server)
        return server

    def client(self, name: str) -> Agent:
        """A client agent, not yet started."""
        agent = processes.lictor(self.directory / name, name=name)
        agent.arguments = [
            "-server=false",
            "-bootstrap-expect=0",
            '-hcl=retry_interval = "200ms"',
            *self.seeds,
        ]
        self.clients.append(agent)
        return agent

    def leader(self) -> Agent:
        """The server that all who answer call the leader."""
        with bounded("one leader", seconds=SECONDS) as attempts:
            for _ in attempts:
                found = {named(server) for server in self.running()}
                if len(found) == 1 and (address := found.pop()):
                    for server in self.running():
                        if address == f"127.0.0.1:{server.ports.server}":
                            return server
        raise AssertionError("unreachable")

    def logs(self) -> str:
        return "\n".join(f"--- {server.name}\n{server.log()}" for server in self.servers)

    def running(self) -> list[Agent]:
        return [server for server in self.servers if server.process is not None]

    def kill(self) -> None:
        for agent in (*self.servers, *self.clients):
            agent.kill()


def named(server: Agent) -> str:
    """Whom ``server`` takes for the leader; empty while it knows none or does not answer."""
    try:
        answer = server.request("GET", "/v1/status/leader", timeout=2.0)
    except OSError:
        return ""
    return answer.json() if answer.status == 200 else ""


def put(server: Agent, key: str, value: str) -> bool:
    """Whether the write was acknowledged."""
    try:
        answer = server.request("PUT", f"/v1/kv/{key}", value, timeout=15.0)
    except OSError:
        return False
    return answer.status == 200 and answer.json() is True


def wait_for(what: str, holds) -> None:
    with bounded(what, seconds=SECONDS) as attempts:
        for _ in attempts:
            if holds():
                return


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    for attempt in range(3):
        made = Cluster(tmp_path / str(attempt), 3)
        for server in reversed(made.servers):  # any order does
            server.launch()
        try:
            made.leader()
        except TimeoutError as error:
            made.kill()
            if "address already in use" not in made.logs():  # somebody was quicker: draw again
                raise AssertionError(f"{error}\n{made.logs()}") from error
        else:
            break
    yield made
    made.kill()


class Writers:
    """Clients that write through every server, and remember what they were promised."""

    def __init__(self, cluster: Cluster) -> None:
        self.acknowledged: dict[str, str] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(server,)) for server in cluster.servers
        ]

    def _write(self, server: Agent) -> None:
        number = 0
        while not self._stop.is_set() and number < 20_000:
            number += 1
            key = f"w/{server.name}/{number}"
            if put(server, key, f"value of {key}"):
                self.acknowledged[key] = f"value of {key}"
            else:
                time.sleep(0.02)

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60.0)


def assert_kept(server: Agent, promised: dict[str, str]) -> None:
    """Every acknowledged write is on ``server``, byte for byte."""
    found = {entry["Key"]: entry["Value"] for entry in server.get("/v1/kv/w/?recurse&consistent")}
    missing = [key for key in promised if key not in found]
    assert missing == []
    assert all(base64.b64decode(found[key]).decode() == value for key, value in promised.items())


@pytest.mark.slow
def test_every_server_takes_writes_and_knows_the_others(cluster: Cluster) -> None:
    for server in cluster.servers:
        assert put(server, f"from/{server.name}", server.name)
    for server in cluster.servers:
        assert len(server.get("/v1/kv/from/?keys")) == 3
        assert len(server.get("/v1/status/peers")) == 3
    wait_for(
        "three healthy servers in the catalogue",
        lambda: len(cluster.servers[0].get("/v1/health/service/consul?passing")) == 3,
    )
    session = (
        cluster.servers[1].put("/v1/session/create", {"TTL": "10s", "Node": "s0"}).json()["ID"]
    )
    for server in cluster.servers:
        assert server.put(f"/v1/session/renew/{session}").json()[0]["ID"] == session


@pytest.mark.slow
def test_killed_leaders_cost_no_acknowledged_write(cluster: Cluster) -> None:
    with Writers(cluster) as writers:
        for _ in range(3):
            time.sleep(1.0)
            leader = cluster.leader()
            leader.kill()
            cluster.leader()
            leader.launch()
            wait_for("its return", lambda leader=leader: named(leader) != "")
    assert len(writers.acknowledged) > 50
    cluster.leader()
    for server in cluster.servers:
        wait_for("a leader", lambda server=server: named(server) != "")
        assert_kept(server, writers.acknowledged)


@pytest.mark.slow
def test_a_cluster_that_dies_at_once_comes_back_whole(cluster: Cluster) -> None:
    with Writers(cluster) as writers:
        time.sleep(1.5)
        cluster.kill()
    for server in cluster.servers:
        server.launch()
    cluster.leader()
    for server in cluster.servers:
        assert_kept(server, writers.acknowledged)


@pytest.mark.slow
def test_a_cluster_that_comes_back_at_other_addresses_heals(cluster: Cluster) -> None:
    assert put(cluster.servers[0], "w/a", "value of w/a")
    cluster.kill()
    cluster.seeds.clear()
    for server in cluster.servers:
        server.ports = processes.Ports.draw()
        cluster.seeds.append(f"-retry-join=127.0.0.1:{server.ports.serf_lan}")
    for server in cluster.servers:
        server.arguments = [*server.arguments, *cluster.seeds]
        server.launch()
    cluster.leader()
    assert_kept(cluster.servers[2], {"w/a": "value of w/a"})
    addresses = sorted(f"127.0.0.1:{server.ports.server}" for server in cluster.servers)
    wait_for(
        "the new addresses in Raft",
        lambda: sorted(cluster.servers[0].get("/v1/status/peers")) == addresses,
    )


@pytest.mark.slow
def test_a_lone_survivor_answers_stale_reads_and_nothing_else(cluster: Cluster) -> None:
    assert put(cluster.servers[0], "a", "1")
    leader = cluster.leader()
    survivor = next(server for server in cluster.servers if server is not leader)
    wait_for("replication", lambda: survivor.request("GET", "/v1/kv/a?stale").status == 200)
    for server in cluster.servers:
        if server is not survivor:
            server.kill()
    wait_for("no leader", lambda: named(survivor) == "")
    stale = survivor.request("GET", "/v1/kv/a?stale&raw")
    assert (stale.status, stale.text) == (200, "1")
    assert stale.headers["x-consul-knownleader"] == "false"
    for method, path in (("GET", "/v1/kv/a"), ("GET", "/v1/kv/a?consistent"), ("PUT", "/v1/kv/a")):
        refused = survivor.request(method, path, "2" if method == "PUT" else None, timeout=30.0)
        assert (refused.status, refused.text) == (500, "No cluster leader")


@pytest.mark.slow
def test_servers_join_and_leave(cluster: Cluster) -> None:
    fourth = cluster.add("s3")
    fourth.launch()
    wait_for("four peers", lambda: len(cluster.servers[0].get("/v1/status/peers")) == 4)
    assert put(fourth, "from/s3", "hello")
    wait_for(
        "four servers in the catalogue",
        lambda: len(cluster.servers[0].get("/v1/catalog/service/consul")) == 4,
    )
    assert fourth.request("PUT", "/v1/agent/leave", timeout=30.0).status == 200
    wait_for("three peers", lambda: len(cluster.servers[0].get("/v1/status/peers")) == 3)
    wait_for(
        "three servers in the catalogue",
        lambda: len(cluster.servers[0].get("/v1/catalog/service/consul")) == 3,
    )
    assert put(cluster.servers[0], "after", "still here")


def health(agent: Agent, service: str) -> list[str]:
    """The nodes on which ``service`` passes, as ``agent`` tells it; empty while it cannot."""
    answer = agent.request("GET", f"/v1/health/service/{service}?passing")
    return [row["Node"]["Node"] for row in answer.json()] if answer.status == 200 else []


@pytest.mark.slow
def test_client_agents_serve_what_the_servers_hold(cluster: Cluster) -> None:
    client = cluster.client("c0")
    client.launch()
    wait_for("the client in the catalogue", lambda: in_catalogue(cluster, "c0"))
    client.put("/v1/agent/service/register", {"Name": "web", "Port": 80, "Check": {"TTL": "90s"}})
    client.put("/v1/agent/check/pass/service:web")
    for agent in (client, *cluster.servers):
        wait_for("web passing", lambda agent=agent: health(agent, "web") == ["c0"])
    assert put(client, "from/client", "hello")
    assert client.request("GET", "/v1/kv/from/client?raw").text == "hello"
    assert client.get("/v1/status/leader") == named(cluster.servers[0])
    assert len(client.get("/v1/status/peers")) == 3
    assert client.get("/v1/agent/self")["Stats"]["consul"]["known_servers"] == "3"
    missing = client.request("PUT", "/v1/kv/x?acquire=11111111-2222-3333-4444-555555555555", "x")
    assert missing.status == 500
    assert missing.text.startswith("rpc error making call: invalid session")

    leader = cluster.leader()
    leader.kill()
    assert put(client, "after", "the leader's death")
    leader.launch()

    client.kill()
    wait_for("the dead client's service to fail", lambda: health(cluster.servers[0], "web") == [])
    client.launch()
    wait_for("its return", lambda: health(cluster.servers[0], "web") == ["c0"])
    assert client.stop() == 0  # a client leaves when it is told to stop
    wait_for("its departure", lambda: not in_catalogue(cluster, "c0"))


def in_catalogue(cluster: Cluster, name: str) -> bool:
    answer = cluster.servers[0].request("GET", "/v1/catalog/nodes?stale")
    return answer.status == 200 and name in {node["Node"] for node in answer.json()}
