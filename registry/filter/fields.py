"""What can be selected, per kind of row: trees over the records, in Consul's names.

A selector is declared once, by name; its kind and the attribute behind it are read off the record
type, and a selector that the type lacks is an error at import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import inspect

from lictor.registry.records import CheckServiceNode, HealthCheck, Node, NodeService
from lictor.registry.shapes import CatalogService


class Scalar(msgspec.Struct, frozen=True, eq=False):
    """One value, or a list of strings."""

    kind: Literal["string", "integer", "boolean", "strings"]


class Members(msgspec.Struct, frozen=True, eq=False):
    """An object: for each name, the attribute that has its value and what that is."""

    named: Mapping[str, tuple[str, Field]]


class Keyed(msgspec.Struct, frozen=True, eq=False):
    """A map from any name to values of one shape."""

    value: Field


class Repeated(msgspec.Struct, frozen=True, eq=False):
    """A list of objects; what is selected below it need hold for any one."""

    item: Members


Field: TypeAlias = Scalar | Members | Keyed | Repeated

Fields: TypeAlias = Members
"""All that can be selected in one kind of row. Compared by identity; may be kept."""

NODE_SELECTORS: Final = ("ID", "Node", "Address", "Datacenter", "TaggedAddresses", "Meta")

CHECK_SELECTORS: Final = (
    "Node",
    "CheckID",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "Type",
)

SERVICE_SELECTORS: Final = (
    "Kind",
    "ID",
    "Service",
    "Tags",
    "Address",
    "TaggedAddresses.Address",
    "TaggedAddresses.Port",
    "Meta",
    "Port",
    "Weights.Passing",
    "Weights.Warning",
    "EnableTagOverride",
    "Proxy.DestinationServiceName",
    "Proxy.DestinationServiceID",
    "Proxy.LocalServiceAddress",
    "Proxy.LocalServicePort",
    "Proxy.Mode",
    "Proxy.MeshGateway.Mode",
    "Proxy.Expose.Checks",
    "Proxy.Expose.Paths.ListenerPort",
    "Proxy.Expose.Paths.Path",
    "Proxy.Expose.Paths.LocalPathPort",
    "Proxy.Expose.Paths.Protocol",
    "Proxy.Expose.Paths.ParsedFromCheck",
    "Proxy.Upstreams.DestinationType",
    "Proxy.Upstreams.DestinationNamespace",
    "Proxy.Upstreams.DestinationName",
    "Proxy.Upstreams.Datacenter",
    "Proxy.Upstreams.LocalBindAddress",
    "Proxy.Upstreams.LocalBindPort",
    "Proxy.Upstreams.MeshGateway.Mode",
    "Connect.Native",
)
"""Below a map (``TaggedAddresses``) the key is left out; it is any name."""


def fields_of(record: type[msgspec.Struct], selectors: Iterable[str]) -> Fields:
    """The fields that ``selectors`` name in ``record``, as dotted paths of JSON names.

    Raises:
        KeyError: the record has no such member.
    """
    names = _Names()
    for selector in selectors:
        below = names
        for name in selector.split("."):
            below = below.setdefault(name, _Names())
    field = _field(inspect.type_info(record), names)
    assert isinstance(field, Members)
    return field


class _Names(dict[str, "_Names"]):
    """Names by first part; empty below the last."""


def _field(shape: inspect.Type, names: Mapping[str, _Names]) -> Field:
    match shape:
        case inspect.UnionType(types):
            (only,) = (one for one in types if not isinstance(one, inspect.NoneType))
            return _field(only, names)
        case inspect.StrType() | inspect.LiteralType():
            return Scalar("string")
        case inspect.BoolType():
            return Scalar("boolean")
        case inspect.IntType():
            return Scalar("integer")
        case inspect.VarTupleType(item) | inspect.ListType(item):
            below = _field(item, names)
            return Repeated(below) if isinstance(below, Members) else Scalar("strings")
        case inspect.DictType(_, value):
            return Keyed(_field(value, names))
        case inspect.StructType(fields=fields):
            members = {field.encode_name: field for field in fields}
            return Members(
                {
                    name: (members[name].name, _field(members[name].type, below))
                    for name, below in names.items()
                }
            )
        case _:
            raise AssertionError(f"nothing can be selected in {shape}")


def _below(name: str, selectors: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{name}.{selector}" for selector in selectors)


def _flattened(selector: str) -> str:
    """How a service's member is called in a row that is a node's as well."""
    return "ServiceName" if selector == "Service" else f"Service{selector}"


NODE_FIELDS: Final = fields_of(Node, NODE_SELECTORS)
"""``/catalog/nodes``."""

CHECK_FIELDS: Final = fields_of(HealthCheck, CHECK_SELECTORS)
"""``/health/node``, ``/health/checks``, ``/health/state``, ``/agent/checks``."""

SERVICE_FIELDS: Final = fields_of(NodeService, SERVICE_SELECTORS)
"""``/catalog/node``, ``/catalog/node-services``."""

CATALOG_SERVICE_FIELDS: Final = fields_of(
    CatalogService,
    (
        *("ID", "Node", "Address", "Datacenter", "TaggedAddresses", "NodeMeta"),
        *map(_flattened, SERVICE_SELECTORS),
    ),
)
"""``/catalog/service``, ``/catalog/connect``."""

HEALTH_FIELDS: Final = fields_of(
    CheckServiceNode,
    (
        *_below("Node", NODE_SELECTORS),
        *_below("Service", SERVICE_SELECTORS),
        *_below("Checks", CHECK_SELECTORS),
    ),
)
"""``/health/service``, ``/health/connect``, ``/health/ingress``."""
