"""Our verdict on a configuration beside that of ``consul validate``."""

import json
import subprocess
import urllib.request

import pytest

from lictor.cli.host import load_here
from lictor.registry.config import InvalidConfig, debug_config
from lictor.registry.config.agent import AgentConfig
from lictor.registry.config.keys import table
from lictor.registry.config.legacy import LEGACY

from . import consul

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not consul.BINARY.exists(), reason="no Consul to compare with"),
]

HCL = [
    "",
    "foo = 1",
    "bar { baz = 2 } ports { zed = 1 }",
    'node_meta { "rack" = "1" }',
    "ports { http = 0x1F90 dns = 010 }",
    "ports { http = 1.5 }",
    "ports { http = 99999 }",
    "ports { http = -8 }",
    "ports = [{ http = 1 }]",
    "ports { http = 1 } ports { https = 2 }",
    "ports { http = 8600 }",
    "ports { server = 8301 }",
    "server = yes",
    'server = "true"',
    "datacenter = 1",
    'datacenter = "BAD_DC!"',
    'datacenter = ""',
    'recursors = "1.2.3.4"',
    'recursors = ["1.2.3.4" "x"]',
    "recursors = [1]",
    'service "web" { port = 80 }',
    'services { name = "a" foo = 1 } services { name = "b" }',
    'service { name = "a" } service { name = "b" }',
    'service { name = "a" check { interval = "xx" } }',
    'service { name = "a" meta { "a b" = "c" } }',
    'service { name = "a" weights { passing = 0 } }',
    'service { name = "a" kind = "connect-proxy" }',
    'service { name = "a" port = "x" tags = "y" }',
    'check { name = "a" ttl = "15" }',
    'check { Name = "a" HTTP = "x" DockerContainerID = "y" TLSSkipVerify = true }',
    "a = <<EOF\nfoo\nEOF\n",
    "a = <<EOF\nfoo\n",
    "} ",
    "/* x",
    "a ! b\n",
    'a = "b',
    "foo = bar\n",
    "= 1\n",
    'retry_interval = "xx"',
    'retry_interval = "15"',
    "retry_interval = 15",
    "bootstrap = true",
    "bootstrap_expect = 3",
    "server = true bootstrap = true bootstrap_expect = 3",
    "server = true bootstrap_expect = 1",
    "server = true bootstrap_expect = 2",
    "server = true bootstrap_expect = 4",
    "server = true bootstrap_expect = -1",
    "performance { raft_multiplier = 11 }",
    "dns_config { udp_answer_limit = -1 }",
    "autopilot { max_trailing_logs = -1 }",
    'node_meta { consul-x = "y" }',
    'ui = true ui_dir = "/x"',
    'ui_content_path = "/v1/"',
    'ui_content_path = "/a b/"',
    'advertise_addr = "0.0.0.0"',
    'advertise_addr_wan = "::"',
    'advertise_addr_ipv4 = "::1"',
    'bind_addr = "1.2.3.4 2.3.4.5"',
    'bind_addr = "unix:///x"',
    'client_addr = "foo"',
    'client_addr = "{{ Foo }}"',
    'client_addr = "1.2.3.4 1.2.3.4"',
    'addresses { dns = "unix:///x" }',
    'serf_wan = "x"',
    'segment = "x"',
    'telemetry { prefix_filter = ["x", "+y"] }',
    "enable_script_checks = true",
    "non_voting_server = true server = true audit { enabled = true }",
    'dns_config { prefer_namespace = true } autopilot { redundancy_zone_tag = "a" }',
    'node_name = "a b"',
    'connect { enabled = true ca_provider = "foo" }',
    "connect { enable_mesh_gateway_wan_federation = true }",
    "auto_encrypt { allow_tls = true }",
    "server = true connect { enabled = true } auto_encrypt { allow_tls = true }",
    "auto_config { enabled = true }",
    'encrypt = "abc"',
    'serf_lan_allowed_cidrs = ["x"]',
    'http_config { allow_write_http_from = ["x"] }',
    "cache { entry_fetch_max_burst = 0 }",
    "check_output_max_size = 0",
    'primary_gateways = ["x"]',
    'server = true primary_gateways = ["x"]',
    "connect { enabled = true enable_mesh_gateway_wan_federation = true }",
    'server = true retry_join_wan = ["a"]'
    " connect { enabled = true enable_mesh_gateway_wan_federation = true }",
    'config_entries { bootstrap { kind = "foo" } }',
    "limits { kv_max_value_size = -1 }",
    "snapshot_agent { a = 1 }",
]

JSON = [
    '{"data_dir": "/tmp",}',
    '{"data_dir" "/tmp"}',
    '{"data_dir": "/tmp" "a": 1}',
    '{"data_dir": "/tmp"} x',
    '{"recursors": ["x" 1]}',
    '{"recursors": ["x",]}',
    "[1]",
    '"x"',
    '{"data_dir": x}',
    '{"a": tru}',
    '{"a": "b\nc"}',
    '{"data_dir": "/tmp",',
    "",
    '{"data_dir": "/tmp", "server": null, "ports": null}',
    '{"data_dir": 1, "ports": {"http": "80"}}',
    '{"data_dir": "/tmp", "foo": 1, "services": [{"a": 1}, {"name": "x", "check": {"q": 1}}]}',
]


