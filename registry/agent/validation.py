"""Which definitions an agent takes, and what it says of the others. Pure.

Texts and order are those that Consul 1.8 was observed to have. Every function raises
:class:`InvalidRequest` for what the caller can mend and :class:`Refused` for what only the agent's
operator can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from lictor.registry.errors import InvalidRequest, Refused
from lictor.registry.records import CRITICAL, PASSING, WARNING, Expose

from .definitions import (
    CONNECT_PROXY,
    GATEWAYS,
    CheckDefinition,
    CheckRules,
    ConnectDefinition,
    ProxyDefinition,
    ServiceDefinition,
    UpstreamDefinition,
)

MAX_META_PAIRS: Final = 64
MAX_META_KEY: Final = 128
MAX_META_VALUE: Final = 512
MAX_WEIGHT: Final = 65535
_META_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104 - these are refused
STATUSES: Final = frozenset({"", PASSING, WARNING, CRITICAL})
"""What a definition may say of its check's status."""

BAD_STATUS: Final = "Status for checks must 'passing', 'warning', 'critical'"

CHECK_TYPES: Final[tuple[tuple[str, Callable[[CheckRules], object]], ...]] = (
    ("grpc", lambda rules: rules.grpc),
    ("http", lambda rules: rules.http),
    ("tcp", lambda rules: rules.tcp),
    ("udp", lambda rules: rules.udp),
    ("alias", lambda rules: rules.alias_node or rules.alias_service),
    ("docker", lambda rules: rules.docker_container_id and rules.command),
    ("script", lambda rules: rules.command),
    ("h2ping", lambda rules: rules.h2ping),
    ("os_service", lambda rules: rules.os_service),
)
"""Every type but TTL with what asks for it; the first that is asked for counts."""


def check_type(rules: CheckRules) -> str:
    """The type of a check, as the catalogue names it; one that asks for nothing is a TTL check."""
    return next((kind for kind, asked in CHECK_TYPES if asked(rules)), "ttl")


def check_problem(rules: CheckRules) -> str:
    """What is wrong with how a check is to be run; empty when nothing is."""
    alias = bool(rules.alias_node or rules.alias_service)
    run = any(asked(rules) for kind, asked in CHECK_TYPES if kind != "alias")
    if rules.interval > 0 and rules.ttl > 0:
        return "Interval and TTL cannot both be specified"
    if run and not alias and rules.interval <= 0:
        return "Interval must be > 0 for Script, HTTP, or TCP checks"
    if run and alias and rules.interval > 0:
        return "Interval cannot be set for Alias checks"
    if not run and not alias and rules.ttl <= 0:
        return "TTL must be > 0 for TTL checks"
    if not run and alias and rules.ttl > 0:
        return "TTL must be not be set for Alias checks"
    return _limit_problem(rules)


def _limit_problem(rules: CheckRules) -> str:
    if rules.output_max_size < 0:
        return "MaxOutputMaxSize must be positive"
    if rules.failures_before_warning > max(rules.failures_before_critical, 0) > 0:
        return "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
    return ""


def validate_check(definition: CheckDefinition) -> None:
    """Judge a check that is registered by itself; scripts and the service are for others."""
    if not definition.name:
        raise InvalidRequest("Missing check name")
    if definition.status not in STATUSES:
        raise InvalidRequest("Bad check status")
    _check_rules(definition)


def _check_rules(rules: CheckRules) -> None:
    problem = check_problem(rules)
    if problem:
        raise InvalidRequest(f"Invalid check: {problem}")


def validate_service(definition: ServiceDefinition) -> None:
    """Judge a service registration, without its sidecar."""
    if not definition.name:
        raise InvalidRequest("Missing service name")
    if definition.address in _WILDCARDS:
        raise InvalidRequest("Invalid service address")
    _validate_weights(definition)
    problem = meta_problem(definition.meta or {})
    if problem:
        raise InvalidRequest(f"Invalid Service Meta: {problem}")
    problems = kind_problems(definition)
    if problems:
        raise InvalidRequest(listed(problems))
    for rules in definition.all_checks:
        _check_rules(rules)
    for rules in definition.all_checks:
        if rules.status not in STATUSES:
            raise InvalidRequest(BAD_STATUS)


def validate_scripts(
    checks: Iterable[CheckRules], *, local: bool, local_allowed: bool, remote_allowed: bool
) -> None:
    """Refuse commands where the agent's operator did not allow them.

    Raises:
        Refused: a check runs a command; ``local`` tells those of configuration files.
    """
    if remote_allowed or (local and local_allowed):
        return
    if not any(check_type(rules) in {"script", "docker"} for rules in checks):
        return
    if local:
        raise Refused(
            "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or "
            "'enable_local_script_checks' to true"
        )
    raise Refused(
        "Scripts are disabled on this agent from remote calls; to enable, configure "
        "'enable_script_checks' to true"
    )


def _validate_weights(definition: ServiceDefinition) -> None:
    weights = definition.weights
    if weights is None:
        return
    if weights.passing < 1:
        raise InvalidRequest("Invalid Weights: Passing must be greater than 0")
    if weights.warning < 0:
        raise InvalidRequest("Invalid Weights: Warning must be greater or equal than 0")
    if max(weights.passing, weights.warning) > MAX_WEIGHT:
        raise InvalidRequest("Invalid Weights: DNS Weight must be between 0 and 65535")


