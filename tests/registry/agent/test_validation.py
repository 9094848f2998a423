"""Texts and order of validation, as the real Consul 1.8.7 was seen to answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lictor.registry.agent.definitions import CheckDefinition, CheckRules, ServiceDefinition
from lictor.registry.agent.validation import (
    CHECK_TYPES,
    check_type,
    validate_check,
    validate_scripts,
    validate_service,
)
from lictor.registry.errors import InvalidRequest, Refused

PROXY: dict[str, Any] = {"Name": "x", "Kind": "connect-proxy", "Port": 1}


def service(said: dict[str, Any]) -> ServiceDefinition:
    return msgspec.convert(said, ServiceDefinition)


def check(said: dict[str, Any]) -> CheckDefinition:
    return msgspec.convert(said, CheckDefinition)


def proxy(**members: Any) -> dict[str, Any]:
    return {**PROXY, "Proxy": {"DestinationServiceName": "a", **members}}


def errors(*problems: str) -> str:
    head = "1 error occurred:" if len(problems) == 1 else f"{len(problems)} errors occurred:"
    return head + "".join(f"\n\t* {problem}" for problem in problems) + "\n\n"


SERVICES = [
    ({}, "Missing service name"),
    ({"ID": "x"}, "Missing service name"),
    ({"Name": "x", "Address": "0.0.0.0"}, "Invalid service address"),
    ({"Name": "x", "Address": "::"}, "Invalid service address"),
    ({"Name": "x", "Address": "[::]"}, "Invalid service address"),
    ({"Name": "x", "Weights": {}}, "Invalid Weights: Passing must be greater than 0"),
    (
        {"Name": "x", "Weights": {"Passing": 1, "Warning": -1}},
        "Invalid Weights: Warning must be greater or equal than 0",
    ),
    (
        {"Name": "x", "Weights": {"Passing": 70000}},
        "Invalid Weights: DNS Weight must be between 0 and 65535",
    ),
    (
        {"Name": "x", "Weights": {"Passing": 1, "Warning": 70000}},
        "Invalid Weights: DNS Weight must be between 0 and 65535",
    ),
    (
        {"Name": "x", "Meta": {"bad key": "v"}},
        "Invalid Service Meta: Couldn't load metadata pair ('bad key', 'v'): "
        "Key contains invalid characters",
    ),
    (
        {"Name": "x", "Meta": {"consul-x": "v"}},
        "Invalid Service Meta: Couldn't load metadata pair ('consul-x', 'v'): "
        "Key prefix 'consul-' is reserved for internal use",
    ),
    (
        {"Name": "x", "Meta": {"": "v"}},
        "Invalid Service Meta: Couldn't load metadata pair ('', 'v'): Key cannot be blank",
    ),
    (
        {"Name": "x", "Kind": "connect-proxy", "Check": {"Interval": 5}},
        errors(
            "Proxy.DestinationServiceName must be non-empty for Connect proxy services",
            "Port must be set for a Connect proxy",
        ),
    ),
    (
        {**proxy(), "Connect": {"Native": True}},
        errors("A Proxy cannot also be Connect Native, only typical services"),
    ),
    (proxy(Upstreams=[{}]), errors("upstream destination name cannot be empty")),
    (
        proxy(Upstreams=[{"DestinationName": "b"}]),
        errors("upstream local bind port cannot be zero"),
    ),
    (
        proxy(
            Upstreams=[
                {"DestinationName": "b", "LocalBindPort": 4},
                {"DestinationName": "c", "LocalBindPort": 4},
            ]
        ),
        errors(
            "upstreams cannot contain duplicates by local bind address and port; "
            '"127.0.0.1:4" is specified twice'
        ),
    ),
    (
        proxy(
            Upstreams=[
                {"DestinationName": "b", "LocalBindPort": 4},
                {"DestinationName": "b", "LocalBindPort": 5},
            ]
        ),
        errors(
            'upstreams cannot contain duplicates of [type="service", name="b", '
            'namespace="", datacenter=""]'
        ),
    ),
    (
        proxy(Upstreams=[{"DestinationName": "b", "DestinationType": "foo", "LocalBindPort": 4}]),
        errors('unknown upstream destination type: "foo"'),
    ),
    (
        proxy(Expose={"Paths": [{}]}),
        errors("expose.paths: empty path exposed", "expose.paths: invalid listener port: 0"),
    ),
    (
        proxy(Expose={"Paths": [{"Path": "/x", "ListenerPort": 5, "LocalPathPort": 6}] * 2}),
        errors(
            "expose.paths: duplicate paths exposed",
            "expose.paths: duplicate listener ports exposed",
        ),
    ),
    (
        proxy(Expose={"Paths": [{"Path": "/x", "ListenerPort": 5, "Protocol": "tcp"}]}),
        errors("protocol 'tcp' not supported for path: /x, must be in: [http http2]"),
    ),
    ({"Name": "x", "Kind": "mesh-gateway"}, errors("Port must be non-zero for a mesh-gateway")),
    (
        {"Name": "x", "Kind": "terminating-gateway"},
        errors("Port must be non-zero for a terminating-gateway"),
    ),
    (
        {
            "Name": "x",
            "Kind": "mesh-gateway",
            "Port": 1,
            "Proxy": {
                "DestinationServiceName": "a",
                "DestinationServiceID": "b",
                "LocalServiceAddress": "c",
                "LocalServicePort": 4,
                "Upstreams": [{}],
            },
        },
        errors(
            *(
                f"The Proxy.{member} configuration is invalid for a mesh-gateway"
                for member in (
                    "DestinationServiceName",
                    "DestinationServiceID",
                    "LocalServiceAddress",
                    "LocalServicePort",
                    "Upstreams",
                )
            )
        ),
    ),
    (
        {"Name": "x", "Kind": "mesh-gateway", "Port": 1, "Connect": {"SidecarService": {}}},
        errors("A mesh-gateway cannot have a sidecar service defined"),
    ),
    (
        {"Name": "x", "Connect": {"SidecarService": {"ID": "z"}}},
        errors("A SidecarService cannot specify an ID as this is managed by the agent"),
    ),
    (
        {"Name": "x", "Connect": {"SidecarService": {"Connect": {"SidecarService": {}}}}},
        errors("A SidecarService cannot have a nested SidecarService"),
    ),
    ({"Name": "x", "Check": {"Name": "y"}}, "Invalid check: TTL must be > 0 for TTL checks"),
    ({"Name": "x", "Checks": [{}]}, "Invalid check: TTL must be > 0 for TTL checks"),
    (
        {"Name": "x", "Check": {"TTL": 5, "Status": "bogus"}},
        "Status for checks must 'passing', 'warning', 'critical'",
    ),
    (
        {"Name": "x", "Check": {"Status": "bogus"}},
        "Invalid check: TTL must be > 0 for TTL checks",
    ),
    (
        {"Name": "x", "Meta": {"bad key": ""}, "Weights": {}, "Kind": "connect-proxy"},
        "Invalid Weights: Passing must be greater than 0",
    ),
]


@pytest.mark.parametrize(("said", "text"), SERVICES)
def test_a_bad_service_is_refused_in_consuls_words(said, text):
    with pytest.raises(InvalidRequest) as caught:
        validate_service(service(said))
    assert str(caught.value) == text


GOOD_SERVICES = [
    {"Name": "x_y z!", "Port": 99999},
    {"Name": "x", "Port": -1},
    {"Name": "x", "Kind": "funny"},
    {"Name": "x", "Kind": "ingress-gateway"},
    {"Name": "x", "Kind": "mesh-gateway", "Port": 1, "Connect": {"Native": True}},
    {"Name": "x", "Connect": {"Native": True, "SidecarService": {}}},
    {"Name": "x", "Check": {}},
    {"Name": "x", "Check": {"TTL": 5, "ServiceID": "other"}},
    {"Name": "x", "TaggedAddresses": {"lan": {"Address": "0.0.0.0"}}},
    proxy(Upstreams=[{"DestinationName": "*", "LocalBindPort": 4}]),
    proxy(MeshGateway={"Mode": "bogus"}),
    proxy(Expose={"Paths": [{"Path": "x", "ListenerPort": 1}]}),
]


@pytest.mark.parametrize("said", GOOD_SERVICES)
def test_what_consul_takes_is_taken(said):
    validate_service(service(said))


INTERVAL = "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks"
TTL = "Invalid check: TTL must be > 0 for TTL checks"
CHECKS = [
    ({}, "Missing check name"),
    ({"ID": "x"}, "Missing check name"),
    ({"Name": "c"}, TTL),
    ({"Name": "c", "Status": "passing"}, TTL),
    (
        {"Name": "c", "TTL": 5, "Interval": 5},
        "Invalid check: Interval and TTL cannot both be specified",
    ),
    ({"Name": "c", "HTTP": "http://x"}, INTERVAL),
    ({"Name": "c", "TCP": "x:1"}, INTERVAL),
    ({"Name": "c", "Args": ["a"]}, INTERVAL),
    ({"Name": "c", "ScriptArgs": ["a"]}, INTERVAL),
    ({"Name": "c", "GRPC": "x:1"}, INTERVAL),
    ({"Name": "c", "HTTP": "http://x", "Interval": -5}, INTERVAL),
    ({"Name": "c", "HTTP": "http://x", "TTL": 5}, INTERVAL),
    ({"Name": "c", "Interval": 5}, TTL),
    ({"Name": "c", "DockerContainerID": "x"}, TTL),
    ({"Name": "c", "DockerContainerID": "x", "Interval": 5}, TTL),
    ({"Name": "c", "DockerContainerID": "x", "Args": ["a"]}, INTERVAL),
    (
        {"Name": "c", "AliasService": "x", "TTL": 5},
        "Invalid check: TTL must be not be set for Alias checks",
    ),
    (
        {"Name": "c", "AliasNode": "a", "HTTP": "http://x", "Interval": 5},
        "Invalid check: Interval cannot be set for Alias checks",
    ),
    (
        {"Name": "c", "TTL": 5, "OutputMaxSize": -1},
        "Invalid check: MaxOutputMaxSize must be positive",
    ),
    ({"Name": "c", "TTL": 5, "Status": "bogus"}, "Bad check status"),
    ({"Name": "c", "TTL": -5}, TTL),
]


@pytest.mark.parametrize(("said", "text"), CHECKS)
def test_a_bad_check_is_refused_in_consuls_words(said, text):
    with pytest.raises(InvalidRequest) as caught:
        validate_check(check(said))
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"TTL": 5}, "ttl"),
        ({"HTTP": "u", "TCP": "x:1"}, "http"),
        ({"GRPC": "x", "HTTP": "u"}, "grpc"),
        ({"TCP": "x", "UDP": "y"}, "tcp"),
        ({"UDP": "y", "Args": ["a"]}, "udp"),
        ({"AliasNode": "n", "Args": ["a"]}, "alias"),
        ({"DockerContainerID": "d", "Args": ["a"]}, "docker"),
        ({"DockerContainerID": "d", "TTL": 5}, "ttl"),
        ({"Args": ["a"], "H2PING": "x"}, "script"),
        ({"H2PING": "x", "OSService": "y"}, "h2ping"),
        ({"OSService": "y"}, "os_service"),
    ],
)
def test_the_first_type_asked_for_counts(said, kind):
    assert check_type(msgspec.convert(said, CheckRules)) == kind


def test_an_alias_may_say_an_interval_that_nothing_uses():
    validate_check(check({"Name": "c", "AliasService": "x", "Interval": 5}))


@pytest.mark.parametrize(
    ("local", "local_allowed", "remote_allowed", "words"),
    [
        (False, True, False, "from remote calls"),
        (True, False, False, "'enable_script_checks' or 'enable_local_script_checks' to true"),
    ],
)
def test_scripts_need_the_operators_leave(local, local_allowed, remote_allowed, words):
    rules = [CheckRules(args=("true",))]
    with pytest.raises(Refused, match=words):
        validate_scripts(
            rules, local=local, local_allowed=local_allowed, remote_allowed=remote_allowed
        )


@pytest.mark.parametrize(
    ("local", "local_allowed", "remote_allowed"), [(True, True, False), (False, False, True)]
)
def test_scripts_run_where_allowed(local, local_allowed, remote_allowed):
    validate_scripts(
        [CheckRules(args=("true",))],
        local=local,
        local_allowed=local_allowed,
        remote_allowed=remote_allowed,
    )


def test_no_type_is_named_twice():
    kinds = [kind for kind, _ in CHECK_TYPES]
    assert len(set(kinds)) == len(kinds)
