"""Settings under the names they had, still read, and moved to the names they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple


class Legacy(NamedTuple):
    """A setting that moved."""

    old: str
    new: str
    kind: str = "string"


LEGACY: Final = (
    Legacy("acl_datacenter", "primary_datacenter"),
    Legacy("acl_default_policy", "acl.default_policy"),
    Legacy("acl_down_policy", "acl.down_policy"),
    Legacy("acl_enable_key_list_policy", "acl.enable_key_list_policy", "bool"),
    Legacy("acl_token", "acl.tokens.default"),
    Legacy("acl_agent_token", "acl.tokens.agent"),
    Legacy("acl_agent_master_token", "acl.tokens.agent_recovery"),
    Legacy("acl_master_token", "acl.tokens.initial_management"),
    Legacy("acl_replication_token", "acl.tokens.replication"),
    Legacy("acl_ttl", "acl.token_ttl", "duration"),
    Legacy("acl.tokens.master", "acl.tokens.initial_management"),
    Legacy("acl.tokens.agent_master", "acl.tokens.agent_recovery"),
    Legacy("enable_acl_replication", "acl.enable_token_replication", "bool"),
    Legacy("ui", "ui_config.enabled", "bool"),
    Legacy("ui_dir", "ui_config.dir"),
    Legacy("ui_content_path", "ui_config.content_path"),
    Legacy("ca_file", "tls.defaults.ca_file"),
    Legacy("ca_path", "tls.defaults.ca_path"),
    Legacy("cert_file", "tls.defaults.cert_file"),
    Legacy("key_file", "tls.defaults.key_file"),
    Legacy("tls_min_version", "tls.defaults.tls_min_version"),
    Legacy("tls_cipher_suites", "tls.defaults.tls_cipher_suites"),
    Legacy("verify_incoming", "tls.defaults.verify_incoming", "bool"),
    Legacy("verify_incoming_rpc", "tls.internal_rpc.verify_incoming", "bool"),
    Legacy("verify_incoming_https", "tls.https.verify_incoming", "bool"),
    Legacy("verify_outgoing", "tls.defaults.verify_outgoing", "bool"),
    Legacy("verify_server_hostname", "tls.internal_rpc.verify_server_hostname", "bool"),
    Legacy("non_voting_server", "read_replica", "bool"),
)

_TLS_VERSIONS: Final = {f"tls1{minor}": f"TLSv1_{minor}" for minor in range(4)}


def modernise(merged: dict[str, Any], *, warn: Callable[[str], None]) -> None:
    """Move every legacy setting of ``merged`` to its name of today, unless that is set too."""
    legacy_acls = "acl_datacenter" in merged
    for old, new, _ in LEGACY:
        value = take(merged, old)
        if value is None:
            continue
        if new != "read_replica":  # that one is told of as an Enterprise setting
            warn(f"The '{old}' field is deprecated. Use the '{new}' field instead.")
        if look(merged, new) is None:
            put(merged, new, _TLS_VERSIONS.get(value, value) if "min_version" in old else value)
    if legacy_acls and look(merged, "acl.enabled") is None:
        put(merged, "acl.enabled", True)  # noqa: FBT003 - the setting's value


def look(values: dict[str, Any], path: str) -> Any:
    """The value at ``path``; ``None`` when it is not set."""
    inner: Any = values
    for name in path.split("."):
        inner = inner.get(name) if isinstance(inner, dict) else None
    return inner


def put(values: dict[str, Any], path: str, value: object) -> None:
    """Set ``path``, making the groups on the way; the groups that exist are not shared."""
    *groups, name = path.split(".")
    for group in groups:
        values[group] = dict(values.get(group, {}))
        values = values[group]
    values[name] = value


def take(values: dict[str, Any], path: str) -> Any:
    """Remove ``path`` and return its value; ``None`` when it is not set."""
    *groups, name = path.split(".")
    for group in groups:
        inner = values.get(group)
        if not isinstance(inner, dict):
            return None
        values[group] = values = dict(inner)
    return values.pop(name, None)