GOSSIP_KEY = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="


def said_by_consul(path):
    ended = subprocess.run(
        [consul.BINARY, "validate", path], capture_output=True, text=True, check=False, timeout=30
    )
    return said(ended.stdout + ended.stderr)


def said_by_us(path):
    try:
        loaded = load_here(paths=[path])
    except InvalidConfig as error:
        return said(f"Config validation failed: {error}")
    return said("\n".join([*loaded.warnings, "Configuration is valid!"]))


def said(text):
    """The lines of ``text`` in an order that does not change from run to run.

    Left out is what only we say: that a setting moved, or has no effect yet.
    """
    ours = ("field is deprecated.", "not acted on yet")
    return sorted(
        line for line in text.splitlines() if line and not any(phrase in line for phrase in ours)
    )


@pytest.mark.parametrize("text", HCL)
def test_hcl_is_judged_as_consul_does(text, tmp_path):
    path = tmp_path / "a.hcl"
    bind = "" if "bind_addr" in text else 'bind_addr = "127.0.0.1"'
    path.write_text(f'data_dir = "{tmp_path}" {bind} {text}\n')
    assert said_by_us(path) == said_by_consul(path)


@pytest.mark.parametrize("text", JSON)
def test_json_is_judged_as_consul_does(text, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert said_by_us(path) == said_by_consul(path)


def test_a_directory_is_read_as_consul_reads_it(tmp_path):
    (tmp_path / "b.json").write_text('{"bind_addr": "127.0.0.1"}')
    (tmp_path / "a.hcl").write_text(f'data_dir = "{tmp_path}"\n')
    (tmp_path / "c.txt").write_text("?")
    (tmp_path / "d.hcl").mkdir()
    assert said_by_us(tmp_path) == said_by_consul(tmp_path)


def test_what_is_not_there_is_missed_as_consul_does(tmp_path):
    assert said_by_us(tmp_path / "nosuch") == said_by_consul(tmp_path / "nosuch")


NEWER = {
    "acl.tokens.agent_recovery", "acl.tokens.config_file_service_registration", "acl.tokens.dns",
    "acl.tokens.initial_management", "addresses.grpc_tls", "advertise_addr_wan_ipv6",
    "advertise_reconnect_timeout",
    "auto_reload_config", "connect.enable_serverless_plugin", "dns_config.recursor_strategy",
    "http_config.max_header_bytes", "license_path", "limits.rpc_client_timeout", "partition",
    "performance.grpc_keepalive_interval", "performance.grpc_keepalive_timeout",
    "ports.grpc_tls", "read_replica", "server_rejoin_age_max", "telemetry.disable_compat_1_9",
    "telemetry.enable_host_metrics", "telemetry.retry_failed_connection", "use_streaming_backend",
    "reporting",
}  # fmt: skip
NEWER_GROUPS = ("limits.request_limits", "locality", "peering", "raft_logstore", "rpc.", "tls.",
                "ui_config", "xds")  # fmt: skip
VALUES = {
    "string": "", "bool": True, "int": 1, "unsigned": 1, "float": 1.0, "duration": "1s",
    "strings": [], "map": {}, "durations": {}, "any": {}, "objects": [],
}  # fmt: skip


def test_consul_knows_the_settings_we_know_except_those_that_came_later(tmp_path):
    given = {}
    rows = [(row.path, row.kind) for row in table(AgentConfig)]
    for path, kind in rows + [(row.old, row.kind) for row in LEGACY]:
        inner = given
        *groups, name = path.split(".")
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[name] = VALUES[kind]
    path = tmp_path / "all.json"
    path.write_text(json.dumps(given))
    unknown = {
        line.partition("invalid config key ")[2]
        for line in said_by_consul(path)
        if "invalid config key" in line
    }
    later = {path for path, _ in rows if path in NEWER or path.startswith(NEWER_GROUPS)}
    # Of a group that is unknown, Consul names the group only.
    named = {next((g for g in unknown if path.startswith(f"{g}.")), path) for path in later}
    assert unknown == named


def test_the_running_configuration_is_shown_as_consul_shows_it(tmp_path):
    with (
        consul.server(tmp_path, key=GOSSIP_KEY) as address,
        urllib.request.urlopen(f"http://{address}/v1/agent/self", timeout=10) as answer,
    ):
        theirs = json.load(answer)["DebugConfig"]
    ours = debug_config(
        load_here(
            paths=[tmp_path / "server.hcl"],
            flags={
                "server": True,
                "bootstrap_expect": 1,
                "data_dir": theirs["DataDir"],
                "node_id": theirs["NodeID"],
                "encrypt": GOSSIP_KEY,
            },
        ).config
    )
    # On by default since 1.9.
    assert ours.pop("EnableCentralServiceConfig") is not theirs.pop("EnableCentralServiceConfig")
    assert ours == theirs
