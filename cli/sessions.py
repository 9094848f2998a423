"""Sessions that a command holds while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from .client import Client
from .errors import AgentError, Refused

TTL: Final = 15.0
"""Seconds a session outlives its holder."""
RETRY: Final = 1.0
"""Seconds between two tries to renew when the agent fails."""


class Created(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to a creation."""

    id: str = msgspec.field(name="ID")


@contextmanager
def session(agent: Client, name: str, *, behavior: str) -> Iterator[str]:
    """Hold a session named ``name`` until the block ends; the value is its ID.

    A thread renews it. One that cannot be renewed ends by its TTL, and with it whatever it holds.

    Raises:
        AgentError: it cannot be created.
    """
    wanted = {"Name": name, "TTL": f"{TTL:g}s", "Behavior": behavior}
    identity = agent.put("/v1/session/create", body=wanted).decode(Created).id
    ended = threading.Event()
    threading.Thread(target=_renew, args=(agent, identity, ended), daemon=True).start()
    try:
        yield identity
    finally:
        ended.set()
        # an agent that is gone now cannot be told; the TTL does it
        with suppress(AgentError):
            agent.put(f"/v1/session/destroy/{identity}")


def _renew(agent: Client, identity: str, ended: threading.Event) -> None:
    delay = TTL / 2
    while not ended.wait(delay):
        try:
            agent.put(f"/v1/session/renew/{identity}")
            delay = TTL / 2
        except Refused as refused:
            if refused.status == 404:
                return
            delay = RETRY
        except AgentError:
            delay = RETRY
