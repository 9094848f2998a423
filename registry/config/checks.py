"""What may not be: every rule between settings, in the words of Consul."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from lictor.registry import durations
from lictor.registry.errors import InvalidConfig

from .addresses import is_any
from .agent import AgentConfig
from .decode import several

LEAF_TTL_SHORTEST: Final = 3600.0
LEAF_TTL_LONGEST: Final = 8760 * 3600.0
META_PAIRS: Final = 64
META_KEY: Final = 128
META_VALUE: Final = 512
_META_KEY: Final = re.compile(r"[a-zA-Z0-9_-]+")
_DATACENTER: Final = re.compile(r"[a-z0-9_-]+")
_CONTENT_PATH: Final = re.compile(r"[A-Za-z0-9/_-]+")
_VERSION: Final = re.compile(r"v[0-9]")

_CA_PROVIDERS: Final = frozenset({"", "consul", "vault", "aws-pca"})
_CONFIG_ENTRIES: Final = frozenset(
    {
        "api-gateway",
        "exported-services",
        "file-system-certificate",
        "http-route",
        "ingress-gateway",
        "inline-certificate",
        "jwt-provider",
        "mesh",
        "proxy-defaults",
        "sameness-group",
        "service-defaults",
        "service-intentions",
        "service-resolver",
        "service-router",
        "service-splitter",
        "tcp-route",
        "terminating-gateway",
    }
)


def check(config: AgentConfig, *, read: Callable[[Path], bytes]) -> None:
    """Check ``config`` against every rule.

    Raises:
        InvalidConfig: the first rule that is broken.
    """
    for complaint in _complaints(config, read):
        raise InvalidConfig(complaint)


def _complaints(config: AgentConfig, read: Callable[[Path], bytes]) -> Iterator[str]:
    yield from _early(config)
    yield from _cidrs(config)
    yield from _identity(config, read)
    yield from _servers(config)
    yield from _limits(config)
    yield from _meta(config)
    yield from _mesh(config)
    yield from _encryption(config)
    yield from _definitions(config)
    yield from _listeners(config)


def _early(config: AgentConfig) -> Iterator[str]:
    if config.segment or config.segments:
        yield "Network segments are not supported in this version of Consul"
    for name in ("sidecar", "expose"):
        low, high = (getattr(config.ports, f"{name}_{end}_port") for end in ("min", "max"))
        if high < low:
            yield (
                f"{name}_min_port must be less than {name}_max_port. To disable, set both to zero."
            )
    multiplier = config.performance.raft_multiplier
    if not 1 <= multiplier <= 10:
        yield f"performance.raft_multiplier cannot be {multiplier}. Must be between 1 and 10"
    if is_any(config.advertise_lan):
        yield "Advertise address cannot be 0.0.0.0, :: or [::]"
    if is_any(config.advertise_wan):
        yield "Advertise WAN address cannot be 0.0.0.0, :: or [::]"


def _cidrs(config: AgentConfig) -> Iterator[str]:
    for path, networks in (
        ("serf_lan_allowed_cidrs", config.serf_lan_allowed_cidrs),
        ("serf_wan_allowed_cidrs", config.serf_wan_allowed_cidrs),
    ):
        if wrong := [network for network in networks if not _is_cidr(network)]:
            yield f"{path}: {several([f'invalid cidr: {network}' for network in wrong])}"
    if wrong := [net for net in config.http_config.allow_write_http_from if not _is_cidr(net)]:
        yield several([f"allow_write_http_from: invalid cidr: {network}" for network in wrong])


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _identity(config: AgentConfig, read: Callable[[Path], bytes]) -> Iterator[str]:
    if not config.datacenter:
        yield "datacenter cannot be empty"
    if not _DATACENTER.fullmatch(config.datacenter):
        yield f'datacenter cannot be "{config.datacenter}". Please use only [a-z0-9-_]'
    if not config.data_dir and not config.dev:
        yield "data_dir cannot be empty"
    if not config.dev and _is_file(Path(config.data_dir), read):
        yield f'data_dir "{config.data_dir}" is not a directory'
    if not _DATACENTER.fullmatch(config.primary_datacenter):
        # The setting's older name is what Consul says here.
        yield f'acl_datacenter cannot be "{config.primary_datacenter}". Please use only [a-z0-9-_]'
    path = config.ui_config.content_path
    if not _CONTENT_PATH.fullmatch(path):
        yield f"ui-content-path can only contain alphanumeric, -, _, or /. received: {path}"
    if _VERSION.search(path):
        yield f"ui-content-path cannot have 'v[0-9]'. received: {path}"


def _is_file(path: Path, read: Callable[[Path], bytes]) -> bool:
    try:
        read(path)
    except OSError:
        return False
    return True


def _servers(config: AgentConfig) -> Iterator[str]:
    if config.bootstrap_expect < 0:
        yield f"bootstrap_expect cannot be {config.bootstrap_expect}. {_NOT_NEGATIVE}"
    if config.bootstrap and not config.server:
        yield "'bootstrap = true' requires 'server = true'"
    if config.bootstrap_expect and not config.server:
        yield "'bootstrap_expect > 0' requires 'server = true'"
    if config.bootstrap_expect and config.bootstrap:
        yield "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive"


_NOT_NEGATIVE: Final = "Must be greater than or equal to zero"


def _limits(config: AgentConfig) -> Iterator[str]:
    for path, value in (
        ("autopilot.max_trailing_logs", config.autopilot.max_trailing_logs),
        ("dns_config.a_record_limit", config.dns_config.a_record_limit),
        ("dns_config.udp_answer_limit", config.dns_config.udp_answer_limit),
    ):
        if value < 0:
            yield f"{path} cannot be {value}. {_NOT_NEGATIVE}"
    if config.check_output_max_size < 1:
        yield (
            "check_output_max_size must be positive, to discard check output use the "
            "discard_check_output flag"
        )
    if config.cache.entry_fetch_max_burst <= 0:
        burst = config.cache.entry_fetch_max_burst
        yield f"cache.entry_fetch_max_burst must be strictly positive, was: {burst}"
    if config.cache.entry_fetch_rate < 0:
        rate = config.cache.entry_fetch_rate
        yield f"cache.entry_fetch_rate must be strictly positive, was: {rate:g}"


def _meta(config: AgentConfig) -> Iterator[str]:
    yield from (f"node_meta invalid: {wrong}" for wrong in meta_complaints(config.node_meta))


def meta_complaints(meta: dict[str, str]) -> Iterator[str]:
    """What is wrong with metadata of a node or a service."""
    if len(meta) > META_PAIRS:
        yield f"Node metadata cannot contain more than {META_PAIRS} key/value pairs"
    for key, value in meta.items():
        if wrong := _meta_complaint(key, value):
            yield f"Couldn't load metadata pair ('{key}', '{value}'): {wrong}"


def _meta_complaint(key: str, value: str) -> str | None:
    if not key:
        return "Key cannot be blank"
    if not _META_KEY.fullmatch(key):
        return "Key contains invalid characters"
    if len(key) > META_KEY:
        return f"Key is too long (limit: {META_KEY} characters)"
    if key.startswith("consul-"):
        return "Key prefix 'consul-' is reserved for internal use"
    if len(value) > META_VALUE:
        return f"Value is too long (limit: {META_VALUE} characters)"
    return None


def _mesh(config: AgentConfig) -> Iterator[str]:
    connect = config.connect
    if connect.enable_mesh_gateway_wan_federation and not connect.enabled:
        yield ("'connect.enable_mesh_gateway_wan_federation=true' requires 'connect.enabled=true'")
    if connect.enable_mesh_gateway_wan_federation and not config.server:
        yield ("'connect.enable_mesh_gateway_wan_federation = true' requires 'server = true'")
    if connect.enable_mesh_gateway_wan_federation and config.retry_join_wan:
        yield (
            "'retry_join_wan' is incompatible with "
            "'connect.enable_mesh_gateway_wan_federation = true'"
        )
    if config.primary_gateways and not config.server:
        yield "'primary_gateways' requires 'server = true'"
    if config.primary_gateways and config.primary_datacenter == config.datacenter:
        yield "'primary_gateways' should only be configured in a secondary datacenter"
    if connect.enabled and connect.ca_provider not in _CA_PROVIDERS:
        yield f"{connect.ca_provider} is not a valid CA provider"
    if connect.enabled and connect.ca_provider == "consul":
        yield from _leaf_complaints(connect.ca_config)
    for at, entry in enumerate(config.config_entries.bootstrap):
        kind = entry.get("kind", entry.get("Kind", ""))
        if not isinstance(kind, str) or kind not in _CONFIG_ENTRIES:
            yield f"config_entries.bootstrap[{at}]: invalid config entry kind: {kind}"


def _leaf_complaints(ca_config: dict[str, Any]) -> Iterator[str]:
    given = {key.replace("_", "").lower(): value for key, value in ca_config.items()}
    text = given.get("leafcertttl")
    if not isinstance(text, str):
        return
    try:
        ttl = durations.parse(text)
    except durations.InvalidDuration as error:
        yield f"error decoding config: leaf_cert_ttl: {error}"
        return
    if ttl < LEAF_TTL_SHORTEST:
        yield "leaf cert TTL must be greater or equal than 1h0m0s"
    if ttl > LEAF_TTL_LONGEST:
        yield "leaf cert TTL must be less than 8760h0m0s"


def _encryption(config: AgentConfig) -> Iterator[str]:
    if config.auto_encrypt.allow_tls and not config.server:
        yield "auto_encrypt.allow_tls can only be used on a server."
    if (at := base64_error(config.encrypt)) is not None:
        yield f"encrypt has invalid key: illegal base64 data at input byte {at}"
    rpc = config.tls.internal_rpc
    if config.auto_config.enabled and not (rpc.verify_outgoing or rpc.verify_server_hostname):
        yield "auto_config.enabled cannot be set without configuring TLS for server communications"
    if config.auto_config.authorization.enabled and not rpc.cert_file:
        yield (
            "auto_config.authorization.enabled cannot be set without providing a TLS certificate "
            "for the server"
        )


_BASE64: Final = re.compile(r"[A-Za-z0-9+/]")


def base64_error(text: str) -> int | None:
    """Where ``text`` stops being base64, as Go counts; ``None`` if it is base64 throughout."""
    body = text.replace("\r", "").replace("\n", "")
    for at, char in enumerate(body):
        if _BASE64.fullmatch(char):
            continue
        if char == "=" and at % 4 >= 2 and body[at:] == "=" * (4 - at % 4):
            return None
        return at
    return len(body) // 4 * 4 if len(body) % 4 else None


def _definitions(config: AgentConfig) -> Iterator[str]:
    errors: list[str] = []
    for service in config.services:
        name = service.get("Name", "")
        errors += [
            f"invalid meta for service {name}: {wrong}"
            for wrong in meta_complaints(service.get("Meta", {}))
        ]
        if wrong := _weights_complaint(service.get("Weights", {})):
            errors.append(f"Invalid weight definition for service {name}: {wrong}")
    if errors:
        yield several(errors)
    for service in config.services:
        if errors := list(_proxy_complaints(service)):
            yield f'service "{service.get("Name", "")}": {several(errors)}'


def _weights_complaint(weights: dict[str, Any]) -> str | None:
    if weights.get("Passing", 1) < 1:
        return "Passing must be greater than 0"
    if any(not 0 <= weight <= 65_535 for weight in weights.values()):
        return "DNS Weight must be between 0 and 65535"
    return None


def _proxy_complaints(service: dict[str, Any]) -> Iterator[str]:
    if service.get("Kind") != "connect-proxy":
        return
    if not service.get("Proxy", {}).get("DestinationServiceName"):
        yield "Proxy.DestinationServiceName must be non-empty for Connect proxy services"
    if not service.get("Port") and not service.get("SocketPath"):
        yield "Port must be set for a Connect proxy"


def _listeners(config: AgentConfig) -> Iterator[str]:
    """No two interfaces may share an address and a port."""
    listeners, ports = config.listeners, config.ports
    taken: dict[str, str] = {}
    for name, places in (
        ("DNS", listeners.dns),
        ("HTTP", listeners.http),
        ("HTTPS", listeners.https),
        ("gRPC", listeners.grpc),
        ("gRPC TLS", listeners.grpc_tls),
    ):
        for place in places:
            if place.text in taken:
                yield f"{name} address {place.text} already configured for {taken[place.text]}"
            taken[place.text] = name
    advertised = [
        ("RPC Advertise", config.advertise_lan, ports.server),
        ("Serf Advertise LAN", config.advertise_lan, ports.serf_lan),
    ]
    if config.server and ports.serf_wan > 0:
        advertised.append(("Serf Advertise WAN", config.advertise_wan, ports.serf_wan))
    for name, host, port in advertised:
        place_text = f"{host}:{port}"
        if place_text in taken:
            yield f"{name} address {place_text} already configured for {taken[place_text]}"
        taken[place_text] = name
