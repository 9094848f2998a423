"""Where DNS gets its answers: the registry, local or remote, and how stale it may be."""

from __future__ import annotations

from typing import Final, Protocol

from lictor.raft.runtime import Runtime
from lictor.registry.answers import Answer
from lictor.registry.errors import NoLeader
from lictor.registry.queries import Mode, Question

from .options import DNSOptions

HOLD: Final = 7.0
"""Seconds that a question waits for a leader. Source: Consul, ``rpc_hold_timeout``."""

RETRY: Final = 0.1
"""Seconds between two attempts meanwhile, up to twice as long."""


class Registry(Protocol):
    """What DNS needs of the registry."""

    def ask(self, question: Question) -> Answer:
        """The answer from the local state, now, and fresh.

        Raises:
            NoLeader: nobody can promise that now; :meth:`read` may do better.
        """

    def may_answer(self) -> bool:
        """Whether :meth:`ask` may be used now."""

    async def read(self, question: Question, *, mode: Mode = "default") -> Answer:
        """The answer, as fresh as ``mode`` asks.

        Raises:
            NoLeader: there is no leader, or for a stale read that there never was one.
        """

    @property
    def last_contact(self) -> float:
        """Seconds since a leader was heard; 0 on the leader."""


class Source:
    """The registry as ``allow_stale`` and ``max_stale`` let it be used."""

    def __init__(self, registry: Registry, runtime: Runtime, options: DNSOptions) -> None:
        self._registry = registry
        self._runtime = runtime
        self.options = options
        self.ask = registry.ask

    def may_repeat(self) -> bool:
        """Whether an answer given before, and still live, may be given again."""
        return self._registry.may_answer() or self._may_be_stale()

    async def read(self, question: Question, *, until: float) -> Answer:
        """The answer, waiting for a leader until the instant ``until`` if one is needed.

        Raises:
            RegistryError: nobody can answer.
        """
        clock = self._runtime.clock
        while True:
            try:
                return await self._registry.read(
                    question, mode="stale" if self._may_be_stale() else "default"
                )
            except NoLeader:
                if clock.now() >= until:
                    raise
            await clock.sleep(RETRY * (1 + self._runtime.rng.random()))

    def _may_be_stale(self) -> bool:
        options = self.options
        return options.allow_stale and self._registry.last_contact <= options.max_stale
