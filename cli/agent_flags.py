"""The flags of ``lictor agent``: which setting each stands for.

Flags win over every file. Their values have the types files have; durations stay text, so that a
bad one is told in the same words wherever it was written.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .flags import SWITCH, VALUE, Flag, Kind, text_named


class SettingFlag(NamedTuple):
    """A flag that stands for a setting."""

    name: str
    path: str
    """The setting, such as ``ports.http``."""
    kind: str
    """``text``, ``switch``, ``number``, ``list`` (given again for each) or ``pairs``."""
    help: str


SETTINGS: Final = (
    SettingFlag("advertise", "advertise_addr", "text", "Address at which the datacenter finds us."),
    SettingFlag(
        "advertise-wan", "advertise_addr_wan", "text", "Address at which other datacenters find us."
    ),
    SettingFlag(
        "allow-write-http-from",
        "http_config.allow_write_http_from",
        "list",
        "Network (CIDR) that may use the agent's write endpoints. Repeatable.",
    ),
    SettingFlag("alt-domain", "alt_domain", "text", "A second zone that DNS answers for."),
    SettingFlag("bind", "bind_addr", "text", "Address on which the cluster reaches us."),
    SettingFlag("bootstrap", "bootstrap", "switch", "Start a cluster alone: elect this server."),
    SettingFlag(
        "bootstrap-expect",
        "bootstrap_expect",
        "number",
        "How many servers to wait for before the first election.",
    ),
    SettingFlag(
        "check_output_max_size", "check_output_max_size", "number", "Bytes of check output kept."
    ),
    SettingFlag("client", "client_addr", "text", "Addresses for HTTP, DNS and gRPC, by blanks."),
    SettingFlag("data-dir", "data_dir", "text", "Directory that holds the agent's state."),
    SettingFlag("datacenter", "datacenter", "text", "Datacenter of the agent."),
    SettingFlag(
        "default-query-time",
        "default_query_time",
        "text",
        "How long a blocking query waits when it does not say.",
    ),
    SettingFlag(
        "disable-host-node-id",
        "disable_host_node_id",
        "switch",
        "Make up the node id rather than derive it from the host.",
    ),
    SettingFlag(
        "disable-keyring-file",
        "disable_keyring_file",
        "switch",
        "Keep gossip keys in memory only.",
    ),
    SettingFlag("dns-port", "ports.dns", "number", "Port for DNS; -1 is off."),
    SettingFlag("domain", "domain", "text", "The zone that DNS answers for."),
    SettingFlag(
        "enable-local-script-checks",
        "enable_local_script_checks",
        "switch",
        "Run script checks that files define.",
    ),
    SettingFlag(
        "enable-script-checks",
        "enable_script_checks",
        "switch",
        "Run script checks, those registered over HTTP too.",
    ),
    SettingFlag("encrypt", "encrypt", "text", "Gossip key, as keygen prints it."),
    SettingFlag("grpc-port", "ports.grpc", "number", "Port for xDS; -1 is off."),
    SettingFlag("grpc-tls-port", "ports.grpc_tls", "number", "Port for xDS over TLS; -1 is off."),
    SettingFlag("http-port", "ports.http", "number", "Port for HTTP; -1 is off."),
    SettingFlag("https-port", "ports.https", "number", "Port for HTTPS; -1 is off."),
    SettingFlag("join", "start_join", "list", "Agent to join once, at start. Repeatable."),
    SettingFlag(
        "join-wan", "start_join_wan", "list", "Server to join across datacenters once. Repeatable."
    ),
    SettingFlag("log-file", "log_file", "text", "File that is logged to as well."),
    SettingFlag("log-json", "log_json", "switch", "Log one JSON object a line."),
    SettingFlag("log-level", "log_level", "text", "TRACE, DEBUG, INFO, WARN or ERR."),
    SettingFlag("log-rotate-bytes", "log_rotate_bytes", "number", "Bytes in a log file at most."),
    SettingFlag(
        "log-rotate-duration", "log_rotate_duration", "text", "Time in a log file at most."
    ),
    SettingFlag("log-rotate-max-files", "log_rotate_max_files", "number", "Old log files to keep."),
    SettingFlag("max-query-time", "max_query_time", "text", "How long a blocking query may wait."),
    SettingFlag("node", "node_name", "text", "Name of this node, unique in the cluster."),
    SettingFlag("node-id", "node_id", "text", "UUID of this node; made up and kept if not given."),
    SettingFlag(
        "node-meta", "node_meta", "pairs", "Metadata of this node, as key:value. Repeatable."
    ),
    SettingFlag(
        "non-voting-server",
        "read_replica",
        "switch",
        "Enterprise: a server that has no vote.",
    ),
    SettingFlag("pid-file", "pid_file", "text", "File that gets the process id."),
    SettingFlag(
        "primary-gateway",
        "primary_gateways",
        "list",
        "Mesh gateway of the primary datacenter. Repeatable.",
    ),
    SettingFlag("protocol", "protocol", "number", "Version of the gossip protocol."),
    SettingFlag("raft-protocol", "raft_protocol", "number", "Version of the Raft protocol."),
    SettingFlag(
        "recursor", "recursors", "list", "DNS server that is asked about other zones. Repeatable."
    ),
    SettingFlag(
        "rejoin", "rejoin_after_leave", "switch", "Rejoin the cluster although we once left it."
    ),
    SettingFlag("retry-interval", "retry_interval", "text", "Time between attempts to join."),
    SettingFlag(
        "retry-interval-wan",
        "retry_interval_wan",
        "text",
        "Time between attempts to join across datacenters.",
    ),
    SettingFlag(
        "retry-join", "retry_join", "list", "Agent to join, tried until it works. Repeatable."
    ),
    SettingFlag(
        "retry-join-wan",
        "retry_join_wan",
        "list",
        "Server to join across datacenters, tried until it works. Repeatable.",
    ),
    SettingFlag("retry-max", "retry_max", "number", "Attempts to join before giving up; 0: never."),
    SettingFlag(
        "retry-max-wan",
        "retry_max_wan",
        "number",
        "Attempts to join across datacenters before giving up; 0: never.",
    ),
    SettingFlag("segment", "segment", "text", "Enterprise: the network segment to join."),
    SettingFlag(
        "serf-lan-allowed-cidrs",
        "serf_lan_allowed_cidrs",
        "list",
        "Network (CIDR) whose hosts may be members. Repeatable.",
    ),
    SettingFlag("serf-lan-bind", "serf_lan", "text", "Address for gossip in the datacenter."),
    SettingFlag("serf-lan-port", "ports.serf_lan", "number", "Port for gossip in the datacenter."),
    SettingFlag(
        "serf-wan-allowed-cidrs",
        "serf_wan_allowed_cidrs",
        "list",
        "Network (CIDR) whose hosts may be members across datacenters. Repeatable.",
    ),
    SettingFlag("serf-wan-bind", "serf_wan", "text", "Address for gossip across datacenters."),
    SettingFlag(
        "serf-wan-port",
        "ports.serf_wan",
        "number",
        "Port for gossip across datacenters; -1 is off.",
    ),
    SettingFlag("server", "server", "switch", "Be a server rather than a client."),
    SettingFlag("server-port", "ports.server", "number", "Port on which servers are called."),
    SettingFlag("syslog", "enable_syslog", "switch", "Log to syslog as well."),
    SettingFlag("ui", "ui_config.enabled", "switch", "Serve the web UI."),
    SettingFlag("ui-content-path", "ui_config.content_path", "text", "Path of the web UI: /ui/."),
    SettingFlag("ui-dir", "ui_config.dir", "text", "Directory with a web UI of your own."),
)


def _number(text: str) -> int:
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if len(digits) > 18:
        raise ValueError(f'strconv.Atoi: parsing "{text}": value out of range')
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    """``key:value``; without a colon, a key with nothing."""
    key, _, value = text.partition(":")
    return key, value


NUMBER: Final = Kind("value", _number)
PAIR: Final = Kind("key:value", _pair)
_KINDS: Final[dict[str, Kind[Any]]] = {
    "text": VALUE,
    "list": VALUE,
    "switch": SWITCH,
    "number": NUMBER,
    "pairs": PAIR,
}

PATHS: Final = "paths"
"""The parameter in which ``-config-file`` and ``-config-dir`` gather, in the order given."""


def flags() -> list[Flag]:
    """Every flag of the command. A setting's flag that is not given has the value None or ()."""
    found = [
        _path_flag("config-file", "File in HCL or JSON, by its extension. Repeatable."),
        _path_flag("config-dir", "Directory whose .hcl and .json files are read. Repeatable."),
        Flag("config-format", text_named("string"), "Format of every file: hcl or json."),
        Flag("hcl", VALUE, "Configuration in HCL, given here. Repeatable.", multiple=True),
        Flag("dev", SWITCH, "Run a server by itself that keeps nothing, with everything on."),
    ]
    for name, _, kind, text in SETTINGS:
        one = Flag(name, _KINDS[kind], text, multiple=kind in {"list", "pairs"})
        if kind == "switch":
            one.fallback = None  # so that -server=false can overrule a file
        found.append(one)
    return found


def _path_flag(name: str, text: str) -> Flag:
    one = Flag(name, VALUE, text, multiple=True)
    one.variable = PATHS
    return one


def settings(values: dict[str, object]) -> dict[str, object]:
    """The settings that flags stand for, by path, from the parameters of the command."""
    found: dict[str, object] = {}
    for name, path, kind, _ in SETTINGS:
        value = values.get(name.replace("-", "_"))
        if value is None or value == ():
            continue
        if isinstance(value, tuple):
            found[path] = dict(value) if kind == "pairs" else list(value)
        else:
            found[path] = value
    return found
