"""What the agent needs of the servers, near or far."""

from __future__ import annotations

from typing import Protocol

from lictor.registry.answers import Answer
from lictor.registry.commands import SERVER, AnyCommand, Origin
from lictor.registry.queries import Question


class Registry(Protocol):
    """The part of ``registry.server.Registry`` that the agent's own loops use."""

    async def write(self, command: AnyCommand, origin: Origin = SERVER) -> object:
        """Have ``command`` applied and return its result.

        Raises:
            RegistryError: it was not applied, or nobody knows.
        """

    async def read(self, question: Question, *, index: int = 0, wait: float = 0.0) -> Answer:
        """The answer to ``question``; with ``index``, once its own exceeds it or ``wait`` is over.

        Raises:
            RegistryError: nobody can answer now.
        """
