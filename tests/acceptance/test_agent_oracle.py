"""Registrations and their effects: the same requests to our agent and to a real Consul."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import json
import threading
from collections.abc import Iterator
from difflib import ndiff
from pprint import pformat
from typing import Any

import pytest

from acceptance.memory_server import MemoryAgent
from acceptance.processes import Agent as Process
from lictor.registry.agent.agent import Agent
from lictor.registry.agent.identity import AgentIdentity

SERVICE, CHECK = "/v1/agent/service/register", "/v1/agent/check/register"
UPSTREAM = {"DestinationName": "b", "LocalBindPort": 4}
GATEWAY_PROXY = {
    "DestinationServiceName": "a",
    "DestinationServiceID": "b",
    "LocalServiceAddress": "c",
    "LocalServicePort": 4,
    "Upstreams": [UPSTREAM],
}


def proxy(**said: Any) -> dict[str, Any]:
    return {"Kind": "connect-proxy", "Port": 1, "Proxy": {"DestinationServiceName": "a", **said}}


def sidecar(**said: Any) -> dict[str, Any]:
    return {"Connect": {"SidecarService": said}}


def ttl(**said: Any) -> dict[str, Any]:
    return {"TTL": "300s", **said}


# What is said besides the name, one registration each.
SERVICES: list[dict[str, Any]] = [
    {},
    {"Name": ""},
    {"Name": "agt x_y z!"},
    {"Port": 99999},
    {"Port": -1},
    {"Address": "10.1.2.3", "Port": 5, "Meta": {"a": "b"}, "Tags": ["x"]},
    {"Address": "::1", "Port": 5},
    {"Address": "host.example", "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 8}}},
    {"Address": "10.0.0.1", "TaggedAddresses": {"lan_ipv4": {"Address": "10.0.0.2", "Port": 8}}},
    {"Address": "0.0.0.0"},
    {"Address": "::"},
    {"Address": "[::]"},
    {"TaggedAddresses": {"lan": {"Address": "0.0.0.0"}, "odd": {"Address": "1.1.1.1"}}},
    {"TaggedAddresses": {"wan": {"Address": ""}}},
    {"Weights": {"Passing": 0}},
    {"Weights": {"Warning": 2}},
    {"Weights": {"Passing": 7, "Warning": 0}},
    {"Weights": {"Passing": 1, "Warning": -1}},
    {"Weights": {"Passing": 70000}},
    {"Weights": {"Passing": 1, "Warning": 70000}},
    {"Meta": {"bad key": "v"}},
    {"Meta": {"consul-x": "v"}},
    {"Meta": {"": "v"}},
    {"Meta": {"k" * 129: "v"}},
    {"Meta": {"k": "v" * 513}},
    {"Meta": {f"k{number}": "v" for number in range(65)}},
    {"EnableTagOverride": True, "Tags": []},
    {"Kind": "connect-proxy"},
    {"Kind": "connect-proxy", "Port": 1, "Proxy": {}},
    {"Kind": "connect-proxy", "Port": 1, "Proxy": {"DestinationServiceName": "  "}},
    {"Kind": "funny", "Port": 5},
    {"Proxy": {"DestinationServiceName": "z"}},
    proxy(),
    proxy(DestinationServiceName="*"),
    {**proxy(), "Connect": {"Native": True}},
    {**proxy(), **sidecar()},
    proxy(Upstreams=[{}]),
    proxy(Upstreams=[UPSTREAM]),
    proxy(Upstreams=[{**UPSTREAM, "Datacenter": "dc2", "Config": {"a": 1}}]),
    proxy(Upstreams=[{**UPSTREAM, "DestinationType": "prepared_query", "LocalBindAddress": "::1"}]),
    proxy(Upstreams=[{"DestinationName": "b"}]),
    proxy(Upstreams=[UPSTREAM, {**UPSTREAM, "DestinationName": "c"}]),
    proxy(Upstreams=[UPSTREAM, {**UPSTREAM, "LocalBindPort": 5}]),
    proxy(Upstreams=[UPSTREAM, {**UPSTREAM, "LocalBindPort": 5, "Datacenter": "dc2"}]),
    proxy(Upstreams=[UPSTREAM, UPSTREAM, {}]),
    proxy(Upstreams=[{**UPSTREAM, "DestinationName": "*"}]),
    proxy(Upstreams=[{**UPSTREAM, "DestinationType": "foo"}]),
    proxy(Expose={"Checks": True}),
    proxy(Expose={"Paths": [{}]}),
    proxy(Expose={"Paths": [{"Path": "x"}]}),
    proxy(Expose={"Paths": [{"Path": "/x", "ListenerPort": 5, "LocalPathPort": 6}]}),
    proxy(Expose={"Paths": [{"Path": "/x", "ListenerPort": 5, "LocalPathPort": 6}] * 2}),
    proxy(Expose={"Paths": [{"Path": "/x", "ListenerPort": 5, "Protocol": "tcp"}]}),
    proxy(Expose={"Paths": [{"Path": "/x", "ListenerPort": 70000, "LocalPathPort": 70000}]}),
    proxy(Expose={"Paths": [{"Path": "", "ListenerPort": -1, "Protocol": "x"}] * 2}),
    proxy(MeshGateway={"Mode": "local"}, Config={"protocol": "http", "n": {"m": [1]}}),
    {"Kind": "mesh-gateway"},
    {"Kind": "mesh-gateway", "Port": 1},
    {"Kind": "mesh-gateway", "Port": 1, "Proxy": GATEWAY_PROXY},
    {"Kind": "mesh-gateway", "Port": 1, "Connect": {"Native": True}},
    {"Kind": "mesh-gateway", "Port": 1, **sidecar()},
    {"Kind": "terminating-gateway"},
    {"Kind": "terminating-gateway", "Port": 1, "Proxy": GATEWAY_PROXY},
    {"Kind": "ingress-gateway"},
    {"Kind": "ingress-gateway", "Proxy": GATEWAY_PROXY, **sidecar(ID="x")},
    {"Connect": {"Native": True, "SidecarService": {}}},
    {"Connect": {"Native": True, "Proxy": {"x": 1}}},
    sidecar(),
    sidecar(ID="z"),
    sidecar(Name="agt-named", Port=4000, Tags=["q"], Meta={"a": "b"}, Address="10.2.2.2"),
    sidecar(Connect={"SidecarService": {}}),
    sidecar(Connect={"Native": True}),
    sidecar(ID="z", Connect={"SidecarService": {}}),
    sidecar(Proxy={"DestinationServiceName": "z", "LocalServicePort": 8}),
    sidecar(Check=ttl()),
    sidecar(Checks=[ttl(), ttl(CheckID="agt-own")]),
    sidecar(Check={"Interval": "5s"}),
    sidecar(Check=ttl(Status="bogus")),
    sidecar(Meta={"bad key": "v"}),
    sidecar(Address="0.0.0.0"),
    sidecar(Weights={"Passing": 0}),
    sidecar(EnableTagOverride=True, Token="t"),
    {"Port": 80, "Address": "10.9.9.9", "Tags": ["t"], "Meta": {"m": "1"}, **sidecar()},
    {"Check": {}},
    {"Check": {"Name": "foo"}},
    {"Check": {"Status": "bogus"}},
    {"Check": ttl()},
    {"Check": ttl(Status="bogus")},
    {"Check": ttl(Name="said", Notes="noted", Status="warning", ServiceID="other")},
    {"Checks": []},
    {"Checks": [{}]},
    {"Checks": [ttl(OutputMaxSize=-1)]},
    {"Checks": [ttl(), ttl(CheckID="agt-foo"), ttl(Name="agt-n", Status="passing")]},
    {"Check": ttl(CheckID="agt-twice"), "Checks": [ttl(CheckID="agt-twice", Name="two")]},
    {"Check": {"Args": ["a"], "Interval": "5s"}},
    {"Check": {"DockerContainerID": "a", "Args": ["a"], "Interval": "5s"}},
    {"Check": {"HTTP": "http://127.0.0.1:1", "Interval": "1h"}},
    {"Weights": {"Passing": 0}, "Meta": {"bad key": ""}, "Kind": "connect-proxy"},
    {"Meta": {"bad key": ""}, "Kind": "connect-proxy"},
    {"Kind": "connect-proxy", "Check": {"Interval": "5s"}},
]

CHECKS: list[dict[str, Any]] = [
    {"Name": ""},
    {"Name": "", "Status": "bogus"},
    {},
    {"Status": "passing"},
    {"TTL": "5s", "Interval": "5s"},
    {"HTTP": "http://x"},
    {"TCP": "x:1"},
    {"Args": ["a"]},
    {"ScriptArgs": ["a"], "Interval": "5s"},
    {"GRPC": "x:1"},
    {"Interval": "5s"},
    {"DockerContainerID": "x"},
    {"DockerContainerID": "x", "Interval": "5s"},
    {"DockerContainerID": "x", "Interval": "5s", "Args": ["a"]},
    {"DockerContainerID": "x", "Args": ["a"]},
    {"Shell": "x", "Args": ["a"]},
    {"AliasService": "x", "TTL": "5s"},
    {"AliasNode": "x", "TTL": "5s", "Interval": "5s"},
    {"AliasNode": "a", "HTTP": "http://x", "Interval": "5s"},
    ttl(),
    ttl(ID="agt-id", Notes="noted", Status="passing"),
    ttl(OutputMaxSize=-1),
    ttl(Status="bogus"),
    ttl(Status="bogus", OutputMaxSize=-1),
    ttl(ServiceID="agt-nope"),
    ttl(Args=["a"]),
    ttl(TCP="a:1"),
    {"TTL": "-5s"},
    {"TTL": "0"},
    {"HTTP": "http://x", "Interval": "-5s"},
    ttl(SuccessBeforePassing=-1, FailuresBeforeCritical=3),
    ttl(DeregisterCriticalServiceAfter="-1s", Timeout="-1s"),
    {"HTTP": "http://127.0.0.1:1", "Interval": "1h", "Header": {"a": ["b"]}, "Method": "PUT"},
    {"TCP": "127.0.0.1:1", "Interval": "1h", "GRPC": "127.0.0.1:1"},
]

REQUESTS: list[tuple[str, str, Any]] = [
    ("PUT", SERVICE, {"Name": "agt-s", "Port": 1, "Checks": [ttl(), ttl()], "Tags": ["a"]}),
    ("PUT", CHECK, ttl(Name="agt-bound", ServiceID="agt-s")),
    ("PUT", CHECK, ttl(Name="agt-node")),
    ("PUT", "/v1/agent/check/pass/service:agt-s:1?note=fine", None),
    ("PUT", "/v1/agent/check/warn/service:agt-s:2", None),
    ("PUT", "/v1/agent/check/update/agt-bound", {"Status": "passing", "Output": "x" * 5000}),
    ("PUT", "/v1/agent/check/update/agt-bound", {"Status": "nonsense"}),
    ("PUT", "/v1/agent/check/update/agt-nope", {"Status": "passing"}),
    ("PUT", "/v1/agent/check/pass/agt-node", None),
    ("GET", "/v1/agent/health/service/id/agt-s", None),
    # registered again: status and output stay, and so do checks that are not named
    ("PUT", SERVICE, {"Name": "agt-s", "Port": 2, "Check": ttl(Status="critical")}),
    (
        "PUT",
        SERVICE,
        {"Name": "agt-s", "Port": 3, "Checks": [ttl(Name="new"), ttl(Status="critical")]},
    ),
    ("GET", "/v1/agent/service/agt-s", None),
    ("GET", "/v1/agent/health/service/name/agt-s", None),
    ("PUT", "/v1/agent/service/maintenance/agt-s?enable=true&reason=why", None),
    ("PUT", "/v1/agent/service/maintenance/agt-s?enable=true&reason=other", None),
    ("PUT", "/v1/agent/service/maintenance/agt-nope?enable=true", None),
    ("PUT", "/v1/agent/maintenance?enable=true", None),
    ("GET", "/v1/agent/health/service/id/agt-s", None),
    ("PUT", "/v1/agent/maintenance?enable=false", None),
    ("PUT", "/v1/agent/maintenance?enable=false", None),
    ("PUT", SERVICE + "?replace-existing-checks=false", {"Name": "agt-s", "Check": ttl()}),
    ("GET", "/v1/agent/checks", None),
    ("PUT", SERVICE + "?replace-existing-checks", {"Name": "agt-s", "Check": ttl()}),
    ("GET", "/v1/agent/checks", None),
    ("PUT", CHECK, ttl(Name="agt-bound", ID="service:agt-s", Notes="replaced")),
    ("PUT", SERVICE, {"Name": "agt-s", "ID": "agt-s2", "Port": 9, **sidecar()}),
    ("PUT", SERVICE, {"Name": "agt-s", "ID": "agt-s2", "Port": 10, **sidecar()}),
    ("GET", "/v1/agent/service/agt-s2-sidecar-proxy", None),
    ("PUT", "/v1/agent/service/deregister/agt-s", None),
    ("PUT", "/v1/agent/service/deregister/agt-s2", None),
    ("PUT", "/v1/agent/service/deregister/agt-nope", None),
    ("PUT", "/v1/agent/check/deregister/agt-nope", None),
    ("PUT", "/v1/agent/check/deregister/agt-node", None),
    ("GET", "/v1/agent/service/agt-s", None),
]


class Both:
    """One server of each make, asked the same in turn."""

    def __init__(self, ours: tuple[str, int], theirs: tuple[str, int]) -> None:
        self._addresses = {"ours": ours, "theirs": theirs}

    async def ask(self, method: str, path: str, body: Any = None) -> dict[str, tuple[int, Any]]:
        return {
            make: await asyncio.to_thread(_ask, address, method, path, body)
            for make, address in self._addresses.items()
        }

    async def same(self, method: str, path: str, body: Any = None) -> None:
        answers = await self.ask(method, path, body)
        assert not _difference(answers), (method, path, body)

    async def settled(self, path: str) -> None:
        """The answers become the same soon: changes reach a catalogue in the background."""
        difference = [""]
        for _ in range(50):
            difference = _difference(await self.ask("GET", path))
            if not difference:
                return
            await asyncio.sleep(0.1)
        assert not difference, path

    async def ran(self, path: str) -> dict[str, dict[str, tuple[str, str]]]:
        """Status and output of every check, once each but the TTL ones has some output."""
        for _ in range(100):
            found = {
                make: {
                    name: (dict(check)["Status"], dict(check)["Output"])
                    for name, check in await asyncio.to_thread(_members_of, address, path)
                    if dict(check)["Type"] != "ttl"
                }
                for make, address in self._addresses.items()
            }
            if all(output for each in found.values() for _, output in each.values()):
                return found
            await asyncio.sleep(0.1)
        raise TimeoutError(f"checks that never ran: {found}")


def _members_of(address: tuple[str, int], path: str) -> list[tuple[str, Any]]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request("GET", path)
        return list(json.load(connection.getresponse()).items())
    finally:
        connection.close()


def _difference(answers: dict[str, tuple[int, Any]]) -> list[str]:
    """Lines that only one of them has."""
    shown = [pformat(answers[make], width=100).splitlines() for make in ("ours", "theirs")]
    return [line for line in ndiff(*shown) if line[0] in "+-"]


def _ask(address: tuple[str, int], method: str, path: str, body: Any) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if not text.startswith(("{", "[")):
        return response.status, text.replace("[http2 http]", "[http http2]")  # a map, in any order
    return response.status, _plain(json.loads(text, object_pairs_hook=_members))


class Members(list[tuple[str, Any]]):
    """The members of an object in the order they came in, which is compared too."""


def _members(pairs: list[tuple[str, Any]]) -> Members:
    return Members(pairs)


def _plain(value: Any) -> Any:
    """``value`` without what differs by nature: hashes, indexes, and the order of checks."""
    if isinstance(value, Members):
        made_up = {"ContentHash", "CreateIndex", "ModifyIndex"}
        if ("Type", "tcp") in value:
            made_up.add("Output")  # when it first ran is up to chance
        return [(name, "*" if name in made_up else _plain(part)) for name, part in value]
    if isinstance(value, list):
        return sorted((_plain(part) for part in value), key=repr)
    return value


class Late:
    """Stands for the agent until it is made: the API is up before it."""

    agent: Agent

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agent, name)


@pytest.fixture
async def both(consul_agent: Process):
    theirs = ("127.0.0.1", consul_agent.ports.http)
    known = await _synced_node(theirs)
    late = Late()
    memory = MemoryAgent(agent=late, node_name=consul_agent.name)
    identity = AgentIdentity(
        node_name=consul_agent.name,
        node_id=known["ID"],
        address=known["Address"],
        tagged_addresses=dict(known["TaggedAddresses"]),
    )
    late.agent = Agent(identity, memory.runtime, memory.server)
    await late.agent.start()
    async with memory:
        yield Both(memory.address, theirs)
    await late.agent.close()
    await asyncio.to_thread(_clear, theirs)


async def _synced_node(address: tuple[str, int]) -> dict[str, Any]:
    """The real one's node, once it has told the catalogue all of it."""
    for _ in range(100):
        _, nodes = await asyncio.to_thread(_ask, address, "GET", "/v1/catalog/nodes", None)
        if nodes and dict(nodes[0])["TaggedAddresses"]:
            return dict(nodes[0])
        await asyncio.sleep(0.1)
    raise TimeoutError("the real agent did not sync its node")


