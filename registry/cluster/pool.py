"""The LAN pool of an agent, made from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from lictor.raft.runtime import Runtime
from lictor.registry.config import AgentConfig, InvalidConfig
from lictor.registry.membership.config import PoolConfig
from lictor.registry.membership.errors import KeyringError
from lictor.registry.membership.events import Event, Member
from lictor.registry.membership.keyring import Keyring, decode_key
from lictor.registry.membership.pool import Pool


def lan_pool(
    config: AgentConfig,
    runtime: Runtime,
    *,
    tags: dict[str, str],
    events: Callable[[Event], None],
    registry: CollectorRegistry,
) -> Pool:
    """The pool; it does not listen yet.

    Raises:
        InvalidConfig: the gossip key, or the keyring on disk, cannot be used.
    """
    path = None
    if config.data_dir and not config.dev and not config.disable_keyring_file:
        path = Path(config.data_dir) / "serf" / "local.keyring"
    gossip = config.gossip_lan
    return Pool(
        PoolConfig(
            probe_interval=gossip.probe_interval,
            probe_timeout=gossip.probe_timeout,
            suspicion_mult=gossip.suspicion_mult,
            retransmit_mult=gossip.retransmit_mult,
            gossip_interval=gossip.gossip_interval,
            gossip_nodes=gossip.gossip_nodes,
            verify_incoming=config.encrypt_verify_incoming,
            verify_outgoing=config.encrypt_verify_outgoing,
            reconnect_timeout=config.reconnect_timeout or PoolConfig().reconnect_timeout,
        ),
        runtime,
        name=config.node_name,
        tags=tags,
        keyring=_keyring(config, runtime, path),
        keyring_path=path,
        address=config.listeners.serf_lan.host,
        port=config.listeners.serf_lan.port,
        events=events,
        advertise=(config.advertise_lan, None),
        admit=lambda member: _refusal(member, config.datacenter),
        registry=registry,
    )


def _refusal(member: Member, datacenter: str) -> str | None:
    """Why ``member`` may not be in the pool; ``None`` when it may.

    A member without a data centre is no agent of ours, but no harm either.
    """
    theirs = member.tags.get("dc", datacenter)
    if theirs != datacenter:
        return f"Member '{member.name}' part of wrong datacenter '{theirs}'"
    return None


def _keyring(config: AgentConfig, runtime: Runtime, path: Path | None) -> Keyring | None:
    """The keys to gossip with: those on disk if there are any, else the configured one."""
    try:
        if path is not None:
            try:
                return Keyring.load(runtime.disk.read(path))
            except FileNotFoundError:
                pass
        return Keyring([decode_key(config.encrypt)]) if config.encrypt else None
    except KeyringError as error:
        raise InvalidConfig(f"encrypt has invalid key: {error}") from error
