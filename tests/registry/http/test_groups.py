"""What no real Consul 1.8 can be asked beside us, and the agent's endpoints without one."""

from __future__ import annotations

import json
from random import Random

import pytest
from acceptance.memory_server import NODE, MemoryAgent, MemoryServer

from lictor.raft.runtime import Runtime
from lictor.raft.system import system_runtime
from lictor.registry.agent.agent import Agent
from lictor.registry.agent.identity import AgentIdentity
from lictor.registry.http.gourl import parse_query
from lictor.registry.http.interfaces import HTTPConfig
from lictor.registry.http.request import Request, Surroundings

PATH = "/v1/connect/intentions"


@pytest.fixture
async def agent():
    async with MemoryAgent() as agent:
        yield agent


def rule(**members) -> bytes:
    return json.dumps(members).encode()


# -- intentions by their ends ---------------------------------------------------------------------


async def test_a_rule_is_written_read_and_removed_by_its_ends(agent):
    ends = "?source=web&destination=db"
    assert (await agent.get(f"{PATH}/exact{ends}")).status == 404
    assert (await agent.put(f"{PATH}/exact{ends}", rule(Action="allow"))).text == "true"
    shown = json.loads((await agent.get(f"{PATH}/exact{ends}")).body)
    assert (shown["SourceName"], shown["DestinationName"], shown["Action"]) == (
        "web",
        "db",
        "allow",
    )
    assert (await agent.put(f"{PATH}/exact{ends}", rule(Action="deny"))).text == "true"
    assert [r["Action"] for r in json.loads((await agent.get(PATH)).body)] == ["deny"]
    for _ in range(2):
        assert (await agent.request("DELETE", f"{PATH}/exact{ends}")).text == "true"
    assert (await agent.get(PATH)).text == "[]"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/exact", "required query parameter 'source' not set"),
        ("/exact?source=a", "required query parameter 'destination' not set"),
    ],
)
async def test_both_ends_must_be_named(agent, path, text):
    assert (await agent.get(PATH + path)).text == text


async def test_a_rule_with_permissions_denies_a_bare_connection(agent):
    permissions = [{"Action": "allow", "HTTP": {"PathPrefix": "/"}}]
    ends = "?source=web&destination=db"
    await agent.put(f"{PATH}/exact{ends}", rule(Permissions=permissions))
    assert json.loads((await agent.get(f"{PATH}/exact{ends}")).body)["Permissions"] == permissions
    assert (await agent.get(f"{PATH}/check{ends}")).text == '{"Allowed":false}'


async def test_without_a_rule_the_default_decides():
    for default in (True, False):
        async with MemoryAgent(default_allow=default) as agent:
            shown = await agent.get(f"{PATH}/check?source=a&destination=b")
            assert json.loads(shown.body) == {"Allowed": default}


async def test_a_rule_that_moves_leaves_nothing_where_it_was(agent):
    made = await agent.request(
        "POST", PATH, rule(SourceName="a", DestinationName="b", Action="allow")
    )
    id_ = json.loads(made.body)["ID"]
    moved = rule(SourceName="a", DestinationName="c", Action="deny")
    assert (await agent.put(f"{PATH}/{id_}", moved)).status == 200
    shown = json.loads((await agent.get(PATH)).body)
    assert [(r["ID"], r["DestinationName"], r["Action"]) for r in shown] == [(id_, "c", "deny")]


# -- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "headers", "token"),
    [
        ("token=q", {"X-Consul-Token": "h", "Authorization": "Bearer b"}, "q"),
        ("token=", {"X-Consul-Token": "h", "Authorization": "Bearer b"}, "h"),
        ("", {"Authorization": "bearer  b more"}, "b"),
        ("", {"Authorization": "Bearer"}, ""),
        ("", {"Authorization": "Basic b"}, ""),
        ("", {}, ""),
    ],
)
def test_a_token_is_taken_from_query_then_header_then_bearer(query, headers, token):
    runtime = system_runtime()
    around = Surroundings(
        config=HTTPConfig(),
        runtime=runtime,
        server=MemoryServer(runtime),
        agent=None,
        metrics=None,
    )
    request = Request(
        method="GET",
        path="/v1/kv/a",
        rest="a",
        query=parse_query(query),
        headers=headers,
        body=b"",
        remote="",
        around=around,
    )
    assert request.token == token