def _clear(address: tuple[str, int]) -> None:
    """Take away what the tests registered at the real one."""
    for kind in ("check", "service"):
        _, found = _ask(address, "GET", f"/v1/agent/{kind}s", None)
        for name, _ in found:
            _ask(address, "PUT", f"/v1/agent/{kind}/deregister/{name}", None)


@pytest.mark.slow
async def test_services_are_judged_and_kept_alike(both: Both):
    for said in SERVICES:
        await both.same("PUT", SERVICE, {"Name": "agt-a", **said})
        await both.same("GET", "/v1/agent/services")
        await both.same("GET", "/v1/agent/checks")
        name = said.get("Name", "agt-a").replace(" ", "%20")
        await both.same("GET", f"/v1/agent/service/{name}")
        await both.ask("PUT", f"/v1/agent/service/deregister/{name}")


@pytest.mark.slow
async def test_checks_are_judged_and_kept_alike(both: Both):
    for said in CHECKS:
        await both.same("PUT", CHECK, {"Name": "agt-a", **said})
        await both.same("GET", "/v1/agent/checks")
        for check in ("agt-a", "agt-id"):
            await both.same("PUT", f"/v1/agent/check/deregister/{check}")


@pytest.mark.slow
async def test_a_life_of_registrations_goes_alike(both: Both):
    for method, path, body in REQUESTS:
        await both.same(method, path, body)


