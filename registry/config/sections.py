"""The groups of settings: one struct each, one annotated field per setting."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import field

from .keys import Duration, Key, Section, Size


class Ports(Section, frozen=True):
    """Where to listen. -1 is off."""

    dns: Annotated[int, Key("DNS, over TCP and UDP.")] = 8600
    http: Annotated[int, Key("The HTTP API and the UI.")] = 8500
    https: Annotated[int, Key("The HTTP API over TLS.")] = -1
    grpc: Annotated[int, Key("xDS for proxies.", default="-1; 8502 in dev mode")] = -1
    grpc_tls: Annotated[int, Key("xDS over TLS.", acts=False)] = -1
    server: Annotated[int, Key("Calls between agents, and Raft.")] = 8300
    serf_lan: Annotated[int, Key("Gossip within the datacenter.")] = 8301
    serf_wan: Annotated[int, Key("Gossip between datacenters.")] = 8302
    proxy_min_port: Annotated[int, Key("Of no effect; kept for old files.", acts=False)] = 20000
    proxy_max_port: Annotated[int, Key("Of no effect; kept for old files.", acts=False)] = 20255
    sidecar_min_port: Annotated[int, Key("First port given to sidecars; 0 for none.")] = 21000
    sidecar_max_port: Annotated[int, Key("Last port given to sidecars; 0 for none.")] = 21255
    expose_min_port: Annotated[int, Key("First port for exposed checks; 0 for none.")] = 21500
    expose_max_port: Annotated[int, Key("Last port for exposed checks; 0 for none.")] = 21755


class Addresses(Section, frozen=True):
    """Where each interface listens, blank-separated; templates are allowed."""

    dns: Annotated[str, Key("DNS.", default="client_addr")] = ""
    http: Annotated[str, Key("HTTP; also `unix:///path`.", default="client_addr")] = ""
    https: Annotated[str, Key("HTTPS; also `unix:///path`.", default="client_addr")] = ""
    grpc: Annotated[str, Key("gRPC; also `unix:///path`.", default="client_addr")] = ""
    grpc_tls: Annotated[str, Key("gRPC over TLS.", default="client_addr", acts=False)] = ""


class UnixSockets(Section, frozen=True):
    """Who may use the sockets that `addresses` names."""

    user: Annotated[str, Key("Owner, by name or number.", acts=False)] = ""
    group: Annotated[str, Key("Group, by name or number.", acts=False)] = ""
    mode: Annotated[str, Key("Permissions, octal.", acts=False)] = ""


class SOA(Section, frozen=True):
    """The zone's SOA record, in seconds."""

    refresh: Annotated[int, Key("Refresh.", reload=True)] = 3600
    retry: Annotated[int, Key("Retry.", reload=True)] = 600
    expire: Annotated[int, Key("Expire.", reload=True)] = 86400
    min_ttl: Annotated[int, Key("Minimum: how long a negative answer keeps.", reload=True)] = 0


class DNSConfig(Section, frozen=True):
    """How DNS questions are answered."""

    allow_stale: Annotated[bool, Key("Let any server answer.", reload=True)] = True
    max_stale: Annotated[Duration, Key("Oldest answer given.", reload=True)] = 315_360_000.0
    node_ttl: Annotated[Duration, Key("TTL of node answers.", reload=True)] = 0.0
    service_ttl: Annotated[
        dict[str, Duration], Key("TTL by service name, or `prefix*`.", reload=True)
    ] = field(default_factory=dict)
    enable_truncate: Annotated[bool, Key("Set TC on cut UDP answers.", reload=True)] = False
    only_passing: Annotated[bool, Key("Leave out warning instances.", reload=True)] = False
    recursor_timeout: Annotated[Duration, Key("Patience with one recursor.", reload=True)] = 2.0
    recursor_strategy: Annotated[str, Key("`sequential` or `random`.", reload=True)] = "sequential"
    disable_compression: Annotated[bool, Key("Send names in full.", reload=True)] = False
    udp_answer_limit: Annotated[int, Key("Answers in plain UDP.", reload=True)] = 3
    a_record_limit: Annotated[int, Key("Most A or AAAA answers; 0: all.", reload=True)] = 0
    enable_additional_node_meta_txt: Annotated[
        bool, Key("Add node metadata as TXT to SRV and ANY answers.", reload=True)
    ] = True
    soa: SOA = SOA()
    use_cache: Annotated[bool, Key("Answer from the agent's cache.", reload=True)] = False
    cache_max_age: Annotated[Duration, Key("Oldest cached answer.", reload=True)] = 0.0
    prefer_namespace: Annotated[bool, Key("Enterprise.", acts=False)] = False


