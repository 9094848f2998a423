"""What ``validate`` lets pass and an agent still cannot start with.

Texts are those with which Consul 1.8.7 gave up.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final

from lictor.registry.errors import InvalidConfig

from .agent import AgentConfig

LOG_LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERR", "ERROR")
KEY_SIZES: Final = frozenset({16, 24, 32})
"""Bytes in a gossip key: AES-128, 192 or 256."""

PROTOCOLS: Final = (2, 3)
RAFT_PROTOCOLS: Final = (1, 3)
_TLS_VERSIONS: Final = frozenset({"", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3", "TLS_AUTO"})
_DOWN_POLICIES: Final = frozenset({"allow", "deny", "extend-cache", "async-cache"})
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_LENGTH: Final = 36


def check_start(config: AgentConfig) -> None:
    """Refuse what an agent cannot run with, although it is a valid configuration.

    Raises:
        InvalidConfig: the first such thing.
    """
    for complaint in _complaints(config):
        raise InvalidConfig(complaint)


def _complaints(config: AgentConfig) -> Iterator[str]:
    if config.log_level.upper() not in LOG_LEVELS:
        known = " ".join(LOG_LEVELS)
        yield f"Invalid log level: {config.log_level}. Valid log levels are: [{known}]"
    yield from _tls(config)
    if config.node_id and not _UUID.fullmatch(config.node_id):
        wrong = (
            "uuid string is wrong length"
            if len(config.node_id) != _UUID_LENGTH
            else "uuid is improperly formatted"
        )
        yield f"failed to setup node ID: specified NodeID is invalid: {wrong}"
    if config.encrypt and len(base64.b64decode(config.encrypt)) not in KEY_SIZES:
        yield "Failed to configure keyring: key size must be 16, 24 or 32 bytes"
    low, high = PROTOCOLS
    if not low <= config.protocol <= high:
        how = "low" if config.protocol < low else "high"
        yield f"Protocol version '{config.protocol}' too {how}. Must be in range: [{low}, {high}]"
    if config.raft_protocol and not RAFT_PROTOCOLS[0] <= config.raft_protocol <= RAFT_PROTOCOLS[1]:
        yield (
            f"Failed to start Raft: Protocol version {config.raft_protocol} must be "
            f">= {RAFT_PROTOCOLS[0]} and <= {RAFT_PROTOCOLS[1]}"
        )
    if config.acl.enabled and config.acl.default_policy not in {"allow", "deny"}:
        yield f"Unsupported default ACL policy: {config.acl.default_policy}"
    if config.acl.enabled and config.acl.down_policy not in _DOWN_POLICIES:
        yield f"Unsupported down ACL policy: {config.acl.down_policy}"


def _tls(config: AgentConfig) -> Iterator[str]:
    for interface in (config.tls.internal_rpc, config.tls.https, config.tls.grpc):
        if interface.tls_min_version not in _TLS_VERSIONS:
            yield (
                f"TLSMinVersion: value {interface.tls_min_version} not supported, "
                "please specify one of [tls10, tls11, tls12, tls13]"
            )
        has_ca = bool(interface.ca_file or interface.ca_path)
        # With auto_encrypt or auto_config the servers hand out the authorities.
        given = config.auto_encrypt.tls or config.auto_config.enabled
        if interface.verify_outgoing and not has_ca and not given:
            yield "VerifyOutgoing set, and no CA certificate provided!"
        if interface.verify_incoming and not has_ca:
            yield "VerifyIncoming set but no CA certificates were provided"
    if config.auto_encrypt.tls and config.server:
        yield "auto_encrypt.tls can only be used on a client."
