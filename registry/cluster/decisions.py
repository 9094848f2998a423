"""What a server does about the others that gossip shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from lictor.raft.membership import Change, ChangeKind, ChangeSet, Configuration

from .tags import ServerInfo


class Founders(msgspec.Struct, frozen=True):
    """The servers that begin a cluster together."""

    servers: tuple[ServerInfo, ...]
    """Ascending by Raft id."""

    @property
    def configuration(self) -> Configuration:
        """Raft's first configuration: the same on every founder."""
        return Configuration(
            voters=tuple(server.raft_id for server in self.servers),
            addresses=tuple((server.raft_id, server.rpc_address) for server in self.servers),
        )

    @property
    def ids(self) -> list[int]:
        """Their Raft ids, ascending."""
        return [server.raft_id for server in self.servers]


def founders(me: ServerInfo, alive: Iterable[ServerInfo]) -> Founders | str:
    """Who begins a cluster with ``me``, or why it cannot begin yet.

    All of one data centre that wait for the same number must be there. Everybody sees the same or
    waits: before a founder begins it asks each other for its own list, and begins only when all
    lists are equal.

    Source: Consul's rules for ``bootstrap_expect``.
    """
    others = [server for server in alive if server.datacenter == me.datacenter]
    if any(server.bootstrap for server in others):
        return "a server of this data centre is in bootstrap mode"
    wrong = [server.name for server in others if server.expect not in {0, me.expect}]
    if wrong:
        return f"{', '.join(sorted(wrong))} expects another number of servers"
    waiting = {server.raft_id: server for server in others if server.expect == me.expect}
    waiting[me.raft_id] = me
    if len(waiting) < me.expect:
        return f"{len(waiting)} of {me.expect} expected servers are here"
    chosen = sorted(waiting.values(), key=lambda server: server.raft_id)[: me.expect]
    if me not in chosen:
        return "others begin the cluster"
    return Founders(tuple(chosen))


def joining(
    configuration: Configuration, alive: Iterable[ServerInfo], *, datacenter: str
) -> ChangeSet | None:
    """The next change that brings a server in, or its new address; ``None`` when all are in.

    One at a time, the lowest Raft id first: as a learner, which :func:`promotable` makes a voter.
    """
    known = dict(configuration.addresses)
    for server in sorted(alive, key=lambda each: each.raft_id):
        if server.datacenter != datacenter:
            continue
        if server.raft_id not in configuration.members:
            change = Change(ChangeKind.ADD_LEARNER, server.raft_id, server.rpc_address)
            return ChangeSet((change,))
        if known.get(server.raft_id) != server.rpc_address:
            return ChangeSet((Change(ChangeKind.UPDATE, server.raft_id, server.rpc_address),))
    return None


def promotable(
    configuration: Configuration,
    *,
    matched: Mapping[int, int],
    commit_index: int,
    stable_since: Mapping[int, float],
    now: float,
    max_trailing: int,
    stabilization: float,
) -> int | None:
    """The learner that may become a voter now: caught up, and healthy for long enough.

    ``matched`` has each learner's replicated index, ``stable_since`` since when it was healthy.
    """
    for learner in configuration.learners:
        since = stable_since.get(learner)
        caught_up = matched.get(learner, 0) >= commit_index - max_trailing
        if since is not None and caught_up and now - since >= stabilization:
            return learner
    return None


def leaving(configuration: Configuration, raft_id: int) -> ChangeSet | None:
    """The change that takes a server out; ``None`` when it is not in, or the last voter."""
    if raft_id not in configuration.members:
        return None
    if configuration.voters == (raft_id,):
        return None
    return ChangeSet((Change(ChangeKind.REMOVE, raft_id),))
