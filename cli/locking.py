"""Locks and semaphores on the key-value store, as Consul's own clients make them.

A lock is one key that a session acquires. A semaphore is a key for each contender, and one key with
the list of holders that is changed only by check-and-set. Either ends with its session: when its
holder dies, others get it.

Source: Consul, ``api/lock.go`` and ``api/semaphore.go`` as described in its leader-election and
semaphore guides; the flags are its, so that both tools respect each other's locks.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, Final

import msgspec

from .client import Client
from .errors import AgentError, Refused

LOCK_FLAGS: Final = 0x2DDCCBC058A50C18
SEMAPHORE_FLAGS: Final = 0xE0F69A2BAA414DE0

WAIT: Final = "15000ms"
"""How long the server holds a question for the key to become free."""
RETRY: Final = 5.0
"""Seconds between two tries while a lock delay keeps a free key from being acquired."""
MONITOR_RETRY: Final = 2.0
"""Seconds between two questions after a server's error."""
POLL_TIMEOUT: Final = 360.0
"""Seconds; a blocking query takes five minutes and a sixteenth at most."""


class Conflict(AgentError):
    """The key is used for something else, or with another limit."""


class Entry(msgspec.Struct, frozen=True, rename="pascal"):
    """One key."""

    key: str
    modify_index: int
    flags: int = 0
    value: bytes | None = None
    session: str | None = None


class Holders(msgspec.Struct, frozen=True, rename="pascal"):
    """The value of a semaphore's key: how many may hold it, and who does."""

    limit: int
    holders: dict[str, bool]


class Exclusion(ABC):
    """What lock and semaphore have in common. Methods block; give each its own thread."""

    def __init__(self, agent: Client, prefix: str, session: str, *, retries: int) -> None:
        self._agent = agent
        self.prefix = prefix.strip("/")
        self.key = f"{self.prefix}/.lock"
        self._session = session
        self._retries = retries

    @abstractmethod
    def acquire(self, cancelled: threading.Event) -> bool:
        """Wait until we hold it; return False once ``cancelled``.

        Raises:
            Conflict: the key is in use for something else.
            AgentError: the agent failed.
        """

    @abstractmethod
    def release(self) -> None:
        """Give it back. Raises AgentError."""

    @abstractmethod
    def clean_up(self) -> bool:
        """Remove the key if nobody uses it; return whether that was so. Raises AgentError."""

    @abstractmethod
    def _is_held(self, entries: list[Entry]) -> bool:
        """Whether we hold it, by what is below the prefix."""

    def wait_for_loss(self) -> None:
        """Return when we no longer hold it, or can no longer know."""
        index: str | None = None
        left = self._retries
        while True:
            try:
                entries, index = self._read(index, consistent=True)
            except Refused as refused:
                if refused.status < 500 or not left:
                    return
                left -= 1
                threading.Event().wait(MONITOR_RETRY)
                continue
            except AgentError:
                return
            left = self._retries
            if not self._is_held(entries):
                return

    def _read(
        self, index: str | None = None, *, consistent: bool = False
    ) -> tuple[list[Entry], str]:
        """Everything that matters, and the index to wait from."""
        query = {
            **self._scope(),
            "index": index,
            "wait": None if consistent else WAIT,
            "consistent": "" if consistent else None,
        }
        try:
            answer = self._agent.get(f"/v1/kv/{self._path()}", query, timeout=POLL_TIMEOUT)
        except Refused as refused:
            if refused.status == 404:
                return [], refused.index
            raise
        return answer.decode(list[Entry]), answer.index

    def _wait_behind(self, seen: str, cancelled: threading.Event) -> str | None:
        """The index for the next question; a server that gave none is not asked again at once."""
        if seen != "0":
            return seen
        cancelled.wait(RETRY)
        return None

    def _scope(self) -> dict[str, str | None]:
        return {}

    def _path(self) -> str:
        return self.key

    def _write(self, key: str, query: dict[str, Any], value: bytes = b"") -> bool:
        return self._agent.put(f"/v1/kv/{key}", query, body=value).decode(bool)

    def _own(self, entries: list[Entry]) -> Entry | None:
        """The key itself among ``entries``."""
        return next((one for one in entries if one.key == self.key), None)


