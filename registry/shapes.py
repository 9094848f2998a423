"""What answers look like where that is not simply a record: joined and flattened JSON shapes."""

from __future__ import annotations

from typing import Any

import msgspec

from .records import (
    CheckServiceNode,
    Connect,
    HealthCheck,
    Node,
    NodeService,
    Proxy,
    Record,
    ServiceAddress,
    Weights,
)


class CatalogService(Record, frozen=True, kw_only=True):
    """An instance and its node in one flat object (``/v1/catalog/service``)."""

    id: str
    node: str
    address: str
    datacenter: str
    tagged_addresses: dict[str, str] | None
    node_meta: dict[str, str] | None
    service_kind: str
    service_id: str
    service_name: str
    service_tags: tuple[str, ...]
    service_address: str
    service_tagged_addresses: dict[str, ServiceAddress] | None = None
    service_weights: Weights
    service_meta: dict[str, str]
    service_port: int
    service_socket_path: str = ""
    service_enable_tag_override: bool
    service_proxy: Proxy
    service_connect: Connect
    create_index: int
    modify_index: int


class NodeWithServices(Record, frozen=True, kw_only=True):
    """A node and its instances by id (``/v1/catalog/node``)."""

    node: Node
    services: dict[str, NodeService]


class NodeServiceList(Record, frozen=True, kw_only=True):
    """A node and its instances as a list (``/v1/catalog/node-services``)."""

    node: Node | None
    services: tuple[NodeService, ...] | None


class OperationFailed(Record, frozen=True, kw_only=True):
    """Why one step of a transaction failed (``/v1/txn``)."""

    op_index: int
    what: str


class Settled(Record, frozen=True, kw_only=True):
    """What a transaction did: one item a record, under the name of its kind; or why it did not."""

    results: tuple[dict[str, Any], ...] | None
    errors: tuple[OperationFailed, ...] | None


def catalog_service(node: Node, service: NodeService) -> CatalogService:
    """``service`` on ``node``, flattened."""
    return CatalogService(
        id=node.id,
        node=node.name,
        address=node.address,
        datacenter=node.datacenter,
        tagged_addresses=node.tagged_addresses,
        node_meta=node.meta,
        service_kind=service.kind,
        service_id=service.id,
        service_name=service.name,
        service_tags=service.tags or (),
        service_address=service.address,
        service_tagged_addresses=service.tagged_addresses or None,
        service_weights=service.weights,
        service_meta=service.meta or {},
        service_port=service.port,
        service_socket_path=service.socket_path,
        service_enable_tag_override=service.enable_tag_override,
        service_proxy=service.proxy,
        service_connect=service.connect,
        create_index=service.create_index,
        modify_index=service.modify_index,
    )


def listed_service(service: NodeService) -> NodeService:
    """``service`` as lists show it: no tags are an empty list, never ``null``."""
    return service if service.tags is not None else msgspec.structs.replace(service, tags=())


def listed_check(check: HealthCheck) -> HealthCheck:
    """``check`` as lists show it: no tags are an empty list, never ``null``."""
    if check.service_tags is not None:
        return check
    return msgspec.structs.replace(check, service_tags=())


__all__ = [
    "CatalogService",
    "CheckServiceNode",
    "NodeServiceList",
    "NodeWithServices",
    "OperationFailed",
    "Settled",
    "catalog_service",
    "listed_check",
    "listed_service",
]
