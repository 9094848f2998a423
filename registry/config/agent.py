"""All of an agent's settings, merged, checked and typed."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from msgspec import field

from .keys import Computed, Duration, Key, Section
from .sections import (
    RPC,
    XDS,
    Addresses,
    Autopilot,
    Cache,
    ConfigEntries,
    DNSConfig,
    GossipLAN,
    GossipWAN,
    HTTPConfig,
    Limits,
    Locality,
    Peering,
    Performance,
    Ports,
    RaftLogStore,
    Telemetry,
    UIConfig,
    UnixSockets,
)
from .security import ACLConfig, AutoConfig, AutoEncrypt, ConnectConfig, TLSConfig


class Listen(NamedTuple):
    """One place to listen on: an address and a port, or a socket's path (then ``port`` is 0)."""

    host: str
    port: int

    @property
    def is_unix(self) -> bool:
        """Whether ``host`` is the path of a Unix socket."""
        return self.host.startswith("/")

    @property
    def text(self) -> str:
        """``host:port``, with brackets around IPv6; or ``unix://path``."""
        if self.is_unix:
            return f"unix://{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Listeners(Computed, frozen=True):
    """Every place to listen on, resolved; empty where an interface is off."""

    dns: tuple[Listen, ...] = ()
    http: tuple[Listen, ...] = ()
    https: tuple[Listen, ...] = ()
    grpc: tuple[Listen, ...] = ()
    grpc_tls: tuple[Listen, ...] = ()
    rpc: Listen = Listen("127.0.0.1", 8300)
    serf_lan: Listen = Listen("127.0.0.1", 8301)
    serf_wan: Listen | None = None


class Timings(Computed, frozen=True):
    """What no setting names: it follows from the others, or from dev mode. Seconds."""

    raft_heartbeat_timeout: float = 5.0
    raft_election_timeout: float = 5.0
    raft_leader_lease_timeout: float = 2.5
    server_health_interval: float = 2.0
    coordinate_update_period: float = 5.0
    coordinate_update_batch_size: int = 128
    coordinate_update_max_batches: int = 5
    sync_coordinate_interval_min: float = 15.0
    sync_coordinate_rate_target: float = 64.0
    anti_entropy_interval: float = 60.0
    check_reap_interval: float = 30.0
    check_deregister_interval_min: float = 60.0
    acl_disabled_ttl: float = 120.0