def meta_problem(meta: Mapping[str, str]) -> str:
    """What is wrong with service or node metadata; empty when nothing is."""
    if len(meta) > MAX_META_PAIRS:
        return f"Node metadata cannot contain more than {MAX_META_PAIRS} key/value pairs"
    for key, value in meta.items():
        problem = _pair_problem(key, value)
        if problem:
            return f"Couldn't load metadata pair ('{key}', '{value}'): {problem}"
    return ""


def _pair_problem(key: str, value: str) -> str:
    if not key:
        return "Key cannot be blank"
    if not _META_KEY.fullmatch(key):
        return "Key contains invalid characters"
    if len(key) > MAX_META_KEY:
        return f"Key is too long (limit: {MAX_META_KEY} characters)"
    if key.startswith("consul-"):
        return "Key prefix 'consul-' is reserved for internal use"
    if len(value.encode()) > MAX_META_VALUE:
        return f"Value is too long (limit: {MAX_META_VALUE} characters)"
    return ""


def listed(problems: list[str]) -> str:
    """Several problems in one text, as Go's multierror prints them."""
    head = "1 error occurred:" if len(problems) == 1 else f"{len(problems)} errors occurred:"
    return head + "".join(f"\n\t* {problem}" for problem in problems) + "\n\n"


def kind_problems(definition: ServiceDefinition) -> list[str]:
    """What the kind of a service forbids or wants, and what a sidecar may not say."""
    proxy = definition.proxy or ProxyDefinition()
    connect = definition.connect or ConnectDefinition()
    problems: list[str] = []
    if definition.kind == CONNECT_PROXY:
        problems += _proxy_problems(definition, proxy, connect)
    elif definition.kind in GATEWAYS:
        problems += _gateway_problems(definition, proxy, connect)
    sidecar = connect.sidecar_service
    if sidecar is not None:
        if sidecar.id:
            problems.append("A SidecarService cannot specify an ID as this is managed by the agent")
        if sidecar.connect is not None and sidecar.connect.sidecar_service is not None:
            problems.append("A SidecarService cannot have a nested SidecarService")
    return problems


def _proxy_problems(
    definition: ServiceDefinition, proxy: ProxyDefinition, connect: ConnectDefinition
) -> list[str]:
    problems: list[str] = []
    if not proxy.destination_service_name.strip():
        problems.append("Proxy.DestinationServiceName must be non-empty for Connect proxy services")
    if not definition.port and not definition.socket_path:
        problems.append("Port must be set for a Connect proxy")
    if connect.native:
        problems.append("A Proxy cannot also be Connect Native, only typical services")
    return problems + _upstream_problems(proxy.upstreams or ()) + _expose_problems(proxy.expose)


def _upstream_problems(upstreams: Iterable[UpstreamDefinition]) -> list[str]:
    problems: list[str] = []
    destinations: set[tuple[str, str, str, str]] = set()
    binds: set[str] = set()
    for said in upstreams:
        problem = _upstream_problem(said)
        if problem:
            problems.append(problem)
            continue
        kind, name = said.destination_type or "service", said.destination_name
        destination = (kind, name, said.destination_namespace, said.datacenter)
        bind = f"{said.local_bind_address or '127.0.0.1'}:{said.local_bind_port}"
        if destination in destinations:
            problems.append(
                f'upstreams cannot contain duplicates of [type="{kind}", name="{name}", '
                f'namespace="{said.destination_namespace}", datacenter="{said.datacenter}"]'
            )
        elif bind in binds:
            problems.append(
                "upstreams cannot contain duplicates by local bind address and port; "
                f'"{bind}" is specified twice'
            )
        destinations.add(destination)
        binds.add(bind)
    return problems


def _upstream_problem(said: UpstreamDefinition) -> str:
    if said.destination_type not in {"", "service", "prepared_query"}:
        return f'unknown upstream destination type: "{said.destination_type}"'
    if not said.destination_name:
        return "upstream destination name cannot be empty"
    if not said.local_bind_port:
        return "upstream local bind port cannot be zero"
    return ""


def _expose_problems(expose: Expose) -> list[str]:
    problems: list[str] = []
    paths: set[str] = set()
    ports: set[int] = set()
    for said in expose.paths:
        if not said.path:
            problems.append("expose.paths: empty path exposed")
        if said.path in paths:
            problems.append("expose.paths: duplicate paths exposed")
        if said.listener_port in ports:
            problems.append("expose.paths: duplicate listener ports exposed")
        paths.add(said.path)
        ports.add(said.listener_port)
        if not 0 < said.listener_port <= 65535:
            problems.append(f"expose.paths: invalid listener port: {said.listener_port}")
        if said.protocol not in {"", "http", "http2"}:
            problems.append(
                f"protocol '{said.protocol}' not supported for path: {said.path}, "
                "must be in: [http http2]"
            )
    return problems


def _gateway_problems(
    definition: ServiceDefinition, proxy: ProxyDefinition, connect: ConnectDefinition
) -> list[str]:
    kind = definition.kind
    problems: list[str] = []
    if not definition.port and kind in {"mesh-gateway", "terminating-gateway"}:
        problems.append(f"Port must be non-zero for a {kind}")
    if connect.sidecar_service is not None:
        problems.append(f"A {kind} cannot have a sidecar service defined")
    said = {
        "DestinationServiceName": proxy.destination_service_name,
        "DestinationServiceID": proxy.destination_service_id,
        "LocalServiceAddress": proxy.local_service_address,
        "LocalServicePort": proxy.local_service_port,
        "Upstreams": proxy.upstreams,
    }
    return problems + [
        f"The Proxy.{member} configuration is invalid for a {kind}"
        for member, value in said.items()
        if value
    ]