class HTTPConfig(Section, frozen=True):
    """The HTTP API."""

    block_endpoints: Annotated[tuple[str, ...], Key("Path prefixes answered 403.")] = ()
    allow_write_http_from: Annotated[
        tuple[str, ...], Key("Networks (CIDR) that may use the agent's write endpoints.")
    ] = ()
    response_headers: Annotated[dict[str, str], Key("Headers added to every response.")] = field(
        default_factory=dict
    )
    use_cache: Annotated[bool, Key("Honour `?cached`.")] = True
    max_header_bytes: Annotated[int, Key("Largest request head.", acts=False)] = 1 << 20


class RequestLimits(Section, frozen=True):
    """Requests a server takes in all."""

    mode: Annotated[str, Key("`disabled`, `permissive` or `enforcing`.", acts=False)] = "disabled"
    read_rate: Annotated[float, Key("Reads per second; -1: any number.", acts=False)] = -1.0
    write_rate: Annotated[float, Key("Writes per second; -1: any number.", acts=False)] = -1.0


class Limits(Section, frozen=True):
    """What one client may take of an agent."""

    http_max_conns_per_client: Annotated[int, Key("HTTP connections per IP.", reload=True)] = 200
    https_handshake_timeout: Annotated[Duration, Key("Patience with a TLS client.")] = 5.0
    rpc_handshake_timeout: Annotated[Duration, Key("Patience with an RPC client.")] = 5.0
    rpc_max_conns_per_client: Annotated[int, Key("RPC connections per IP.", reload=True)] = 100
    rpc_client_timeout: Annotated[Duration, Key("Patience with a server.", reload=True)] = 60.0
    rpc_rate: Annotated[
        float, Key("Calls per second to servers; -1: any number.", reload=True)
    ] = -1.0
    rpc_max_burst: Annotated[int, Key("Calls at once within `rpc_rate`.", reload=True)] = 1000
    kv_max_value_size: Annotated[Size, Key("Bytes in a value.")] = 524_288
    txn_max_req_len: Annotated[Size, Key("Bytes in a transaction.")] = 524_288
    request_limits: RequestLimits = RequestLimits()


class Performance(Section, frozen=True):
    """Timing of the cluster."""

    raft_multiplier: Annotated[
        int, Key("Scales Raft's timeouts, 1 to 10.", default="5; 1 in dev mode")
    ] = 5
    leave_drain_time: Annotated[Duration, Key("How long a leaving server still serves.")] = 5.0
    rpc_hold_timeout: Annotated[Duration, Key("Patience while there is no leader.")] = 7.0
    grpc_keepalive_interval: Annotated[Duration, Key("Time between pings.", acts=False)] = 30.0
    grpc_keepalive_timeout: Annotated[Duration, Key("Patience with a ping.", acts=False)] = 20.0


class GossipLAN(Section, frozen=True):
    """SWIM's timing within the datacenter."""

    gossip_interval: Annotated[Duration, Key("Time between rounds.")] = 0.2
    gossip_nodes: Annotated[int, Key("Members told per round.")] = 3
    probe_interval: Annotated[Duration, Key("Time between probes.")] = 1.0
    probe_timeout: Annotated[Duration, Key("Patience with a probe.")] = 0.5
    suspicion_mult: Annotated[int, Key("Scales how long a suspect may refute.")] = 4
    retransmit_mult: Annotated[int, Key("Scales how often a message is passed on.")] = 4


class GossipWAN(Section, frozen=True):
    """SWIM's timing between datacenters."""

    gossip_interval: Annotated[Duration, Key("Time between rounds.")] = 0.5
    gossip_nodes: Annotated[int, Key("Members told per round.")] = 3
    probe_interval: Annotated[Duration, Key("Time between probes.")] = 5.0
    probe_timeout: Annotated[Duration, Key("Patience with a probe.")] = 3.0
    suspicion_mult: Annotated[int, Key("Scales how long a suspect may refute.")] = 6
    retransmit_mult: Annotated[int, Key("Scales how often a message is passed on.")] = 4


class Autopilot(Section, frozen=True):
    """Care of the servers; read at the first start of a cluster, then changed through the API."""

    cleanup_dead_servers: Annotated[bool, Key("Remove servers that are gone.")] = True
    last_contact_threshold: Annotated[Duration, Key("Silence of a healthy server.")] = 0.2
    max_trailing_logs: Annotated[int, Key("Entries a healthy server lags at most.")] = 250
    min_quorum: Annotated[Size, Key("Servers never gone below.")] = 0
    server_stabilization_time: Annotated[Duration, Key("Health before a vote.")] = 10.0
    disable_upgrade_migration: Annotated[bool, Key("Enterprise.", acts=False)] = False
    redundancy_zone_tag: Annotated[str, Key("Enterprise.", acts=False)] = ""
    upgrade_version_tag: Annotated[str, Key("Enterprise.", acts=False)] = ""


class Cache(Section, frozen=True):
    """The agent's cache."""

    entry_fetch_max_burst: Annotated[int, Key("Fetches of one entry at once.")] = 2
    entry_fetch_rate: Annotated[float, Key("Fetches of one entry per second; 0: any.")] = 0.0