class AgentConfig(Section, frozen=True):
    """The configuration of one agent. Below it, nobody reads files, flags or the environment.

    Fields are named as the settings are. Those without a :class:`Key` are computed by
    ``load``; addresses among them are IP addresses, all templates resolved.
    """

    # Who and where
    node_name: Annotated[str, Key("Name of the node, unique.", default="the host's name")] = ""
    node_id: Annotated[str, Key("UUID of the node.", default="random, kept in `data_dir`")] = ""
    node_meta: Annotated[dict[str, str], Key("Metadata, at most 64 pairs.", reload=True)] = field(
        default_factory=dict
    )
    datacenter: Annotated[str, Key("Datacenter; lower case.")] = "dc1"
    primary_datacenter: Annotated[
        str, Key("Where ACLs, intentions and the CA live.", default="datacenter")
    ] = ""
    server: Annotated[bool, Key("Be a server.")] = False
    bootstrap: Annotated[bool, Key("Elect oneself; one server only.")] = False
    bootstrap_expect: Annotated[int, Key("Servers to wait for at the first start.")] = 0
    data_dir: Annotated[
        str, Key("Where state is kept.", default="none; required but in dev mode")
    ] = ""
    domain: Annotated[str, Key("DNS zone.")] = "consul."
    alt_domain: Annotated[str, Key("Second DNS zone.")] = ""
    locality: Locality = Locality()
    protocol: Annotated[int, Key("Gossip protocol.")] = 2
    raft_protocol: Annotated[int, Key("Raft protocol.", default="the newest, 3")] = 0
    pid_file: Annotated[str, Key("Write the process id here.")] = ""
    disable_host_node_id: Annotated[bool, Key("Do not derive `node_id` from the host.")] = True

    # Addresses
    bind_addr: Annotated[
        str, Key("Address of the cluster's listeners.", default="0.0.0.0; 127.0.0.1 in dev mode")
    ] = "0.0.0.0"  # noqa: S104 - Consul's default
    advertise_addr: Annotated[
        str, Key("Where others reach us.", default="bind_addr, or the one private IPv4")
    ] = ""
    advertise_addr_ipv4: Annotated[str, Key("The same, IPv4.")] = ""
    advertise_addr_ipv6: Annotated[str, Key("The same, IPv6.")] = ""
    advertise_addr_wan: Annotated[
        str, Key("Where other datacenters reach us.", default="advertise_addr")
    ] = ""
    advertise_addr_wan_ipv4: Annotated[str, Key("The same, IPv4.")] = ""
    advertise_addr_wan_ipv6: Annotated[str, Key("The same, IPv6.")] = ""
    client_addr: Annotated[str, Key("Addresses of HTTP, DNS and gRPC, by blanks.")] = "127.0.0.1"
    addresses: Addresses = Addresses()
    ports: Ports = Ports()
    unix_sockets: UnixSockets = UnixSockets()
    serf_lan: Annotated[str, Key("Address of LAN gossip.", default="bind_addr")] = ""
    serf_wan: Annotated[str, Key("Address of WAN gossip.", default="bind_addr")] = ""
    serf_lan_allowed_cidrs: Annotated[tuple[str, ...], Key("Networks of LAN members.")] = ()
    serf_wan_allowed_cidrs: Annotated[tuple[str, ...], Key("Networks of WAN members.")] = ()
    translate_wan_addrs: Annotated[bool, Key("Give WAN addresses to other datacenters.")] = False

    # Joining
    retry_join: Annotated[tuple[str, ...], Key("Whom to join, until it works.")] = ()
    retry_join_wan: Annotated[tuple[str, ...], Key("The same, between datacenters.")] = ()
    retry_interval: Annotated[Duration, Key("Time between attempts.")] = 30.0
    retry_interval_wan: Annotated[Duration, Key("Time between WAN attempts.")] = 30.0
    retry_max: Annotated[int, Key("Attempts before giving up; 0: never.")] = 0
    retry_max_wan: Annotated[int, Key("WAN attempts before giving up; 0: never.")] = 0
    start_join: Annotated[tuple[str, ...], Key("Whom to join, once, at start.")] = ()
    start_join_wan: Annotated[tuple[str, ...], Key("The same, between datacenters.")] = ()
    primary_gateways: Annotated[
        tuple[str, ...], Key("Mesh gateways of the primary datacenter.", acts=False)
    ] = ()
    primary_gateways_interval: Annotated[Duration, Key("Time between tries.", acts=False)] = 30.0
    rejoin_after_leave: Annotated[bool, Key("Rejoin although we left.")] = False
    server_rejoin_age_max: Annotated[Duration, Key("Longest absence of a server.", acts=False)] = (
        604_800.0
    )
    leave_on_terminate: Annotated[
        bool, Key("SIGTERM leaves.", default="true for clients, false for servers")
    ] = False
    skip_leave_on_interrupt: Annotated[
        bool, Key("SIGINT does not leave.", default="false for clients, true for servers")
    ] = False
    reconnect_timeout: Annotated[Duration, Key("Keep a failed member.", default="72h")] = 0.0
    reconnect_timeout_wan: Annotated[Duration, Key("Keep a failed WAN member.", default="72h")] = (
        0.0
    )
    advertise_reconnect_timeout: Annotated[
        Duration, Key("What others keep us for.", acts=False)
    ] = 0.0

    # Gossip
    encrypt: Annotated[str, Key("Gossip key, base64 of 16, 24 or 32 bytes.")] = ""
    encrypt_verify_incoming: Annotated[bool, Key("Refuse plain gossip.")] = True
    encrypt_verify_outgoing: Annotated[bool, Key("Send no plain gossip.")] = True
    disable_keyring_file: Annotated[bool, Key("Keep keys in memory only.")] = False
    gossip_lan: GossipLAN = GossipLAN()
    gossip_wan: GossipWAN = GossipWAN()
    disable_coordinates: Annotated[bool, Key("Do not measure distances.")] = False

    # Raft
    performance: Performance = Performance()
    raft_snapshot_threshold: Annotated[
        int, Key("Entries before a snapshot.", reload=True, default="16384")
    ] = 0
    raft_snapshot_interval: Annotated[
        Duration, Key("Time between looks at that.", reload=True, default="30s")
    ] = 0.0
    raft_trailing_logs: Annotated[
        int, Key("Entries kept behind a snapshot.", reload=True, default="10000")
    ] = 0
    raft_logstore: RaftLogStore = RaftLogStore()
    autopilot: Autopilot = Autopilot()

    # Services and checks
    check_update_interval: Annotated[Duration, Key("Delay of pure output changes.")] = 300.0
    check_output_max_size: Annotated[int, Key("Bytes of output kept.")] = 4096
    discard_check_output: Annotated[bool, Key("Keep no output.", reload=True)] = False
    enable_script_checks: Annotated[bool, Key("Allow script checks from anywhere.")] = False
    enable_local_script_checks: Annotated[bool, Key("Allow them from files only.")] = False
    enable_agent_tls_for_checks: Annotated[bool, Key("Checks use our certificate.")] = False
    enable_central_service_config: Annotated[
        bool, Key("Fill in services from mesh configuration.", default="true")
    ] = True
    disable_remote_exec: Annotated[bool, Key("Refuse `exec`.")] = True
    watches: Annotated[tuple[dict[str, Any], ...], Key("Handlers of changes.", reload=True)] = ()

    # Queries
    default_query_time: Annotated[Duration, Key("Length of a blocking query.")] = 300.0
    max_query_time: Annotated[Duration, Key("Longest blocking query.")] = 600.0
    discovery_max_stale: Annotated[Duration, Key("Above 0, discovery reads are stale.")] = 0.0
    session_ttl_min: Annotated[Duration, Key("Shortest session.", default="10s")] = 0.0
    use_streaming_backend: Annotated[bool, Key("Streams for health.", acts=False)] = True
    cache: Cache = Cache()
    limits: Limits = Limits()
    rpc: RPC = RPC()

    # Interfaces
    dns_config: DNSConfig = DNSConfig()
    recursors: Annotated[tuple[str, ...], Key("DNS servers for other zones.", reload=True)] = ()
    http_config: HTTPConfig = HTTPConfig()
    ui_config: UIConfig = UIConfig()
    enable_debug: Annotated[bool, Key("Serve profiles.", default="false; true in dev mode")] = False
    disable_http_unprintable_char_filter: Annotated[
        bool, Key("Let control characters into paths.")
    ] = False
    xds: XDS = XDS()

    # Trust
    acl: ACLConfig = ACLConfig()
    tls: TLSConfig = TLSConfig()
    tls_prefer_server_cipher_suites: Annotated[bool, Key("Of no effect.", acts=False)] = False
    server_name: Annotated[str, Key("Name in our certificate.", default="node_name")] = ""
    auto_encrypt: AutoEncrypt = AutoEncrypt()
    auto_config: AutoConfig = AutoConfig()
    connect: ConnectConfig = ConnectConfig()
    peering: Peering = Peering()
    config_entries: ConfigEntries = ConfigEntries()

    # Logs and metrics
    log_level: Annotated[
        str, Key("TRACE, DEBUG, INFO, WARN or ERR.", reload=True, default="INFO; DEBUG in dev mode")
    ] = "INFO"
    log_json: Annotated[bool, Key("Log JSON.")] = False
    log_file: Annotated[str, Key("Also log to this file.")] = ""
    log_rotate_bytes: Annotated[int, Key("Largest log file; 0: any.")] = 0
    log_rotate_duration: Annotated[Duration, Key("Oldest log file.", default="24h")] = 0.0
    log_rotate_max_files: Annotated[int, Key("Old log files kept; 0: all, -1: none.")] = 0
    enable_syslog: Annotated[bool, Key("Also log to syslog.", acts=False)] = False
    syslog_facility: Annotated[str, Key("As which program.", acts=False)] = "LOCAL0"
    telemetry: Telemetry = Telemetry()
    disable_update_check: Annotated[bool, Key("Of no effect: we never call home.")] = False
    disable_anonymous_signature: Annotated[bool, Key("Of no effect, likewise.")] = False
    auto_reload_config: Annotated[bool, Key("Reload when files change.", acts=False)] = False

    # Enterprise
    segment: Annotated[str, Key("Enterprise; refused.", acts=False)] = ""
    segments: Annotated[tuple[dict[str, Any], ...], Key("Enterprise; refused.", acts=False)] = ()
    partition: Annotated[str, Key("Enterprise.", acts=False)] = ""
    read_replica: Annotated[bool, Key("Enterprise.", acts=False)] = False
    license_path: Annotated[str, Key("Enterprise.", acts=False)] = ""
    audit: Annotated[dict[str, Any], Key("Enterprise.", acts=False)] = field(default_factory=dict)
    reporting: Annotated[dict[str, Any], Key("Enterprise.", acts=False)] = field(
        default_factory=dict
    )

    # Computed
    dev: bool = False
    """Dev mode: nothing is kept, everything is on."""

    services: tuple[dict[str, Any], ...] = ()
    """Service definitions, keys as in ``PUT /v1/agent/service/register``."""

    checks: tuple[dict[str, Any], ...] = ()
    """Check definitions, keys as in ``PUT /v1/agent/check/register``."""

    advertise_lan: str = "127.0.0.1"
    """Where members of this datacenter reach us."""

    advertise_wan: str = "127.0.0.1"
    """Where other datacenters reach us."""

    client_addrs: tuple[str, ...] = ("127.0.0.1",)
    """``client_addr``, resolved."""

    tagged_addresses: dict[str, str] = field(default_factory=dict)
    """What the node publishes: ``lan``, ``wan`` and their families."""

    listeners: Listeners = Listeners()
    timings: Timings = Timings()

    # secrets are among the fields; a repr ends up in tracebacks and logs
    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing has override from 3.12 on
        return f"AgentConfig(node={self.node_name!r}, datacenter={self.datacenter!r})"
