"""The running configuration as ``/v1/agent/self`` shows it: Consul's names, secrets hidden."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Final

from lictor.registry import durations

from . import debug_groups
from .agent import AgentConfig, Listen
from .debug_groups import HIDDEN

VERSION: Final = "1.8.7"
"""The release whose behaviour we show."""

Reading = Callable[[AgentConfig], Any]


def debug_config(config: AgentConfig) -> dict[str, Any]:
    """The map under ``DebugConfig``: ascending by name, durations as text."""
    return {name: read(config) for name, read in sorted(_ROWS.items())}


def _value(path: str) -> Reading:
    def read(config: AgentConfig) -> Any:
        value = reduce(getattr, path.split("."), config)
        return list(value) if isinstance(value, tuple) else value

    return read


def _duration(path: str) -> Reading:
    value = _value(path)
    return lambda config: durations.format(value(config))


def _durations(path: str) -> Reading:
    value = _value(path)
    return lambda config: {name: durations.format(ttl) for name, ttl in value(config).items()}


def _constant(value: Any) -> Reading:
    return lambda _: value


def _listen(name: str, *networks: str) -> Reading:
    def read(config: AgentConfig) -> list[str]:
        places: tuple[Listen, ...] = getattr(config.listeners, name)
        return [
            place.text if place.is_unix else f"{network}://{place.text}"
            for network in networks
            for place in places
        ]

    return read


def _one(listen: Callable[[AgentConfig], Listen | None]) -> Reading:
    def read(config: AgentConfig) -> str:
        place = listen(config)
        return f"tcp://{place.text}" if place else ""

    return read


def _tls_version(config: AgentConfig) -> str:
    """By the name it had: ``TLSv1_2`` is ``tls12``."""
    return config.tls.defaults.tls_min_version.lower().replace("v", "").replace("_", "")


def _cipher_suites(config: AgentConfig) -> list[str]:
    return [suite for suite in config.tls.defaults.tls_cipher_suites.split(",") if suite]


def _advertised_wan(config: AgentConfig) -> Listen | None:
    wan = config.listeners.serf_wan
    return Listen(config.advertise_wan, wan.port) if wan else None


_ROWS: Final[dict[str, Reading]] = {
    "ACLAgentMasterToken": _constant(HIDDEN),
    "ACLAgentToken": _constant(HIDDEN),
    "ACLDatacenter": _value("primary_datacenter"),
    "ACLDefaultPolicy": _value("acl.default_policy"),
    "ACLDisabledTTL": _duration("timings.acl_disabled_ttl"),
    "ACLDownPolicy": _value("acl.down_policy"),
    "ACLEnableKeyListPolicy": _value("acl.enable_key_list_policy"),
    "ACLEnableTokenPersistence": _value("acl.enable_token_persistence"),
    "ACLMasterToken": _constant(HIDDEN),
    "ACLPolicyTTL": _duration("acl.policy_ttl"),
    "ACLReplicationToken": _constant(HIDDEN),
    "ACLRoleTTL": _duration("acl.role_ttl"),
    "ACLToken": _constant(HIDDEN),
    "ACLTokenReplication": _value("acl.enable_token_replication"),
    "ACLTokenTTL": _duration("acl.token_ttl"),
    "ACLsEnabled": _value("acl.enabled"),
    "AEInterval": _duration("timings.anti_entropy_interval"),
    "AdvertiseAddrLAN": _value("advertise_lan"),
    "AdvertiseAddrWAN": _value("advertise_wan"),
    "AllowWriteHTTPFrom": _value("http_config.allow_write_http_from"),
    "AutoConfig": debug_groups.auto_config,
    "AutoEncryptAllowTLS": _value("auto_encrypt.allow_tls"),
    "AutoEncryptDNSSAN": _value("auto_encrypt.dns_san"),
    "AutoEncryptIPSAN": _value("auto_encrypt.ip_san"),
    "AutoEncryptTLS": _value("auto_encrypt.tls"),
    "AutopilotCleanupDeadServers": _value("autopilot.cleanup_dead_servers"),
    "AutopilotDisableUpgradeMigration": _value("autopilot.disable_upgrade_migration"),
    "AutopilotLastContactThreshold": _duration("autopilot.last_contact_threshold"),
    "AutopilotMaxTrailingLogs": _value("autopilot.max_trailing_logs"),
    "AutopilotMinQuorum": _value("autopilot.min_quorum"),
    "AutopilotRedundancyZoneTag": _value("autopilot.redundancy_zone_tag"),
    "AutopilotServerStabilizationTime": _duration("autopilot.server_stabilization_time"),
    "AutopilotUpgradeVersionTag": _value("autopilot.upgrade_version_tag"),
    "BindAddr": _value("bind_addr"),
    "Bootstrap": _value("bootstrap"),
    "BootstrapExpect": _value("bootstrap_expect"),
    "CAFile": _value("tls.defaults.ca_file"),
    "CAPath": _value("tls.defaults.ca_path"),
    "Cache": debug_groups.cache,
    "CertFile": _value("tls.defaults.cert_file"),
    "CheckDeregisterIntervalMin": _duration("timings.check_deregister_interval_min"),
    "CheckOutputMaxSize": _value("check_output_max_size"),
    "CheckReapInterval": _duration("timings.check_reap_interval"),
    "CheckUpdateInterval": _duration("check_update_interval"),
    "Checks": lambda config: [_without_token(check) for check in config.checks],
    "ClientAddrs": _value("client_addrs"),
    "ConfigEntryBootstrap": _value("config_entries.bootstrap"),
    "ConnectCAConfig": lambda config: dict.fromkeys(config.connect.ca_config, HIDDEN),
    "ConnectCAProvider": _value("connect.ca_provider"),
    "ConnectEnabled": _value("connect.enabled"),
    "ConnectMeshGatewayWANFederationEnabled": _value("connect.enable_mesh_gateway_wan_federation"),
    "ConnectSidecarMaxPort": _value("ports.sidecar_max_port"),
    "ConnectSidecarMinPort": _value("ports.sidecar_min_port"),
    "ConnectTestCALeafRootChangeSpread": _constant("0s"),
    "ConsulCoordinateUpdateBatchSize": _value("timings.coordinate_update_batch_size"),
    "ConsulCoordinateUpdateMaxBatches": _value("timings.coordinate_update_max_batches"),
    "ConsulCoordinateUpdatePeriod": _duration("timings.coordinate_update_period"),
    "ConsulRaftElectionTimeout": _duration("timings.raft_election_timeout"),
    "ConsulRaftHeartbeatTimeout": _duration("timings.raft_heartbeat_timeout"),
    "ConsulRaftLeaderLeaseTimeout": _duration("timings.raft_leader_lease_timeout"),
    "ConsulServerHealthInterval": _duration("timings.server_health_interval"),
    "DNSARecordLimit": _value("dns_config.a_record_limit"),
    "DNSAddrs": _listen("dns", "tcp", "udp"),
    "DNSAllowStale": _value("dns_config.allow_stale"),
    "DNSAltDomain": _value("alt_domain"),
    "DNSCacheMaxAge": _duration("dns_config.cache_max_age"),
    "DNSDisableCompression": _value("dns_config.disable_compression"),
    "DNSDomain": _value("domain"),
    "DNSEnableTruncate": _value("dns_config.enable_truncate"),
    "DNSMaxStale": _duration("dns_config.max_stale"),
    "DNSNodeMetaTXT": _value("dns_config.enable_additional_node_meta_txt"),
    "DNSNodeTTL": _duration("dns_config.node_ttl"),
    "DNSOnlyPassing": _value("dns_config.only_passing"),
    "DNSPort": _value("ports.dns"),
    "DNSRecursorTimeout": _duration("dns_config.recursor_timeout"),
    "DNSRecursors": _value("recursors"),
    "DNSSOA": debug_groups.soa,
    "DNSServiceTTL": _durations("dns_config.service_ttl"),
    "DNSUDPAnswerLimit": _value("dns_config.udp_answer_limit"),
    "DNSUseCache": _value("dns_config.use_cache"),
    "DataDir": _value("data_dir"),
    "Datacenter": _value("datacenter"),
    "DefaultQueryTime": _duration("default_query_time"),
    "DevMode": _value("dev"),
    "DisableAnonymousSignature": _value("disable_anonymous_signature"),
    "DisableCoordinates": _value("disable_coordinates"),
    "DisableHTTPUnprintableCharFilter": _value("disable_http_unprintable_char_filter"),
    "DisableHostNodeID": _value("disable_host_node_id"),
    "DisableKeyringFile": _value("disable_keyring_file"),
    "DisableRemoteExec": _value("disable_remote_exec"),
    "DisableUpdateCheck": _value("disable_update_check"),
    "DiscardCheckOutput": _value("discard_check_output"),
    "DiscoveryMaxStale": _duration("discovery_max_stale"),
    "EnableAgentTLSForChecks": _value("enable_agent_tls_for_checks"),
    "EnableCentralServiceConfig": _value("enable_central_service_config"),
    "EnableDebug": _value("enable_debug"),
    "EnableLocalScriptChecks": lambda config: (
        config.enable_local_script_checks or config.enable_script_checks
    ),
    "EnableRemoteScriptChecks": _value("enable_script_checks"),
    "EnableUI": _value("ui_config.enabled"),
    "EncryptKey": _constant(HIDDEN),
    "EncryptVerifyIncoming": _value("encrypt_verify_incoming"),
    "EncryptVerifyOutgoing": _value("encrypt_verify_outgoing"),
    "EnterpriseRuntimeConfig": _constant({}),
    "ExposeMaxPort": _value("ports.expose_max_port"),
    "ExposeMinPort": _value("ports.expose_min_port"),
    "GRPCAddrs": _listen("grpc", "tcp"),
    "GRPCPort": _value("ports.grpc"),
    "GossipLANGossipInterval": _duration("gossip_lan.gossip_interval"),
    "GossipLANGossipNodes": _value("gossip_lan.gossip_nodes"),
    "GossipLANProbeInterval": _duration("gossip_lan.probe_interval"),
    "GossipLANProbeTimeout": _duration("gossip_lan.probe_timeout"),
    "GossipLANRetransmitMult": _value("gossip_lan.retransmit_mult"),
    "GossipLANSuspicionMult": _value("gossip_lan.suspicion_mult"),
    "GossipWANGossipInterval": _duration("gossip_wan.gossip_interval"),
    "GossipWANGossipNodes": _value("gossip_wan.gossip_nodes"),
    "GossipWANProbeInterval": _duration("gossip_wan.probe_interval"),
    "GossipWANProbeTimeout": _duration("gossip_wan.probe_timeout"),
    "GossipWANRetransmitMult": _value("gossip_wan.retransmit_mult"),
    "GossipWANSuspicionMult": _value("gossip_wan.suspicion_mult"),
    "HTTPAddrs": _listen("http", "tcp"),
    "HTTPBlockEndpoints": _value("http_config.block_endpoints"),
    "HTTPMaxConnsPerClient": _value("limits.http_max_conns_per_client"),
    "HTTPPort": _value("ports.http"),
    "HTTPResponseHeaders": _value("http_config.response_headers"),
    "HTTPSAddrs": _listen("https", "tcp"),
    "HTTPSHandshakeTimeout": _duration("limits.https_handshake_timeout"),
    "HTTPSPort": _value("ports.https"),
    "HTTPUseCache": _value("http_config.use_cache"),
    "KVMaxValueSize": _value("limits.kv_max_value_size"),
    "KeyFile": _constant(HIDDEN),
    "LeaveDrainTime": _duration("performance.leave_drain_time"),
    "LeaveOnTerm": _value("leave_on_terminate"),
    "Logging": debug_groups.logging,
    "MaxQueryTime": _duration("max_query_time"),
    "NodeID": _value("node_id"),
    "NodeMeta": _value("node_meta"),
    "NodeName": _value("node_name"),
    "NonVotingServer": _value("read_replica"),
    "PidFile": _value("pid_file"),
    "PrimaryDatacenter": _value("primary_datacenter"),
    "PrimaryGateways": _value("primary_gateways"),
    "PrimaryGatewaysInterval": _duration("primary_gateways_interval"),
    "RPCAdvertiseAddr": _one(lambda config: Listen(config.advertise_lan, config.ports.server)),
    "RPCBindAddr": _one(lambda config: config.listeners.rpc),
    "RPCHandshakeTimeout": _duration("limits.rpc_handshake_timeout"),
    "RPCHoldTimeout": _duration("performance.rpc_hold_timeout"),
    "RPCMaxBurst": _value("limits.rpc_max_burst"),
    "RPCMaxConnsPerClient": _value("limits.rpc_max_conns_per_client"),
    "RPCProtocol": _value("protocol"),
    "RPCRateLimit": _value("limits.rpc_rate"),
    "RaftProtocol": _value("raft_protocol"),
    "RaftSnapshotInterval": _duration("raft_snapshot_interval"),
    "RaftSnapshotThreshold": _value("raft_snapshot_threshold"),
    "RaftTrailingLogs": _value("raft_trailing_logs"),
    "ReconnectTimeoutLAN": _duration("reconnect_timeout"),
    "ReconnectTimeoutWAN": _duration("reconnect_timeout_wan"),
    "RejoinAfterLeave": _value("rejoin_after_leave"),
    "RetryJoinIntervalLAN": _duration("retry_interval"),
    "RetryJoinIntervalWAN": _duration("retry_interval_wan"),
    # Join addresses may hold a cloud provider's credentials.
    "RetryJoinLAN": lambda config: [_joined(address) for address in config.retry_join],
    "RetryJoinMaxAttemptsLAN": _value("retry_max"),
    "RetryJoinMaxAttemptsWAN": _value("retry_max_wan"),
    "RetryJoinWAN": lambda config: [_joined(address) for address in config.retry_join_wan],
    "Revision": _constant(""),
    "SegmentLimit": _constant(64),
    "SegmentName": _value("segment"),
    "SegmentNameLimit": _constant(64),
    "Segments": _value("segments"),
    "SerfAdvertiseAddrLAN": _one(
        lambda config: Listen(config.advertise_lan, config.ports.serf_lan)
    ),
    "SerfAdvertiseAddrWAN": _one(_advertised_wan),
    "SerfAllowedCIDRsLAN": _value("serf_lan_allowed_cidrs"),
    "SerfAllowedCIDRsWAN": _value("serf_wan_allowed_cidrs"),
    "SerfBindAddrLAN": _one(lambda config: config.listeners.serf_lan),
    "SerfBindAddrWAN": _one(lambda config: config.listeners.serf_wan),
    "SerfPortLAN": _value("ports.serf_lan"),
    "SerfPortWAN": _value("ports.serf_wan"),
    "ServerMode": _value("server"),
    "ServerName": _value("server_name"),
    "ServerPort": _value("ports.server"),
    "Services": lambda config: [_without_token(service) for service in config.services],
    "SessionTTLMin": _duration("session_ttl_min"),
    "SkipLeaveOnInt": _value("skip_leave_on_interrupt"),
    "StartJoinAddrsLAN": _value("start_join"),
    "StartJoinAddrsWAN": _value("start_join_wan"),
    "SyncCoordinateIntervalMin": _duration("timings.sync_coordinate_interval_min"),
    "SyncCoordinateRateTarget": _value("timings.sync_coordinate_rate_target"),
    "TLSCipherSuites": _cipher_suites,
    "TLSMinVersion": _tls_version,
    "TLSPreferServerCipherSuites": _value("tls_prefer_server_cipher_suites"),
    "TaggedAddresses": _value("tagged_addresses"),
    "Telemetry": debug_groups.telemetry,
    "TranslateWANAddrs": _value("translate_wan_addrs"),
    "TxnMaxReqLen": _value("limits.txn_max_req_len"),
    "UIContentPath": _value("ui_config.content_path"),
    "UIDir": _value("ui_config.dir"),
    "UnixSocketGroup": _value("unix_sockets.group"),
    "UnixSocketMode": _value("unix_sockets.mode"),
    "UnixSocketUser": _value("unix_sockets.user"),
    "VerifyIncoming": _value("tls.defaults.verify_incoming"),
    "VerifyIncomingHTTPS": _value("tls.https.verify_incoming"),
    "VerifyIncomingRPC": _value("tls.internal_rpc.verify_incoming"),
    "VerifyOutgoing": _value("tls.defaults.verify_outgoing"),
    "VerifyServerHostname": _value("tls.internal_rpc.verify_server_hostname"),
    "Version": _constant(VERSION),
    "VersionPrerelease": _constant(""),
    "Watches": _value("watches"),
}


def _without_token(definition: dict[str, Any]) -> dict[str, Any]:
    """``definition`` with every token below it hidden."""

    def hide(value: Any) -> Any:
        if isinstance(value, list):
            return [hide(element) for element in value]
        if isinstance(value, dict):
            return {
                key: HIDDEN if key == "Token" and inner else hide(inner)
                for key, inner in value.items()
            }
        return value

    hidden: dict[str, Any] = hide(definition)
    return hidden


def _joined(address: str) -> str:
    return HIDDEN if "=" in address else address
