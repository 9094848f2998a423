"""Which status each error has. The only place that knows."""

from __future__ import annotations

from typing import Final

from lictor.registry.errors import (
    InvalidConfig,
    InvalidRequest,
    NoLeader,
    NotFound,
    Overloaded,
    PermissionDenied,
    Refused,
    RegistryError,
    TooLarge,
    Unavailable,
)

STATUS: Final[dict[type[RegistryError], int]] = {
    InvalidRequest: 400,
    InvalidConfig: 400,
    PermissionDenied: 403,
    NotFound: 404,
    TooLarge: 413,
    Overloaded: 429,
    Refused: 500,  # Consul's servers refuse with 500; its clients read the text
    NoLeader: 500,  # as Consul answers; its clients retry on 5xx
    Unavailable: 500,
}
"""By the error's nearest ancestor; anything else is 500."""


class Stated(RegistryError):
    """An error that one endpoint answers with a status of its own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def bad_request(text: str) -> Stated:
    """A 400 with exactly ``text``."""
    return Stated(400, text)


def bad_body(error: Exception) -> Stated:
    """The answer to a body that cannot be decoded."""
    return Stated(400, f"Request decode failed: {error}")


def status_of(error: RegistryError) -> int:
    """The status that tells a client of ``error``."""
    if isinstance(error, Stated):
        return error.status
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
