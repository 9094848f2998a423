"""From what was said to records: ids, names, addresses, sidecars."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lictor.registry.agent.definitions import (
    ServiceDefinition,
    health_check,
    node_service,
    service_checks,
)
from lictor.registry.agent.identity import configured_definitions, configured_identity
from lictor.registry.agent.sidecar import sidecar_of
from lictor.registry.config.agent import AgentConfig
from lictor.registry.errors import InvalidConfig, Refused
from lictor.registry.records import ServiceAddress


def service(said: dict[str, Any]) -> ServiceDefinition:
    return msgspec.convert(said, ServiceDefinition)


@pytest.mark.parametrize(
    ("said", "ids"),
    [
        ({"Check": {"TTL": 1}}, ["service:w"]),
        ({"Checks": [{"TTL": 1}]}, ["service:w"]),
        ({"Check": {"TTL": 1}, "Checks": [{"TTL": 1}]}, ["service:w:1", "service:w:2"]),
        (
            {"Checks": [{"TTL": 1}, {"CheckID": "foo", "TTL": 1}, {"TTL": 1}]},
            ["service:w:1", "foo", "service:w:3"],
        ),
        ({"Check": {}, "Checks": []}, []),
    ],
)
def test_check_ids_count_every_position(said, ids):
    assert [check_id for check_id, _ in service_checks(service({"Name": "w", **said}))] == ids


def test_of_two_checks_with_one_id_the_last_counts():
    said = service(
        {"Name": "w", "Checks": [{"CheckID": "c", "TTL": 1}, {"CheckID": "c", "TTL": 9}]}
    )
    ((check_id, rules),) = service_checks(said)
    assert (check_id, rules.ttl) == ("c", 9)


def test_an_ip_address_fills_the_tags_of_its_family_that_are_free():
    record = node_service(
        service(
            {
                "Name": "w",
                "Address": "10.1.2.3",
                "Port": 5,
                "TaggedAddresses": {"wan_ipv4": {"Address": "9.9.9.9", "Port": 1}},
            }
        )
    )
    assert record.tagged_addresses == {
        "wan_ipv4": ServiceAddress(address="9.9.9.9", port=1),
        "lan_ipv4": ServiceAddress(address="10.1.2.3", port=5),
    }


def test_an_ipv6_address_fills_ipv6_tags():
    record = node_service(service({"Name": "w", "Address": "::1"}))
    assert sorted(record.tagged_addresses or {}) == ["lan_ipv6", "wan_ipv6"]


def test_a_host_name_fills_nothing():
    assert node_service(service({"Name": "w", "Address": "a.example"})).tagged_addresses is None


def test_a_check_starts_critical_and_is_named_after_its_service():
    record = node_service(service({"Name": "w", "ID": "w1", "Tags": ["t"]}))
    ((check_id, rules),) = service_checks(service({"Name": "w", "ID": "w1", "Check": {"TTL": 1}}))
    check = health_check(check_id, rules, "ttl", node="n", service=record)
    assert (check.check_id, check.name, check.status) == (
        "service:w1",
        "Service 'w' check",
        "critical",
    )
    assert (check.service_id, check.service_name, check.service_tags) == ("w1", "w", ("t",))


def test_a_sidecar_takes_what_it_does_not_say_from_its_parent():
    parent = service(
        {
            "Name": "web",
            "ID": "web1",
            "Port": 80,
            "Address": "10.9.9.9",
            "Meta": {"m": "1"},
            "Tags": ["q"],
            "Connect": {"SidecarService": {}},
        }
    )
    sidecar = sidecar_of(parent, taken={21000, 80})
    assert sidecar is not None
    record = node_service(sidecar)
    assert (record.id, record.name, record.kind) == (
        "web1-sidecar-proxy",
        "web-sidecar-proxy",
        "connect-proxy",
    )
    assert (record.port, record.address, record.tags, record.meta) == (
        21001,
        "10.9.9.9",
        ("q",),
        {"m": "1"},
    )
    assert msgspec.to_builtins(record.proxy) == {
        "DestinationServiceName": "web",
        "DestinationServiceID": "web1",
        "LocalServiceAddress": "127.0.0.1",
        "LocalServicePort": 80,
        "MeshGateway": {},
        "Expose": {},
    }
    listening, alias = service_checks(sidecar)
    assert listening[0] == "service:web1-sidecar-proxy:1"
    assert (listening[1].name, listening[1].tcp) == ("Connect Sidecar Listening", "127.0.0.1:21001")
    assert (alias[1].name, alias[1].alias_service) == ("Connect Sidecar Aliasing web1", "web1")


def test_a_sidecar_registered_again_keeps_its_port():
    parent = service({"Name": "web", "Connect": {"SidecarService": {}}})
    sidecar = sidecar_of(parent, taken={21000, 21001}, current=21001)
    assert sidecar is not None
    assert sidecar.port == 21001


def test_without_a_free_port_there_is_no_sidecar():
    parent = service({"Name": "web", "Connect": {"SidecarService": {}}})
    with pytest.raises(Refused, match=r"none left in the configured range \[21000, 21255\]"):
        sidecar_of(parent, taken=range(21000, 21256))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            {"Check": {"Interval": 5}},
            "Bad request: Invalid check in sidecar_service: TTL must be > 0 for TTL checks",
        ),
        (
            {"Meta": {"bad key": "v"}},
            "Bad request: Invalid SidecarService: Couldn't load metadata pair ('bad key', 'v'): "
            "Key contains invalid characters",
        ),
    ],
)
def test_a_bad_sidecar_is_refused(said, text):
    with pytest.raises(Refused) as caught:
        sidecar_of(service({"Name": "w", "Connect": {"SidecarService": said}}), taken=())
    assert str(caught.value) == text


def test_definitions_of_a_file_are_read_with_their_durations():
    config = AgentConfig(
        services=(
            {
                "Name": "web",
                "Check": {"HTTP": "http://x", "Interval": "10s", "Header": {"a": ["b"]}},
                "Checks": [{"TTL": "1m30s", "CheckID": "own"}],
                "Connect": {"SidecarService": {"Check": {"TTL": "5s"}}},
                "Proxy": {"Config": {"Interval": "10s"}},
            },
        ),
        checks=({"Name": "c", "Args": ["true"], "Interval": "1h", "Timeout": "300ms"},),
    )
    (web,), (alone,) = configured_definitions(config)
    assert [each.interval for each in web.all_checks] == [10 * 10**9, 0]
    assert web.all_checks[1].ttl == 90 * 10**9
    assert web.connect.sidecar_service.check.ttl == 5 * 10**9
    assert web.proxy.config == {"Interval": "10s"}
    assert (alone.command, alone.interval, alone.timeout) == (("true",), 3600 * 10**9, 3 * 10**8)


@pytest.mark.parametrize("said", [{"Interval": "soon"}, {"Interval": "10s", "HTTP": 3}])
def test_a_definition_of_a_file_that_cannot_be_read_is_named(said):
    with pytest.raises(InvalidConfig, match="'c'"):
        configured_definitions(AgentConfig(checks=({"Name": "c", **said},)))


def test_an_agent_is_who_its_configuration_says():
    config = AgentConfig(node_name="n1", node_meta={"a": "b"}, advertise_lan="10.0.0.1")
    identity = configured_identity(config, node_id="x")
    assert (identity.node.name, identity.node.address) == ("n1", "10.0.0.1")
    assert identity.node.meta == {"consul-network-segment": "", "a": "b"}
    assert identity.check_update_interval == 300.0
