"""From merged values to the typed configuration: defaults, durations, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from lictor.registry import durations
from lictor.registry.errors import InvalidConfig

from . import definitions
from .addresses import (
    Interfaces,
    InvalidAddress,
    detect_advertised,
    expand,
    is_any,
    is_ip,
    listen_at,
    one_ip,
)
from .agent import AgentConfig, Listen, Listeners, Timings
from .decode import several
from .keys import Section, fields
from .legacy import look, put
from .shapes import ListOf

SectionT = TypeVar("SectionT", bound=Section)

DEV: Final[Mapping[str, object]] = {
    "bind_addr": "127.0.0.1",
    "connect.enabled": True,
    "disable_anonymous_signature": True,
    "disable_keyring_file": True,
    "enable_debug": True,
    "gossip_lan.gossip_interval": "100ms",
    "gossip_lan.probe_interval": "100ms",
    "gossip_lan.probe_timeout": "100ms",
    "gossip_lan.suspicion_mult": 3,
    "gossip_wan.gossip_interval": "100ms",
    "gossip_wan.probe_interval": "100ms",
    "gossip_wan.probe_timeout": "100ms",
    "gossip_wan.suspicion_mult": 3,
    "log_level": "DEBUG",
    "performance.raft_multiplier": 1,
    "ports.grpc": 8502,
    "server": True,
    "ui_config.enabled": True,
}
"""What dev mode sets beneath every other source."""

_DEV_TIMINGS: Final = Timings(
    raft_heartbeat_timeout=0.035,
    raft_election_timeout=0.052,
    raft_leader_lease_timeout=0.02,
    server_health_interval=0.01,
    coordinate_update_period=0.1,
)


def build(
    merged: dict[str, Any], *, dev: bool, hostname: str, interfaces: Interfaces
) -> AgentConfig:
    """The configuration that ``merged`` means; ``merged`` may be changed.

    Raises:
        InvalidConfig: a duration, address or port cannot be read. All such errors are told at once.
    """
    _fill_in(merged, hostname=hostname)
    errors: list[str] = []
    config = _section(AgentConfig, merged, errors)
    services, checks = merged.get("services", []), merged.get("checks", [])
    for kind, found in ((definitions.SERVICE, services), (definitions.CHECK, checks)):
        for name, text in definitions.durations(found, ListOf(kind)):
            _duration(f"check[].{name}", text, errors)
    resolved = _Resolver(config, interfaces, errors).resolve()
    if errors:
        raise InvalidConfig(several(errors))
    return msgspec.structs.replace(
        config,
        **resolved,
        dev=dev,
        services=tuple(definitions.service(found) for found in services),
        checks=tuple(definitions.check(found) for found in checks),
        timings=_DEV_TIMINGS if dev else _timings(config.performance.raft_multiplier),
    )


def _fill_in(merged: dict[str, Any], *, hostname: str) -> None:
    """Defaults that depend on other settings, and values that are folded to one form."""
    for path in ("datacenter", "primary_datacenter"):
        if path in merged:
            merged[path] = merged[path].lower()
    merged["node_name"] = merged.get("node_name") or hostname
    merged.setdefault("primary_datacenter", "")
    merged["primary_datacenter"] = merged["primary_datacenter"] or merged.get("datacenter", "dc1")
    server = bool(merged.get("server"))
    merged.setdefault("leave_on_terminate", not server)
    merged.setdefault("skip_leave_on_interrupt", server)
    if merged.get("bootstrap_expect") == 1 and not merged.get("bootstrap"):
        merged["bootstrap"], merged["bootstrap_expect"] = True, 0
    if look(merged, "ui_config.dir"):
        put(merged, "ui_config.enabled", True)  # noqa: FBT003 - the setting's value
    for name, value in (look(merged, "tls.defaults") or {}).items():
        for path in (f"tls.{interface}.{name}" for interface in ("internal_rpc", "https", "grpc")):
            if look(merged, path) is None:
                put(merged, path, value)
    _fold_numbers(merged)


def _fold_numbers(merged: dict[str, Any]) -> None:
    """What means "off" or "without limit" has one form: -1."""
    for name, port in (look(merged, "ports") or {}).items():
        if port <= 0 and not name.endswith("_port"):
            put(merged, f"ports.{name}", -1)
    if (look(merged, "limits.rpc_rate") or 0) < 0:
        put(merged, "limits.rpc_rate", -1.0)


def _section(
    section: type[SectionT], values: Mapping[str, Any], errors: list[str], prefix: str = ""
) -> SectionT:
    found: dict[str, Any] = {}
    for field in fields(section):
        if field.name not in values:
            continue
        value, path = values[field.name], prefix + field.name
        if field.section is not None:
            found[field.name] = _section(field.section, value, errors, f"{path}.")
            continue
        match field.kind:
            case "duration":
                found[field.name] = _duration(path, value, errors)
            case "durations":
                found[field.name] = {
                    name: _duration(f"{path}[{name}]", text, errors) for name, text in value.items()
                }
            case "strings" | "objects":
                found[field.name] = tuple(value)
            case _:
                found[field.name] = value
        if prefix == "ports." and value > 65_535:
            errors.append(f"{path}: invalid port: {value}")
    return section(**found)


def _duration(path: str, text: str, errors: list[str]) -> float:
    try:
        return durations.parse(text)
    except durations.InvalidDuration as error:
        errors.append(f'{path}: invalid duration: "{text}": {error}')
        return 0.0


def _timings(multiplier: int) -> Timings:
    return Timings(
        raft_heartbeat_timeout=1.0 * multiplier,
        raft_election_timeout=1.0 * multiplier,
        raft_leader_lease_timeout=0.5 * multiplier,
    )


class _Resolver:
    """Makes the addresses of one configuration into IP addresses."""

    def __init__(self, config: AgentConfig, interfaces: Interfaces, errors: list[str]) -> None:
        self._config = config
        self._interfaces = interfaces
        self._errors = errors

    def resolve(self) -> dict[str, Any]:
        """The computed fields of the configuration that are about addresses."""
        config, ports = self._config, self._config.ports
        bind = self._bind()
        lan = self._advertised(bind)
        wan = self._one("advertise_addr_wan") or lan
        clients = self._ips("client_addr", config.client_addr)
        return {
            "bind_addr": bind,
            "advertise_lan": lan,
            "advertise_wan": wan,
            "client_addrs": tuple(clients),
            "tagged_addresses": self._tagged(lan, wan),
            "listeners": Listeners(
                dns=self._listen("dns", clients),
                http=self._listen("http", clients),
                https=self._listen("https", clients),
                grpc=self._listen("grpc", clients),
                grpc_tls=self._listen("grpc_tls", clients),
                rpc=Listen(bind, ports.server),
                serf_lan=Listen(self._one("serf_lan") or bind, ports.serf_lan),
                serf_wan=(
                    Listen(self._one("serf_wan") or bind, ports.serf_wan)
                    if ports.serf_wan > 0
                    else None
                ),
            ),
        }

    def _expand(self, path: str, text: str) -> list[str]:
        try:
            return expand(text, self._interfaces)
        except InvalidAddress as error:
            self._errors.append(f"{path}: {error}")
            return []

    def _bind(self) -> str:
        text = self._config.bind_addr
        found = self._expand("bind_addr", text)
        if any(address.startswith("unix://") for address in found):
            raise InvalidConfig("bind_addr cannot be a unix socket")
        if len(found) > 1:
            raise InvalidConfig(
                "bind_addr cannot contain multiple addresses. "
                "Use 'addresses.{dns,http,https}' instead."
            )
        if not found and not self._errors:
            raise InvalidConfig("bind_addr cannot be empty")
        return self._checked("bind_addr", found)

    def _checked(self, path: str, found: list[str]) -> str:
        if not found or not is_ip(found[0]):
            self._errors.extend(f"{path}: invalid ip address: {address}" for address in found)
            return "0.0.0.0"  # noqa: S104 - stands in until the errors are told
        return found[0]

    def _one(self, path: str) -> str:
        """The address a setting stands for; empty if it is not set, or wrong, which is noted."""
        text: str = getattr(self._config, path)
        if text.startswith("unix://"):
            self._errors.append(f"{path} cannot be a unix socket")
            return ""
        try:
            return one_ip(text, self._interfaces)
        except InvalidAddress as error:
            self._errors.append(f"{path}: {error}")
            return ""

    def _ips(self, path: str, text: str) -> list[str]:
        found = self._expand(path, text)
        if any(address.startswith("unix://") for address in found):
            self._errors.append(f"{path} cannot be a unix socket")
            return []
        self._errors.extend(
            f"{path}: invalid ip address: {address}" for address in found if not is_ip(address)
        )
        return [address for address in found if is_ip(address)]

    def _listen(self, name: str, clients: list[str]) -> tuple[Listen, ...]:
        path, text = f"addresses.{name}", getattr(self._config.addresses, name)
        places = self._expand(path, text) or clients
        for place in places:
            if place.startswith("unix://"):
                if name == "dns":
                    raise InvalidConfig("DNS address cannot be a unix socket")
            elif not is_ip(place):
                self._errors.append(f"{path}: invalid ip address: {place}")
        return listen_at(places, getattr(self._config.ports, name))

    def _advertised(self, bind: str) -> str:
        families = self._one("advertise_addr_ipv4"), self._one("advertise_addr_ipv6")
        lan = self._one("advertise_addr")
        if not lan and not self._config.advertise_addr:
            lan = families[0] or families[1]
        if lan or self._errors:
            return lan or bind
        if not is_any(bind):
            return bind
        try:
            return detect_advertised(bind, self._interfaces)
        except InvalidAddress as error:
            raise InvalidConfig(str(error)) from error

    def _tagged(self, lan: str, wan: str) -> dict[str, str]:
        tagged = {"lan": lan, "wan": wan}
        for network, address, setting in (
            ("lan", lan, "advertise_addr"),
            ("wan", wan, "advertise_addr_wan"),
        ):
            tagged[f"{network}_{'ipv6' if ':' in address else 'ipv4'}"] = address
            for family in ("ipv4", "ipv6"):
                if explicit := self._one(f"{setting}_{family}"):
                    if (":" in explicit) != (family == "ipv6"):
                        raise InvalidConfig(f"{setting}_{family} must be an {family} address")
                    tagged[f"{network}_{family}"] = explicit
        return dict(sorted(tagged.items()))