@pytest.mark.slow
async def test_the_catalogue_hears_of_it_alike(both: Both, consul_agent: Process):
    bodies = [
        {
            "Name": "agt-a",
            "Port": 80,
            "Address": "10.0.0.1",
            "Tags": ["a"],
            "Check": ttl(),
            **sidecar(),
        },
        {
            "Name": "agt-b",
            "Kind": "mesh-gateway",
            "Port": 1,
            "Meta": {"a": "b"},
            "Weights": {"Passing": 3},
        },
    ]
    for body in bodies:
        await both.same("PUT", SERVICE, body)
    await both.same("PUT", "/v1/agent/check/warn/service:agt-a?note=hot", None)
    await both.same("PUT", CHECK, {"Name": "agt-c", "AliasService": "agt-a"})
    for service in ("agt-a", "agt-a-sidecar-proxy", "agt-b"):
        await both.settled(f"/v1/health/checks/{service}")
        await both.settled(f"/v1/catalog/service/{service}?node-meta=consul-network-segment:")
    await both.same("PUT", "/v1/agent/service/deregister/agt-a", None)
    for service in ("agt-a", "agt-a-sidecar-proxy", "agt-b"):
        await both.settled(f"/v1/health/checks/{service}")


class Target(http.server.BaseHTTPRequestHandler):
    """What the active checks look at: the path is the status, or a speciality of this class."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.strip("/")
        if name == "hang-up":
            self.close_connection = True
            return
        if name == "echo":
            self._answer(200, repr(sorted(self.headers.items())).encode() + self._body())
        elif name == "big":
            self._answer(200, b"x" * 6000 + b"END")
        elif name in {"moved", "loop"}:
            self._answer(302, b"", Location="/200" if name == "moved" else "/loop")
        else:
            self._answer(int(name), b"" if name == "204" else b"hello")

    do_PUT = do_GET  # noqa: N815 - the base class asks for it

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@pytest.fixture
def target() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def active_checks(target: str) -> dict[str, dict[str, Any]]:
    url = f"http://{target}"
    return {
        **{
            f"agt-{name}": {"HTTP": f"{url}/{name}"}
            for name in (
                "200",
                "204",
                "404",
                "429",
                "500",
                "moved",
                "loop",
                "hang-up",
                "big",
                "echo",
            )
        },
        "agt-few": {"HTTP": f"{url}/big", "OutputMaxSize": 5},
        "agt-put": {
            "HTTP": f"{url}/echo",
            "Method": "PUT",
            "Body": "b",
            "Header": {"X-A": ["1", "2"]},
        },
        "agt-host": {"HTTP": f"{url}/echo", "Header": {"Host": ["h"], "Accept": ["a"]}},
        "agt-method": {"HTTP": f"{url}/200", "Method": "A B"},
        "agt-tls": {"HTTP": f"https://{target}/200"},
        "agt-refused": {"HTTP": "http://127.0.0.1:1/x?a=b"},
        "agt-host-name": {"HTTP": "http://a b/"},
        "agt-scheme": {"HTTP": "ftp://a/"},
        "agt-no-scheme": {"HTTP": "127.0.0.1:80/ok"},
        "agt-tcp": {"TCP": target},
        "agt-tcp-refused": {"TCP": "127.0.0.1:1"},
        "agt-tcp-name": {"TCP": "localhost:1"},
        "agt-tcp-port": {"TCP": "127.0.0.1:foo"},
        "agt-tcp-none": {"TCP": "127.0.0.1"},
        "agt-grpc": {"GRPC": "127.0.0.1:1"},
        "agt-alias": {"AliasService": "agt-s"},
        "agt-alias-none": {"AliasService": "agt-none"},
    }


@pytest.mark.slow
async def test_checks_find_the_same_and_say_it_in_the_same_words(both: Both, target: str):
    for name, said in active_checks(target).items():
        # of a service, so that the aliases, which look at the node's checks too, see none of them
        bound = {"Name": name, "Checks": [{"Interval": "1s", **said}]}
        if "AliasService" in said:
            del bound["Checks"][0]["Interval"]
        await both.same("PUT", SERVICE, bound)
    await both.same("PUT", SERVICE, {"Name": "agt-s", "Check": ttl(Status="warning", Name="c")})
    found = await both.ran("/v1/agent/checks")
    for name, theirs in found["theirs"].items():
        assert (name, *found["ours"][name]) == (name, *theirs)
    assert len(found["ours"]) == len(active_checks(target))