class ConfigEntries(Section, frozen=True):
    """Mesh configuration to begin with."""

    bootstrap: Annotated[
        tuple[dict[str, Any], ...], Key("Entries written when they do not exist.", reload=True)
    ] = ()


class MetricsProxy(Section, frozen=True):
    """Where the UI fetches metrics through the agent."""

    base_url: Annotated[str, Key("The metrics server.", acts=False)] = ""
    path_allowlist: Annotated[tuple[str, ...], Key("Paths let through.", acts=False)] = ()
    add_headers: Annotated[tuple[dict[str, Any], ...], Key("Headers added.", acts=False)] = ()


class UIConfig(Section, frozen=True):
    """The web UI."""

    enabled: Annotated[bool, Key("Serve the UI.", default="false; true in dev mode")] = False
    dir: Annotated[str, Key("Serve these files instead of ours.")] = ""
    content_path: Annotated[str, Key("Where the UI lives.")] = "/ui/"
    metrics_provider: Annotated[str, Key("Source of the graphs.", acts=False)] = ""
    metrics_provider_files: Annotated[tuple[str, ...], Key("Scripts.", acts=False)] = ()
    metrics_provider_options_json: Annotated[str, Key("For the scripts.", acts=False)] = ""
    metrics_proxy: MetricsProxy = MetricsProxy()
    dashboard_url_templates: Annotated[dict[str, str], Key("Links.", acts=False)] = field(
        default_factory=dict
    )


class Telemetry(Section, frozen=True):
    """Metrics, and where they go."""

    disable_hostname: Annotated[bool, Key("Keep the host name out of gauges.")] = False
    filter_default: Annotated[bool, Key("Keep what no rule names.", reload=True)] = True
    metrics_prefix: Annotated[str, Key("First part of every name.")] = "consul"
    prefix_filter: Annotated[tuple[str, ...], Key("`+keep` and `-drop` rules.", reload=True)] = ()
    prometheus_retention_time: Annotated[Duration, Key("Prometheus is served above 0.")] = 0.0
    statsd_address: Annotated[str, Key("A statsd, host:port.", acts=False)] = ""
    statsite_address: Annotated[str, Key("A statsite, host:port.", acts=False)] = ""
    dogstatsd_addr: Annotated[str, Key("A DogStatsD, host:port.", acts=False)] = ""
    dogstatsd_tags: Annotated[tuple[str, ...], Key("Tags for it.", acts=False)] = ()
    disable_compat_1_9: Annotated[bool, Key("Drop the old names.", acts=False)] = False
    retry_failed_connection: Annotated[bool, Key("Keep trying a sink.", acts=False)] = True
    enable_host_metrics: Annotated[bool, Key("Metrics of the host.", acts=False)] = False
    circonus_api_token: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_api_app: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_api_url: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_broker_id: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_broker_select_tag: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_check_display_name: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_check_force_metric_activation: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_check_id: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_check_instance_id: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_check_search_tag: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_check_tags: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_submission_interval: Annotated[str, Key("Circonus.", acts=False)] = ""
    circonus_submission_url: Annotated[str, Key("Circonus.", acts=False)] = ""


class RPC(Section, frozen=True):
    """Calls to servers."""

    enable_streaming: Annotated[bool, Key("Serve streams of changes.", acts=False)] = True


class XDS(Section, frozen=True):
    """Proxies' configuration."""

    update_max_per_second: Annotated[float, Key("Pushes per second.", acts=False)] = 250.0


class Peering(Section, frozen=True):
    """Links between clusters."""

    enabled: Annotated[bool, Key("Allow peerings.", acts=False)] = True


class Locality(Section, frozen=True):
    """Where the agent runs."""

    region: Annotated[str, Key("The cloud's region.", acts=False)] = ""
    zone: Annotated[str, Key("The zone within it.", acts=False)] = ""


class RaftLogStoreVerification(Section, frozen=True):
    """Checksums over the log."""

    enabled: Annotated[bool, Key("Compare checksums.", acts=False)] = False
    interval: Annotated[Duration, Key("Time between them.", acts=False)] = 60.0


class RaftLogStoreBolt(Section, frozen=True):
    """The store of older releases."""

    no_freelist_sync: Annotated[bool, Key("Of no effect here.", acts=False)] = False


class RaftLogStoreWAL(Section, frozen=True):
    """The store of newer releases."""

    segment_size_mb: Annotated[int, Key("Of no effect here.", acts=False)] = 64


class RaftLogStore(Section, frozen=True):
    """Where Raft's log is kept. There is one store here."""

    backend: Annotated[str, Key("Of no effect here.", acts=False)] = "boltdb"
    disable_log_cache: Annotated[bool, Key("Of no effect here.", acts=False)] = False
    verification: RaftLogStoreVerification = RaftLogStoreVerification()
    boltdb: RaftLogStoreBolt = RaftLogStoreBolt()
    wal: RaftLogStoreWAL = RaftLogStoreWAL()
