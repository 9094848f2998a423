"""dig, the resolver people reach for, against the DNS port."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from acceptance.processes import Agent, bounded

pytestmark = pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed")

INSTANCES = {"dig-1": "127.0.1.1", "dig-2": "127.0.1.2", "dig-3": "127.0.1.3"}


@pytest.fixture(scope="module", autouse=True)
def services(lictor_agent: Agent):
    for name, address in INSTANCES.items():
        service = {"Name": "dig-web", "ID": name, "Address": address, "Port": 8080}
        lictor_agent.put("/v1/agent/service/register", service | {"Tags": [name, "all"]})
    sick = {"Name": "dig-sick", "Port": 1, "Check": {"TTL": "60s"}}
    lictor_agent.put("/v1/agent/service/register", sick)
    many = [
        {"Node": f"dig-node-{n}", "Address": f"10.1.{n // 250}.{n % 250 + 1}"} for n in range(150)
    ]
    for node in many:
        service = {"Service": "dig-many", "ID": "dig-many", "Port": 1}
        lictor_agent.put("/v1/catalog/register", node | {"Service": service})
    with bounded("in the catalogue", seconds=10) as attempts:
        for _ in attempts:
            if len(lictor_agent.get("/v1/catalog/service/dig-web")) == 3:
                break
    yield
    for name in [*INSTANCES, "dig-sick"]:
        lictor_agent.put(f"/v1/agent/service/deregister/{name}")
    for node in many:
        lictor_agent.put("/v1/catalog/deregister", {"Node": node["Node"]})


def dig(agent: Agent, *arguments: str) -> str:
    command = ["dig", "@127.0.0.1", "-p", str(agent.ports.dns), "+tries=1", "+time=5", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def short(agent: Agent, *arguments: str) -> list[str]:
    return sorted(dig(agent, "+short", *arguments).split("\n")[:-1])


def test_addresses_of_a_service(lictor_agent):
    assert short(lictor_agent, "dig-web.service.consul") == sorted(INSTANCES.values())
    assert short(lictor_agent, "dig-web.service.dc1.consul") == sorted(INSTANCES.values())
    assert short(lictor_agent, "DIG-WEB.Service.Consul") == sorted(INSTANCES.values())


def test_a_tag_narrows_them(lictor_agent):
    assert short(lictor_agent, "dig-2.dig-web.service.consul") == ["127.0.1.2"]
    assert len(short(lictor_agent, "all.dig-web.service.consul")) == 3


def test_srv_with_addresses_beside_it(lictor_agent):
    answer = dig(lictor_agent, "dig-web.service.consul", "SRV")
    assert "ANSWER: 3" in answer
    assert "ADDITIONAL: " in answer
    assert answer.count("SRV\t1 1 8080") == 3
    for address in INSTANCES.values():
        assert address in answer


def test_rfc_2782_names(lictor_agent):
    plain = short(lictor_agent, "dig-web.service.consul", "SRV")
    assert short(lictor_agent, "_dig-web._tcp.service.consul", "SRV") == plain
    assert len(short(lictor_agent, "_dig-web._dig-1.service.consul", "SRV")) == 1


def test_srv_targets_resolve(lictor_agent):
    for line in short(lictor_agent, "dig-web.service.consul", "SRV"):
        target = line.split()[3]
        assert short(lictor_agent, target)[0] in INSTANCES.values()


def test_the_node(lictor_agent):
    assert short(lictor_agent, "node-under-test.node.consul") == ["127.0.0.1"]


def test_what_is_not_there_is_nxdomain_with_soa(lictor_agent):
    answer = dig(lictor_agent, "no-such.service.consul")
    assert "status: NXDOMAIN" in answer
    assert "SOA\tns.consul. hostmaster.consul." in answer


def test_a_critical_service_is_nxdomain(lictor_agent):
    assert "status: NXDOMAIN" in dig(lictor_agent, "dig-sick.service.consul")


def test_a_type_without_records_is_no_error_with_soa(lictor_agent):
    answer = dig(lictor_agent, "dig-web.service.consul", "AAAA")
    assert "status: NOERROR" in answer
    assert "ANSWER: 0" in answer
    assert "SOA\tns.consul." in answer


def test_names_of_others_are_refused(lictor_agent):
    assert "status: REFUSED" in dig(lictor_agent, "example.org")


def test_tcp_gives_everything_and_udp_what_fits(lictor_agent):
    everything = short(lictor_agent, "+tcp", "dig-many.service.consul")
    assert len(everything) == 150
    small = dig(lictor_agent, "+notcp", "+ignore", "+noedns", "dig-many.service.consul")
    assert int(small.split("MSG SIZE  rcvd: ")[1].split()[0]) <= 512
    large = dig(lictor_agent, "+notcp", "+ignore", "+bufsize=4096", "dig-many.service.consul")
    assert 512 < int(large.split("MSG SIZE  rcvd: ")[1].split()[0]) <= 4096


def test_the_order_of_addresses_changes(lictor_agent):
    orders = {dig(lictor_agent, "+short", "dig-web.service.consul") for _ in range(30)}
    assert len(orders) > 1
