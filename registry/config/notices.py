"""What may be, and is worth a word to the operator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from .agent import AgentConfig
from .keys import table

_DNS_LABEL: Final = re.compile(r"[A-Za-z0-9-]+")
_DANGEROUS: Final = (
    "using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS, use "
    "enable-local-script-checks instead, see https://www.hashicorp.com/blog/"
    "protecting-consul-from-rce-risk-in-specific-configurations/"
)
_QUORUM_TABLE: Final = "https://www.consul.io/docs/internals/consensus.html#deployment-table"


def notices(config: AgentConfig, *, given: Iterable[str]) -> Iterator[str]:
    """What an operator should know. ``given`` are the paths of all settings that were set."""
    yield from _about_names(config)
    yield from _about_servers(config)
    if (
        config.enable_script_checks
        and not config.acl.enabled
        and not config.http_config.allow_write_http_from
    ):
        yield _DANGEROUS
    if config.auto_encrypt.allow_tls and not config.tls.internal_rpc.verify_incoming:
        yield (
            "if auto_encrypt.allow_tls is turned on, either verify_incoming or verify_incoming_rpc "
            "should be enabled. It is necessary to turn it off during a migration to TLS, but it "
            "should definitely be turned on afterwards."
        )
    for rule in config.telemetry.prefix_filter:
        if not rule:
            yield "Cannot have empty filter rule in prefix_filter"
        elif rule[0] not in "+-":
            yield f"Filter rule must begin with either '+' or '-': \"{rule}\""
    yield from _about_keys(set(given))


def _about_names(config: AgentConfig) -> Iterator[str]:
    name = config.node_name
    unseen = f'Node name "{name}" will not be discoverable via DNS due to'
    if not _DNS_LABEL.fullmatch(name):
        yield (
            f"{unseen} invalid characters. Valid characters include all alpha-numerics and dashes."
        )
    elif len(name) > 63:
        yield f"{unseen} it being too long. Valid lengths are between 1 and 63 bytes."


def _about_servers(config: AgentConfig) -> Iterator[str]:
    expect = config.bootstrap_expect
    if expect == 2:
        yield (
            "bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. "
            f"See {_QUORUM_TABLE}"
        )
    elif expect and expect % 2 == 0:
        yield (
            "bootstrap_expect is even number: A cluster with an even number of servers does not "
            f"achieve optimum fault tolerance. See {_QUORUM_TABLE}"
        )
    if expect:
        yield f"bootstrap_expect > 0: expecting {expect} servers"
    if config.bootstrap:
        yield "bootstrap = true: do not enable unless necessary"


def _about_keys(given: set[str]) -> Iterator[str]:
    for setting in table(AgentConfig):
        if setting.path not in given or setting.key.acts:
            continue
        if setting.key.help.startswith("Enterprise"):
            name = _ENTERPRISE_NAMES.get(setting.path, setting.path)
            yield f'"{name}" is a Consul Enterprise configuration and will have no effect'
        else:
            yield f'"{setting.path}" is accepted but not acted on yet, it has no effect'


_ENTERPRISE_NAMES: Final = {"read_replica": "non_voting_server"}
"""The names by which Consul 1.8 tells of them."""
