"""Definitions of services and checks in files, and the names they have in the HTTP API.

Files write ``enable_tag_override`` or ``EnableTagOverride``; what leaves this module has the API's
names and nesting, so that one parser reads both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .shapes import Kind, ListOf, MapOf, Shape

_CHECK: Final[dict[str, Kind]] = {
    "id": "string",
    "name": "string",
    "notes": "string",
    "service_id": "string",
    "token": "string",
    "status": "string",
    "args": "strings",
    "script_args": "strings",
    "http": "string",
    "header": "headers",
    "method": "string",
    "body": "string",
    "disable_redirects": "bool",
    "tcp": "string",
    "tcp_use_tls": "bool",
    "udp": "string",
    "grpc": "string",
    "grpc_use_tls": "bool",
    "h2ping": "string",
    "h2ping_use_tls": "bool",
    "os_service": "string",
    "docker_container_id": "string",
    "shell": "string",
    "alias_node": "string",
    "alias_service": "string",
    "proxy_http": "string",
    "proxy_grpc": "string",
    "tls_skip_verify": "bool",
    "tls_server_name": "string",
    "interval": "duration",
    "timeout": "duration",
    "ttl": "duration",
    "success_before_passing": "int",
    "failures_before_warning": "int",
    "failures_before_critical": "int",
    "deregister_critical_service_after": "duration",
    "output_max_size": "int",
}
CHECK: Final = Shape(_CHECK, camel=True)

_MESH_GATEWAY: Final = Shape({"mode": "string"}, camel=True)
_UPSTREAM: Final = Shape(
    {
        "destination_type": "string",
        "destination_namespace": "string",
        "destination_partition": "string",
        "destination_peer": "string",
        "destination_name": "string",
        "datacenter": "string",
        "local_bind_address": "string",
        "local_bind_port": "int",
        "local_bind_socket_path": "string",
        "local_bind_socket_mode": "string",
        "config": "any",
        "mesh_gateway": _MESH_GATEWAY,
    },
    camel=True,
)
_EXPOSED_PATH: Final = Shape(
    {
        "listener_port": "int",
        "path": "string",
        "local_path_port": "int",
        "protocol": "string",
    },
    camel=True,
)
_PROXY: Final = Shape(
    {
        "destination_service_name": "string",
        "destination_service_id": "string",
        "local_service_address": "string",
        "local_service_port": "int",
        "local_service_socket_path": "string",
        "mode": "string",
        "transparent_proxy": Shape(
            {"outbound_listener_port": "int", "dialed_directly": "bool"}, camel=True
        ),
        "config": "any",
        "upstreams": ListOf(_UPSTREAM),
        "mesh_gateway": _MESH_GATEWAY,
        "expose": Shape({"checks": "bool", "paths": ListOf(_EXPOSED_PATH)}, camel=True),
    },
    camel=True,
)
_SERVICE: Final[dict[str, Kind]] = {
    "kind": "string",
    "id": "string",
    "name": "string",
    "tags": "strings",
    "address": "string",
    "socket_path": "string",
    "tagged_addresses": MapOf(Shape({"address": "string", "port": "int"}, camel=True)),
    "meta": "map",
    "port": "int",
    "check": CHECK,
    "checks": ListOf(CHECK),
    "token": "string",
    "weights": Shape({"passing": "int", "warning": "int"}, camel=True),
    "enable_tag_override": "bool",
    "proxy": _PROXY,
    "locality": Shape({"region": "string", "zone": "string"}, camel=True),
}
_SIDECAR: Final = Shape(_SERVICE, camel=True)
SERVICE: Final = Shape(
    {
        **_SERVICE,
        "connect": Shape({"native": "bool", "sidecar_service": _SIDECAR}, camel=True),
    },
    camel=True,
)

_INITIALISMS: Final = {
    part: part.upper() for part in ("id", "http", "tcp", "udp", "tls", "ttl", "grpc", "h2ping")
} | {"os": "OS"}


def service(definition: dict[str, Any]) -> dict[str, Any]:
    """A decoded service definition with the API's names."""
    renamed: dict[str, Any] = _renamed(definition, SERVICE)
    return renamed


def check(definition: dict[str, Any]) -> dict[str, Any]:
    """A decoded check definition with the API's names."""
    renamed: dict[str, Any] = _renamed(definition, CHECK)
    return renamed


def durations(definition: Any, kind: Kind) -> Iterator[tuple[str, str]]:
    """Every duration below ``definition``: its key in a check, and its text."""
    if isinstance(kind, ListOf):
        for element in definition:
            yield from durations(element, kind.shape)
    elif isinstance(kind, Shape):
        for name, value in definition.items():
            if kind.fields[name] == "duration":
                yield name, value
            elif isinstance(kind.fields[name], Shape | ListOf):
                yield from durations(value, kind.fields[name])


def _renamed(value: Any, kind: Kind, *, in_service: bool = False) -> Any:
    match kind:
        case ListOf(shape):
            return [_renamed(element, shape, in_service=in_service) for element in value]
        case MapOf(shape):
            return {name: _renamed(element, shape) for name, element in value.items()}
        case Shape():
            renamed: dict[str, Any] = {}
            for name, field in value.items():
                to = _api_name(name)
                if kind is CHECK:
                    to = {"ScriptArgs": "Args", "ID": "CheckID" if in_service else "ID"}.get(to, to)
                renamed[to] = _renamed(field, kind.fields[name], in_service=kind is not CHECK)
            return renamed
        case _:
            return value


def _api_name(name: str) -> str:
    return "".join(_INITIALISMS.get(part, part.capitalize()) for part in name.split("_"))