class Lock(Exclusion):
    """One holder."""

    def acquire(self, cancelled: threading.Event) -> bool:  # type: ignore[explicit-override]  # 3.12's
        """Wait until we hold it."""
        index: str | None = None
        while not cancelled.is_set():
            entries, seen = self._read(index)
            entry = self._own(entries)
            if entry is not None and entry.flags != LOCK_FLAGS:
                raise Conflict("Existing key does not match lock use")
            if entry is not None and entry.session == self._session:
                return True
            if entry is not None and entry.session:
                index = self._wait_behind(seen, cancelled)
                continue
            index = None
            if self._write(self.key, {"acquire": self._session, "flags": str(LOCK_FLAGS)}):
                return True
            # somebody was faster, which the next read shows, or the last holder's delay is not over
            if not any(one.session for one in self._read()[0]):
                cancelled.wait(RETRY)
        return False

    def release(self) -> None:  # type: ignore[explicit-override]  # 3.12's
        """Give the key back."""
        self._write(self.key, {"release": self._session, "flags": str(LOCK_FLAGS)})

    def clean_up(self) -> bool:  # type: ignore[explicit-override]  # 3.12's
        """Remove the key, unless it is held again."""
        entry = self._own(self._read()[0])
        if entry is None:
            return True
        if entry.session:
            return False
        query = {"cas": str(entry.modify_index)}
        return self._agent.delete(f"/v1/kv/{self.key}", query).decode(bool)

    def _is_held(self, entries: list[Entry]) -> bool:  # type: ignore[explicit-override]  # 3.12's
        entry = self._own(entries)
        return entry is not None and entry.session == self._session


class Semaphore(Exclusion):
    """As many holders as ``limit``."""

    def __init__(
        self, agent: Client, prefix: str, session: str, *, retries: int, limit: int
    ) -> None:
        super().__init__(agent, prefix, session, retries=retries)
        self._limit = limit
        self._contender = f"{self.prefix}/{session}"

    def acquire(self, cancelled: threading.Event) -> bool:  # type: ignore[explicit-override]  # 3.12's
        """Wait for a free place among the holders."""
        query = {"acquire": self._session, "flags": str(SEMAPHORE_FLAGS)}
        if not self._write(self._contender, query):
            raise AgentError("failed to make contender entry")
        index: str | None = None
        while not cancelled.is_set():
            entries, seen = self._read(index)
            entry = self._own(entries)
            living = self._living(entries)
            if len(living) >= self._limit and self._session not in living:
                index = self._wait_behind(seen, cancelled)
                continue
            if self._store({*living, self._session}, entry):
                return True
            index = None
        return False

    def release(self) -> None:  # type: ignore[explicit-override]  # 3.12's
        """Leave the holders, however often others change the list meanwhile."""
        while True:
            entries, _ = self._read()
            living = self._living(entries)
            if self._session not in living or self._store(
                living - {self._session}, self._own(entries)
            ):
                break
        self._agent.delete(f"/v1/kv/{self._contender}")

    def clean_up(self) -> bool:  # type: ignore[explicit-override]  # 3.12's
        """Remove the list of holders if it is empty."""
        entries, _ = self._read()
        entry = self._own(entries)
        if entry is None:
            return True
        if self._living(entries):
            return False
        query = {"cas": str(entry.modify_index)}
        return self._agent.delete(f"/v1/kv/{self.key}", query).decode(bool)

    def _is_held(self, entries: list[Entry]) -> bool:  # type: ignore[explicit-override]  # 3.12's
        return self._session in self._living(entries)

    def _living(self, entries: list[Entry]) -> set[str]:
        """The holders whose session still holds their own key.

        Raises:
            Conflict: the key is no semaphore's, or has another limit.
        """
        entry = self._own(entries)
        if entry is None:
            return set()
        if entry.flags != SEMAPHORE_FLAGS:
            raise Conflict("Existing key does not match semaphore use")
        try:
            stored = msgspec.json.decode(entry.value or b"", type=Holders)
        except msgspec.DecodeError as error:
            raise Conflict(f"failed to decode the semaphore's holders: {error}") from error
        if stored.limit != self._limit:
            limits = f"lock: {stored.limit}, local: {self._limit}"
            raise Conflict(f"semaphore limit conflict ({limits})")
        return set(stored.holders) & {one.session for one in entries if one.session}

    def _store(self, holders: set[str], entry: Entry | None) -> bool:
        value = Holders(limit=self._limit, holders=dict.fromkeys(sorted(holders), True))
        expected = str(entry.modify_index) if entry else "0"
        query = {"cas": expected, "flags": str(SEMAPHORE_FLAGS)}
        return self._write(self.key, query, msgspec.json.encode(value))

    def _scope(self) -> dict[str, str | None]:  # type: ignore[explicit-override]  # 3.12's
        return {"recurse": ""}

    def _path(self) -> str:  # type: ignore[explicit-override]  # 3.12's
        return self.prefix
