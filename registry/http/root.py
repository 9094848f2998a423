"""What is no API group: the root page and Lictor's own version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from .outcomes import Reply
from .request import Request
from .routes import RouteTable

COMPATIBLE_VERSION: Final = "1.8.7"
"""The Consul whose answers these are; clients decide by it what they may ask."""

route = RouteTable("lictor")


def own_version() -> str:
    """Lictor's version; ``0`` when it runs from a checkout that was never installed."""
    try:
        return version("lictor")
    except PackageNotFoundError:
        return "0"


def front_page(*, ui: bool) -> Reply:
    """The answer to ``/``: lead to the UI, or say that an agent lives here."""
    if ui:
        body = b'<a href="/ui/">Moved Permanently</a>.\n\n'
        return Reply(301, body, "text/html; charset=utf-8", {"Location": "/ui/"})
    return Reply(200, b"Consul Agent")


@route("GET", "/v1/lictor/version", since="lictor", namespaced=False)
def read_version(_: Request) -> Reply:
    """Lictor's own version, beside the one that Consul's clients are told."""
    return Reply.of({"Version": own_version(), "Compatible": COMPATIBLE_VERSION})
