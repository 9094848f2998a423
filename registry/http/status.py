"""``/v1/status``."""

from __future__ import annotations

from .options import check_datacenter
from .outcomes import Reply
from .request import Request
from .routes import RouteTable

route = RouteTable("status")


@route("GET", "/v1/status/leader", namespaced=False)
async def read_leader(request: Request) -> Reply:
    """The leader's address; empty while there is none."""
    check_datacenter(request.query, request.config.datacenter)
    await request.server.refresh()
    return Reply.of(request.server.leader_address)


@route("GET", "/v1/status/peers", namespaced=False)
async def list_peers(request: Request) -> Reply:
    """The address of every voter."""
    check_datacenter(request.query, request.config.datacenter)
    await request.server.refresh()
    return Reply.of(request.server.peers())