# -- sessions -------------------------------------------------------------------------------------


async def test_the_shortest_ttl_is_a_setting():
    async with MemoryAgent(session_ttl_min=1.5) as agent:
        assert (await agent.put("/v1/session/create", rule(TTL="2s"))).status == 200
        refused = await agent.put("/v1/session/create", rule(TTL="1s"))
    assert refused.text == "Invalid Session TTL '1000000000', must be between [1.5s=24h0m0s]"


# -- the agent ------------------------------------------------------------------------------------


@pytest.fixture
async def whole():
    """An API over an agent of its own, which registers in the same state."""
    real = system_runtime()
    runtime = Runtime(clock=real.clock, rng=Random(1), disk=real.disk, network=real.network)
    server = MemoryServer(runtime)
    identity = AgentIdentity(
        node_name=NODE.name,
        node_id=NODE.id,
        address=NODE.address,
        tagged_addresses=NODE.tagged_addresses,
    )
    agent = Agent(identity, runtime, server)
    async with MemoryAgent(runtime=runtime, agent=agent, server=server) as api:
        await agent.start()
        yield api
        await agent.close()


async def test_a_service_is_registered_checked_maintained_and_removed(whole):
    body = rule(Name="web", Port=80, Check={"TTL": "10m"})
    assert (await whole.put("/v1/agent/service/register", body)).status == 200
    assert list(json.loads((await whole.get("/v1/agent/services")).body)) == ["web"]
    health = "/v1/agent/health/service/id/web?format=text"
    assert (await whole.get(health)).status == 503
    assert (await whole.put("/v1/agent/check/pass/service:web?note=fine")).status == 200
    passing = await whole.get(health)
    assert (passing.status, passing.text) == (200, "passing")
    assert passing.headers["X-Consul-Reason"] == "passing"
    listed = json.loads((await whole.get("/v1/health/service/web?passing")).body)
    assert [entry["Checks"][-1]["Output"] for entry in listed] == ["fine"]
    path = "/v1/agent/service/maintenance/web?enable="
    assert (await whole.put(path + "true&reason=why")).status == 200
    assert (await whole.get(health)).text == "maintenance"
    assert (await whole.put(path + "false")).status == 200
    assert (await whole.put("/v1/agent/service/deregister/web")).status == 200
    assert (await whole.get("/v1/agent/services")).text == "{}"
    assert (await whole.get("/v1/health/service/web")).text == "[]"


async def test_a_service_is_waited_on_by_its_hash(whole):
    await whole.put("/v1/agent/service/register", rule(Name="web", Port=80))
    first = await whole.get("/v1/agent/service/web")
    hash_ = first.headers["X-Consul-Contenthash"]
    assert json.loads(first.body)["ContentHash"] == hash_
    client = await whole.connect()
    client.send(f"GET /v1/agent/service/web?hash={hash_} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await whole.put("/v1/agent/service/register", rule(Name="web", Port=81))
    second = await client.receive()
    await client.close()
    assert json.loads(second.body)["Port"] == 81
    assert second.headers["X-Consul-Contenthash"] != hash_


async def test_what_the_agent_refuses_keeps_its_words(whole):
    refused = await whole.put("/v1/agent/service/register", rule(Name=""))
    assert (refused.status, refused.text) == (400, "Missing service name")
    unknown = await whole.put("/v1/agent/check/pass/nope")
    assert (unknown.status, unknown.text) == (500, 'CheckID "nope" does not have associated TTL')
