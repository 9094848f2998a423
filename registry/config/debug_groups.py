"""The maps within ``DebugConfig`` that are shaped unlike our settings."""

from __future__ import annotations

from typing import Any, Final

from lictor.registry import durations

from .agent import AgentConfig

HIDDEN: Final = "hidden"
"""Stands for every secret."""

_UNLIMITED: Final = 1.7976931348623157e308
"""Go's largest float: a rate without limit."""


def logging(config: AgentConfig) -> dict[str, Any]:
    """The map under ``Logging``."""
    return {
        "EnableSyslog": config.enable_syslog,
        "LogFilePath": config.log_file,
        "LogJSON": config.log_json,
        "LogLevel": config.log_level,
        "LogRotateBytes": config.log_rotate_bytes,
        "LogRotateDuration": durations.format(config.log_rotate_duration),
        "LogRotateMaxFiles": config.log_rotate_max_files,
        "Name": "",
        "SyslogFacility": config.syslog_facility,
    }


def telemetry(config: AgentConfig) -> dict[str, Any]:
    """The map under ``Telemetry``."""
    telemetry = config.telemetry
    circonus = {
        f"Circonus{_camel(name.removeprefix('circonus_'))}": getattr(telemetry, name)
        for name in telemetry.__struct_fields__
        if name.startswith("circonus_")
    }
    rules = telemetry.prefix_filter
    return {
        "AllowedPrefixes": [rule[1:] for rule in rules if rule.startswith("+")],
        "BlockedPrefixes": [rule[1:] for rule in rules if rule.startswith("-")],
        **circonus,
        "CirconusAPIToken": HIDDEN,
        "Disable": False,
        "DisableHostname": telemetry.disable_hostname,
        "DogstatsdAddr": telemetry.dogstatsd_addr,
        "DogstatsdTags": list(telemetry.dogstatsd_tags),
        "FilterDefault": telemetry.filter_default,
        "MetricsPrefix": telemetry.metrics_prefix,
        "PrometheusRetentionTime": durations.format(telemetry.prometheus_retention_time),
        "StatsdAddr": telemetry.statsd_address,
        "StatsiteAddr": telemetry.statsite_address,
    }


def _camel(name: str) -> str:
    initialisms = {"api": "API", "id": "ID", "url": "URL"}
    return "".join(initialisms.get(part, part.capitalize()) for part in name.split("_"))


def auto_config(config: AgentConfig) -> dict[str, Any]:
    """The map under ``AutoConfig``."""
    auto, static = config.auto_config, config.auto_config.authorization.static
    return {
        "Authorizer": {
            "AllowReuse": static.allow_reuse,
            "AuthMethod": {
                "ACLAuthMethodEnterpriseFields": {},
                "Config": {
                    "BoundAudiences": list(static.bound_audiences) or None,
                    "BoundIssuer": static.bound_issuer,
                    "ClaimMappings": static.claim_mappings or None,
                    "ClockSkewLeeway": round(static.clock_skew_leeway * durations.NANOSECONDS),
                    "ExpirationLeeway": round(static.expiration_leeway * durations.NANOSECONDS),
                    "JWKSCACert": static.jwks_ca_cert,
                    "JWKSURL": static.jwks_url,
                    "JWTSupportedAlgs": list(static.jwt_supported_algs) or None,
                    "JWTValidationPubKeys": list(static.jwt_validation_pub_keys) or None,
                    "ListClaimMappings": static.list_claim_mappings or None,
                    "NotBeforeLeeway": round(static.not_before_leeway * durations.NANOSECONDS),
                    "OIDCDiscoveryCACert": static.oidc_discovery_ca_cert,
                    "OIDCDiscoveryURL": static.oidc_discovery_url,
                },
                "Description": "",
                "DisplayName": "",
                "EnterpriseMeta": {},
                "MaxTokenTTL": "0s",
                "Name": "Auto Config Authorizer",
                "RaftIndex": {"CreateIndex": 0, "ModifyIndex": 0},
                "TokenLocality": "",
                "Type": "jwt",
            },
            "ClaimAssertions": list(static.claim_assertions),
            "Enabled": auto.authorization.enabled,
        },
        "DNSSANs": list(auto.dns_sans),
        "Enabled": auto.enabled,
        "IPSANs": list(auto.ip_sans),
        "IntroToken": HIDDEN,
        "IntroTokenFile": auto.intro_token_file,
        "ServerAddresses": list(auto.server_addresses),
    }


def soa(config: AgentConfig) -> dict[str, int]:
    """The map under ``DNSSOA``."""
    soa = config.dns_config.soa
    return {
        "Expire": soa.expire,
        "Minttl": soa.min_ttl,
        "Refresh": soa.refresh,
        "Retry": soa.retry,
    }


def cache(config: AgentConfig) -> dict[str, Any]:
    """The map under ``Cache``."""
    return {
        "EntryFetchMaxBurst": config.cache.entry_fetch_max_burst,
        "EntryFetchRate": config.cache.entry_fetch_rate or _UNLIMITED,
    }
