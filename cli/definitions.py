"""Service definitions in files: the ``service`` and ``services`` of an agent's configuration.

Configuration writes ``snake_case`` and the API ``CamelCase``; the tables below say what there is,
so a misspelt key is refused here instead of being ignored by the agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from .documents import parse_named
from .errors import Failure, open_error

EXTENSIONS: Final = (".hcl", ".json")


@dataclass(frozen=True)
class Plain:
    """A value that is passed on."""


@dataclass(frozen=True)
class Free:
    """A map whose keys are the user's own."""


@dataclass(frozen=True)
class One:
    """An object of a known shape."""

    shape: Shape


@dataclass(frozen=True)
class Many:
    """A list of objects of a known shape."""

    shape: Shape


@dataclass(frozen=True)
class ByName:
    """A map from the user's keys to objects of a known shape."""

    shape: Shape


Kind: TypeAlias = Plain | Free | One | Many | ByName
Shape: TypeAlias = Mapping[str, tuple[str, Kind]]
"""Configuration key -> the API's key, and what stands behind it."""

PLAIN: Final = Plain()
FREE: Final = Free()


def _plain(keys: str) -> dict[str, tuple[str, Kind]]:
    """``key=Name`` pairs; a key alone is named like itself, in CamelCase."""
    shape: dict[str, tuple[str, Kind]] = {}
    for word in keys.split():
        key, _, name = word.partition("=")
        shape[key] = (name or "".join(part.capitalize() for part in key.split("_")), PLAIN)
    return shape


CHECK: Final[Shape] = _plain(
    """
    id=CheckID check_id=CheckID name notes status service_id=ServiceID args script_args=Args
    http=HTTP method body tcp=TCP tcp_use_tls=TCPUseTLS udp=UDP grpc=GRPC
    grpc_use_tls=GRPCUseTLS h2ping=H2PING
    h2ping_use_tls=H2PingUseTLS os_service=OSService docker_container_id=DockerContainerID shell
    interval timeout ttl=TTL tls_server_name=TLSServerName tls_skip_verify=TLSSkipVerify
    alias_node alias_service output_max_size disable_redirects success_before_passing
    failures_before_warning failures_before_critical deregister_critical_service_after
    """
) | {"header": ("Header", FREE)}

UPSTREAM: Final[Shape] = _plain(
    """
    destination_type destination_namespace destination_partition destination_peer destination_name
    datacenter local_bind_address local_bind_port local_bind_socket_path local_bind_socket_mode
    """
) | {"config": ("Config", FREE), "mesh_gateway": ("MeshGateway", One(_plain("mode")))}

EXPOSE: Final[Shape] = _plain("checks") | {
    "paths": ("Paths", Many(_plain("path listener_port local_path_port protocol")))
}

PROXY: Final[Shape] = _plain(
    """
    destination_service_name destination_service_id=DestinationServiceID local_service_address
    local_service_port local_service_socket_path mode
    """
) | {
    "config": ("Config", FREE),
    "upstreams": ("Upstreams", Many(UPSTREAM)),
    "mesh_gateway": ("MeshGateway", One(_plain("mode"))),
    "transparent_proxy": (
        "TransparentProxy",
        One(_plain("outbound_listener_port dialed_directly")),
    ),
    "expose": ("Expose", One(EXPOSE)),
}

SIDECAR: Final[Shape] = _plain(
    "kind id=ID name tags address port socket_path enable_tag_override token namespace partition"
) | {
    "meta": ("Meta", FREE),
    "tagged_addresses": ("TaggedAddresses", ByName(_plain("address port"))),
    "weights": ("Weights", One(_plain("passing warning"))),
    "check": ("Check", One(CHECK)),
    "checks": ("Checks", Many(CHECK)),
    "proxy": ("Proxy", One(PROXY)),
    "locality": ("Locality", One(_plain("region zone"))),
}

SERVICE: Final[Shape] = dict(SIDECAR) | {
    "connect": (
        "Connect",
        One(_plain("native") | {"sidecar_service": ("SidecarService", One(SIDECAR))}),
    ),
}


def read_definitions(paths: Iterable[str]) -> list[dict[str, Any]]:
    """The services defined in files, and in the files of directories, as the API takes them.

    A file that is neither ``.hcl`` nor ``.json`` is skipped, and stderr says so.

    Raises:
        Failure: a file cannot be read, or has a key that no service has.
    """
    found: list[dict[str, Any]] = []
    for path in paths:
        for name, text in _texts(path):
            found += definitions_in(name, parse_named(name, text))
    return found


def definitions_in(name: str, document: Any) -> list[dict[str, Any]]:
    """The services in a parsed ``document``; ``name`` is the file's, for errors.

    Raises:
        Failure: as :func:`read_definitions`.
    """
    if not isinstance(document, dict):
        raise Failure(f"Error: failed to parse {name}: a configuration is an object")
    single = document.get("service", [])
    many = document.get("services", [])
    wrong: list[str] = []
    services = [
        _object(one, SERVICE, f"{key}[{place}]" if key == "services" else key, wrong)
        for key, group in (("services", many), ("service", single))
        for place, one in enumerate(group if isinstance(group, list) else [group])
    ]
    if wrong:
        said = "\n".join(f"\t* {one}" for one in wrong)
        count = f"{len(wrong)} error{'s' if len(wrong) > 1 else ''} occurred"
        raise Failure(f"Error: failed to parse {name}: {count}:\n{said}\n\n")
    return services


def _texts(path: str) -> Iterable[tuple[str, str]]:
    place = Path(path)
    try:
        if not place.is_dir():
            files = [path]
            place.open("rb").close()
        else:
            files = [f"{path}/{one.name}" for one in sorted(place.iterdir()) if one.is_file()]
        for one in files:
            if one.endswith(EXTENSIONS):
                yield one, Path(one).read_text(encoding="utf-8")
            elif one == path:
                reason = "extension must be .hcl or .json, or config format must be set"
                click.echo(f"skipping file {one}, {reason}", err=True)
    except OSError as error:
        reason = f"config: Open failed on {path}. {open_error(error, path)}"
        raise Failure(f"Error: {reason}") from error


def _object(value: Any, shape: Shape, where: str, wrong: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        wrong.append(f"{where}: expected an object")
        return {}
    written: dict[str, Any] = {}
    for key, inner in value.items():
        if key.lower() not in shape:
            wrong.append(f"invalid config key {where}.{key}")
            continue
        name, kind = shape[key.lower()]
        written[name] = _value(inner, kind, f"{where}.{key}", wrong)
    return written


def _value(value: Any, kind: Kind, where: str, wrong: list[str]) -> Any:
    match kind:
        case Plain():
            return value
        case Free():
            return _only(value)
        case One(shape):
            return _object(_only(value), shape, where, wrong)
        case Many(shape):
            items = value if isinstance(value, list) else [value]
            return [_object(one, shape, f"{where}[{n}]", wrong) for n, one in enumerate(items)]
        case ByName(shape):
            named = _only(value)
            if not isinstance(named, dict):
                wrong.append(f"{where}: expected an object")
                return {}
            return {
                name: _object(_only(one), shape, f"{where}.{name}", wrong)
                for name, one in named.items()
            }


def _only(value: Any) -> Any:
    """The dict in a block of HCL, which comes as a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
