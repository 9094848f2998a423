"""A pool of members: what the rest of the house uses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from math import ceil, log10
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from lictor.raft.runtime import Runtime

from .addresses import Address, parse_address
from .config import PoolConfig
from .coordinates import Coordinate
from .driver import Driver
from .errors import JoinFailed, MembershipError, NotRunning, UnknownMember
from .events import Event, Member, MemberEvent, MemberStatus, NameConflict, QueryReceived
from .failures import in_words
from .keyring import NONCE_SIZE, Keyring, check_key
from .keyring_queries import INSTALL, LIST, REMOVE, USE, KeyringReport, report, request
from .metrics import MembershipMetrics
from .packets import PacketCodec
from .queries import INTERNAL
from .serf import Admit, Serf

log = structlog.get_logger("membership")

DEFAULT_PORT: Final = 8301
"""Where a member listens if an address to join does not say it."""


class QueryAnswers(msgspec.Struct, frozen=True):
    """What came back for a query until it was over."""

    acks: tuple[str, ...]
    """Members who have received it, by name; only if acks were asked for."""

    responses: dict[str, bytes]
    """Answers by member's name."""


class Pool:
    """One agent's membership in one pool. Made, then :meth:`start` and at the end :meth:`close`."""

    def __init__(
        self,
        config: PoolConfig,
        runtime: Runtime,
        *,
        name: str,
        tags: Mapping[str, str],
        keyring: Keyring | None = None,
        address: str,
        port: int,
        events: Callable[[Event], None],
        advertise: tuple[str, int | None] | None = None,
        admit: Admit | None = None,
        keyring_path: Path | None = None,
        default_port: int = DEFAULT_PORT,
        pool: str = "lan",
        registry: CollectorRegistry | None = None,
    ) -> None:
        """A member called ``name`` on ``address:port`` (0 picks a free one).

        ``events`` is called in the loop, must not block, and may call back into the pool.
        ``advertise`` is what others are told where it differs, its port ``None`` if that does not.
        ``keyring_path`` is written, 0600, whenever the keyring changes.
        """
        self._config = config
        self._runtime = runtime
        self._name = name
        self._tags = dict(tags)
        self._keyring = keyring
        self._keyring_path = keyring_path
        self._keyring_version = 0 if keyring is None else keyring.version
        self._bind = (address, port)
        self._advertise = advertise
        self._admit = admit
        self._default_port = default_port
        self._pool = pool
        self._metrics = MembershipMetrics(registry or CollectorRegistry())
        self._receiver = events
        # nonces are seen by everybody: they must not tell anything about the runtime's rng
        self._rng = Random(runtime.rng.getrandbits(256))  # noqa: S311 - keys come from elsewhere
        nonces = Random(runtime.rng.getrandbits(256))  # noqa: S311 - unique is enough
        self._codec = PacketCodec(
            keyring=keyring,
            nonce=lambda: nonces.randbytes(NONCE_SIZE),
            label=config.label,
            compress=config.compress,
            verify_incoming=config.verify_incoming,
            verify_outgoing=config.verify_outgoing,
        )
        self._driver: Driver | None = None
        self._core: Serf | None = None
        self._left = False

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen, and be a pool of one.

        Raises:
            OSError: the address cannot be bound.
            MembershipError: the tags are too long.
        """
        driver = Driver(
            self._runtime,
            self._codec,
            pool=self._pool,
            stream_timeout=self._config.stream_timeout,
            events=self._receive,
            settled=self._settle,
            metrics=self._metrics,
        )
        bound = await driver.open(*self._bind)
        host, port = self._advertise or bound
        try:
            serf = Serf(
                self._config,
                self._rng,
                name=self._name,
                address=(host, bound[1] if port is None else port),
                tags=self._tags,
                keyring=self._keyring,
                admit=self._admit,
            )
        except MembershipError:
            await driver.close()
            raise
        self._core = serf
        self._driver = driver
        driver.run(serf)

    async def join(self, addresses: Iterable[str], *, ignore_old: bool = True) -> int:
        """Meet the members at ``addresses``, each ``host``, ``host:port`` or ``[v6]:port``.

        Returns how many could be reached. With ``ignore_old`` no user event from before is told.

        Raises:
            JoinFailed: none could be reached; one line for each says why.
        """
        serf, driver = self._serf, self._running
        failures = []
        joined = 0
        serf.ignoring_old_events = ignore_old
        try:
            for text in addresses:
                try:
                    to = parse_address(text, self._default_port)
                    await driver.exchange(to, join=True)
                except (OSError, MembershipError) as error:
                    failures.append(f"Failed to join {text}: {in_words(error, text)}")
                else:
                    joined += 1
        finally:
            serf.ignoring_old_events = False
        if failures and not joined:
            raise JoinFailed(many(failures))
        if joined:
            serf.intend_to_join()
            driver.flush()
        return joined

    async def leave(self) -> None:
        """Say good-bye, wait until it was heard, and go silent. May be called again."""
        if self._left:
            return
        serf, driver = self._serf, self._running
        self._left = True
        heard = asyncio.Event()
        serf.intend_to_leave(now=self._now(), done=heard.set)
        driver.flush()
        await self._wait(heard, self._config.broadcast_timeout)
        gone = asyncio.Event()
        alone = not serf.swim.has_others()
        serf.swim.leave(now=self._now(), done=gone.set)
        driver.flush()
        await self._wait(gone, self._config.broadcast_timeout)
        if not alone:
            await self._runtime.clock.sleep(self._config.leave_propagate_delay)
        await self.close()

    async def close(self) -> None:
        """Go silent at once; to the others this is a failure unless :meth:`leave` came before."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

    # -- members -------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """Where others find us."""
        return self._serf.swim.own.address

    def members(self) -> list[Member]:
        """All members by name, ourselves and those gone included."""
        return self._serf.members()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace our tags, and tell everybody.

        Raises:
            MembershipError: they are too long.
        """
        self._serf.describe(tags, now=self._now())
        self._running.flush()

    async def force_leave(self, name: str, *, prune: bool = False) -> None:
        """Treat the failed ``name`` as one that left, and with ``prune`` forget it.

        One that is alive objects, and stays.

        Raises:
            UnknownMember: there is no such member.
            MembershipError: it could not be told to the others in time.
        """
        serf = self._serf
        if name not in serf.roster.by_name:
            raise UnknownMember(f"No node found with name '{name}'")
        told = asyncio.Event()
        serf.force_leave(name, prune=prune, now=self._now(), done=told.set)
        self._running.flush()
        if not await self._wait(told, self._config.broadcast_timeout):
            raise MembershipError("timed out broadcasting node removal")

    # -- events and queries --------------------------------------------------------------------

    def user_event(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> None:
        """Tell the whole pool, ourselves included.

        Raises:
            EventTooLarge: it does not fit.
        """
        self._serf.user_event(name, payload, coalesce=coalesce, now=self._now())
        self._running.flush()

    async def query(
        self,
        name: str,
        payload: bytes = b"",
        *,
        nodes: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
        ack: bool = False,
        relay_factor: int = 0,
        timeout: float | None = None,
        enough: int | None = None,
    ) -> QueryAnswers:
        """Ask the pool, and gather answers for ``timeout`` seconds or until there are ``enough``.

        Only ``nodes`` are asked, if any are named, and only those whose ``tags`` match the regular
        expressions given.

        Raises:
            EventTooLarge: it does not fit.
        """
        changed = asyncio.Event()
        if timeout is None:
            timeout = self._query_timeout()
        pending = self._serf.query(
            name,
            payload,
            now=self._now(),
            changed=changed.set,
            nodes=tuple(nodes),
            tags=tags,
            ack=ack,
            relay_factor=relay_factor,
            timeout=timeout,
        )
        self._running.flush()
        while not pending.over and (enough is None or len(pending.responses) < enough):
            changed.clear()
            await self._runtime.clock.wait(changed, until=pending.deadline + timeout)
            if self._driver is None:
                raise NotRunning("the pool was closed")
        return QueryAnswers(tuple(sorted(pending.acks)), dict(pending.responses))

    def respond(self, query: QueryReceived, payload: bytes) -> None:
        """Answer ``query``, which came as an event.

        Raises:
            EventTooLarge: it does not fit.
            MembershipError: nobody waits for it any more.
        """
        self._serf.respond(query, payload, now=self._now())
        self._running.flush()

    def _query_timeout(self) -> float:
        members = len(self._serf.swim.peers)
        config = self._config
        return config.gossip_interval * config.query_timeout_mult * ceil(log10(members + 1))

    # -- distances -----------------------------------------------------------------------------

    @property
    def coordinate(self) -> Coordinate:
        """Where we are in the network."""
        return self._serf.coordinates.coordinate

    def coordinate_of(self, name: str) -> Coordinate | None:
        """Where ``name`` is; ``None`` until it has answered a probe of ours."""
        return self._serf.known_coordinates.get(name)

    def rtt(self, first: str, second: str | None = None) -> float | None:
        """Estimated seconds there and back, from us if no second name is given.

        ``None`` until both have answered probes of ours.
        """
        ends = (self.coordinate_of(first), self.coordinate_of(second or self._name))
        return None if ends[0] is None or ends[1] is None else ends[0].distance(ends[1])

    # -- keys ----------------------------------------------------------------------------------

    async def list_keys(self, *, relay_factor: int = 0) -> KeyringReport:
        """Which keys the members have."""
        return await self._key_query(LIST, None, relay_factor)

    async def install_key(self, key: bytes, *, relay_factor: int = 0) -> KeyringReport:
        """Let every member decrypt with ``key``.

        Raises:
            KeyringError: it cannot be a key.
        """
        check_key(key)
        return await self._key_query(INSTALL, key, relay_factor)

    async def use_key(self, key: bytes, *, relay_factor: int = 0) -> KeyringReport:
        """Let every member encrypt with ``key``, which all have."""
        return await self._key_query(USE, key, relay_factor)

    async def remove_key(self, key: bytes, *, relay_factor: int = 0) -> KeyringReport:
        """Let every member forget ``key``."""
        return await self._key_query(REMOVE, key, relay_factor)

    async def _key_query(self, what: str, key: bytes | None, relay_factor: int) -> KeyringReport:
        """The pool's answers; :meth:`KeyringReport.failure` says whether all agreed."""
        alive = len(self._serf.roster.with_status(MemberStatus.ALIVE))
        answers = await self.query(
            f"{INTERNAL}{what}",
            b"" if key is None else request(key),
            relay_factor=relay_factor,
            enough=alive,
        )
        return report(answers.responses, members=alive)

    # -- numbers -------------------------------------------------------------------------------

    def stats(self) -> dict[str, str]:
        """The pool's section of ``info``, with Consul's names."""
        serf = self._serf
        roster = serf.roster
        return {
            "coordinate_resets": str(serf.coordinates.resets),
            "encrypted": str(self._keyring is not None).lower(),
            "event_queue": str(len(serf.event_queue)),
            "event_time": str(serf.event_clock.time),
            "failed": str(len(roster.with_status(MemberStatus.FAILED))),
            "health_score": str(serf.swim.prober.awareness.score),
            "intent_queue": str(len(serf.intent_queue)),
            "left": str(len(roster.with_status(MemberStatus.LEFT))),
            "member_time": str(serf.clock.time),
            "members": str(len(roster.by_name)),
            "query_queue": str(len(serf.query_queue)),
            "query_time": str(serf.query_clock.time),
        }

    # -- inside --------------------------------------------------------------------------------

    @property
    def _serf(self) -> Serf:
        if self._core is None:
            raise NotRunning("the pool was not started")
        return self._core

    @property
    def _running(self) -> Driver:
        if self._driver is None:
            raise NotRunning("the pool was closed")
        return self._driver

    def _now(self) -> float:
        return self._runtime.clock.now()

    async def _wait(self, event: asyncio.Event, timeout: float) -> bool:
        return await self._runtime.clock.wait(event, until=self._now() + timeout)

    def _settle(self) -> None:
        keyring, path = self._keyring, self._keyring_path
        serf = self._serf
        self._metrics.health.labels(self._pool).set(serf.swim.prober.awareness.score)
        if keyring is None or path is None or keyring.version == self._keyring_version:
            return
        self._keyring_version = keyring.version
        self._running.spawn(self._write_keyring(path, keyring.dump()))

    async def _write_keyring(self, path: Path, content: bytes) -> None:
        disk = self._runtime.disk
        try:
            await disk.run(lambda: disk.write_atomic(path, content, mode=0o600))
        except OSError:
            log.exception("keyring was not written", path=str(path))

    def _receive(self, event: Event) -> None:
        serf = self._serf
        match event:
            case MemberEvent():
                member = event.member
                log.info(
                    "member changed",
                    change=event.change.value,
                    member=member.name,
                    address=f"{member.address}:{member.port}",
                )
                self._metrics.changes.labels(self._pool, event.change.value).inc()
                self._metrics.members.labels(self._pool).set(len(serf.roster.by_name))
            case NameConflict():
                log.warning(
                    "name is claimed by two members",
                    member=event.name,
                    address=event.held,
                    claimed=event.claimed,
                )
            case _:
                pass
        self._receiver(event)


def many(failures: list[str]) -> str:
    """Several sentences as the one that Consul makes of them."""
    count = "1 error" if len(failures) == 1 else f"{len(failures)} errors"
    return f"{count} occurred:\n\t* " + "\n\t* ".join(failures) + "\n\n"
