"""How Go calls the bodies of the agent's endpoints; their structs are the agent's own."""

from __future__ import annotations

from typing import Final

from lictor.registry import records
from lictor.registry.agent.definitions import (
    AddressDefinition,
    CheckDefinition,
    ConnectDefinition,
    ProxyDefinition,
    ServiceCheckDefinition,
    ServiceDefinition,
    UpstreamDefinition,
    WeightsDefinition,
)
from lictor.registry.records import Record

from .gojson import Shape, declare


class CheckUpdate(Record, frozen=True, kw_only=True):
    """The body of ``/v1/agent/check/update``."""

    status: str = ""
    output: str = ""


declare(CheckUpdate, Shape(name="checkUpdate"))

_CHECK_ALIASES: Final = {
    name: name
    for name in (
        "script_args",
        "deregister_critical_service_after",
        "docker_container_id",
        "tls_skip_verify",
        "service_id",
        "grpc_use_tls",
        "tls_server_name",
        "h2ping_use_tls",
    )
}
"""The only members of a check that may be written in snake_case, in 1.8 and later versions."""

_CHECK_HEAD: Final = (
    "struct { Interval interface {}; Timeout interface {}; TTL interface {}; "
    'DeregisterCriticalServiceAfter interface {}; Args []string "json:\\"args\\""; '
    'ScriptArgsSnake []string "json:\\"script_args\\""; '
    "DeregisterCriticalServiceAfterSnake interface {} "
    '"json:\\"deregister_critical_service_after\\""; '
    'DockerContainerIDSnake string "json:\\"docker_container_id\\""; '
    'TLSSkipVerifySnake bool "json:\\"tls_skip_verify\\""; '
)
_CHECK_TAIL: Final = 'ServiceIDSnake string "json:\\"service_id\\""; *structs.Alias }'
_NESTED_CHECK_WHOLE: Final = f'{_CHECK_HEAD}ServiceID string "json:\\"ServiceID\\""; {_CHECK_TAIL}'
_SERVICE_WHOLE: Final = (
    'struct { EnableTagOverrideSnake bool "json:\\"enable_tag_override\\""; '
    'TaggedAddressesSnake map[string]structs.ServiceAddress "json:\\"tagged_addresses\\""; '
    "*structs.Alias }"
)


def _check_shape(whole: str) -> Shape:
    return Shape(name="", custom=True, strict=True, whole=whole, aliases=_CHECK_ALIASES)


declare(ServiceCheckDefinition, _check_shape(_NESTED_CHECK_WHOLE))
declare(CheckDefinition, _check_shape(_CHECK_HEAD + _CHECK_TAIL))
declare(
    ServiceDefinition,
    Shape(
        name="",
        custom=True,
        strict=True,
        whole=_SERVICE_WHOLE,
        snake=True,
        member_types={"checks": "structs.CheckTypes"},
    ),
)
declare(WeightsDefinition, Shape(name="Weights"))
declare(AddressDefinition, Shape(name="ServiceAddress"))
declare(ProxyDefinition, Shape(name="", custom=True, strict=True, snake=True))
declare(UpstreamDefinition, Shape(name="", custom=True, strict=True, snake=True))
declare(records.MeshGateway, Shape(name="MeshGatewayConfig"))
declare(records.Expose, Shape(name="ExposeConfig"))
declare(records.ExposePath, Shape(name="ExposePath", custom=True, strict=True, snake=True))
declare(ConnectDefinition, Shape(name="", custom=True, strict=False, snake=True))
