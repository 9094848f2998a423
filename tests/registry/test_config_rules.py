"""Rules between settings, and warnings. Every text is one that Consul 1.8.7 printed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictor.registry.config.agent import AgentConfig
from lictor.registry.config.checks import base64_error
from lictor.registry.config.keys import table

from .configuring import config, loaded, one, refusal, warned


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('data_dir = ""', "data_dir cannot be empty"),
        ('datacenter = ""', "datacenter cannot be empty"),
        ('datacenter = "BAD_DC!"', 'datacenter cannot be "bad_dc!". Please use only [a-z0-9-_]'),
        (
            'primary_datacenter = "x y"',
            'acl_datacenter cannot be "x y". Please use only [a-z0-9-_]',
        ),
        ("bootstrap = true", "'bootstrap = true' requires 'server = true'"),
        ("bootstrap_expect = 3", "'bootstrap_expect > 0' requires 'server = true'"),
        (
            "server = true bootstrap = true bootstrap_expect = 3",
            "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive",
        ),
        (
            "server = true bootstrap_expect = -1",
            "bootstrap_expect cannot be -1. Must be greater than or equal to zero",
        ),
        (
            "performance { raft_multiplier = 11 }",
            "performance.raft_multiplier cannot be 11. Must be between 1 and 10",
        ),
        (
            "dns_config { udp_answer_limit = -1 }",
            "dns_config.udp_answer_limit cannot be -1. Must be greater than or equal to zero",
        ),
        (
            "dns_config { a_record_limit = -1 }",
            "dns_config.a_record_limit cannot be -1. Must be greater than or equal to zero",
        ),
        (
            "autopilot { max_trailing_logs = -1 }",
            "autopilot.max_trailing_logs cannot be -1. Must be greater than or equal to zero",
        ),
        (
            "check_output_max_size = 0",
            "check_output_max_size must be positive, to discard check output use the "
            "discard_check_output flag",
        ),
        (
            "cache { entry_fetch_max_burst = 0 }",
            "cache.entry_fetch_max_burst must be strictly positive, was: 0",
        ),
        (
            'node_meta { consul-x = "y" }',
            "node_meta invalid: Couldn't load metadata pair ('consul-x', 'y'): "
            "Key prefix 'consul-' is reserved for internal use",
        ),
        (
            'node_meta { "a b" = "y" }',
            "node_meta invalid: Couldn't load metadata pair ('a b', 'y'): "
            "Key contains invalid characters",
        ),
        (
            'ui = true ui_dir = "/x"',
            "Both the ui and ui-dir flags were specified, please provide only one.\n"
            "If trying to use your own web UI resources, use the ui-dir flag.\n"
            "The web UI is included in the binary so use ui to enable it",
        ),
        ('ui_content_path = "/v1/"', "ui-content-path cannot have 'v[0-9]'. received: /v1/"),
        (
            'ui_content_path = "/a b/"',
            "ui-content-path can only contain alphanumeric, -, _, or /. received: /a b/",
        ),
        ('segment = "x"', "Network segments are not supported in this version of Consul"),
        (
            "ports { sidecar_min_port = 5 sidecar_max_port = 4 }",
            "sidecar_min_port must be less than sidecar_max_port. To disable, set both to zero.",
        ),
        ('connect { enabled = true ca_provider = "foo" }', "foo is not a valid CA provider"),
        (
            'connect { enabled = true ca_provider = "consul" ca_config { leaf_cert_ttl = "1s" } }',
            "leaf cert TTL must be greater or equal than 1h0m0s",
        ),
        (
            "connect { enable_mesh_gateway_wan_federation = true }",
            "'connect.enable_mesh_gateway_wan_federation=true' requires 'connect.enabled=true'",
        ),
        (
            "connect { enabled = true enable_mesh_gateway_wan_federation = true }",
            "'connect.enable_mesh_gateway_wan_federation = true' requires 'server = true'",
        ),
        (
            'server = true retry_join_wan = ["a"]'
            " connect { enabled = true enable_mesh_gateway_wan_federation = true }",
            "'retry_join_wan' is incompatible with "
            "'connect.enable_mesh_gateway_wan_federation = true'",
        ),
        ('primary_gateways = ["x"]', "'primary_gateways' requires 'server = true'"),
        (
            'server = true primary_gateways = ["x"]',
            "'primary_gateways' should only be configured in a secondary datacenter",
        ),
        (
            "auto_encrypt { allow_tls = true }",
            "auto_encrypt.allow_tls can only be used on a server.",
        ),
        (
            "auto_config { enabled = true }",
            "auto_config.enabled cannot be set without configuring TLS for server communications",
        ),
        ('encrypt = "abc"', "encrypt has invalid key: illegal base64 data at input byte 0"),
        (
            'config_entries { bootstrap { kind = "foo" } }',
            "config_entries.bootstrap[0]: invalid config entry kind: foo",
        ),
        (
            'serf_lan_allowed_cidrs = ["x"]',
            f"serf_lan_allowed_cidrs: {one('invalid cidr: x')}",
        ),
        (
            'http_config { allow_write_http_from = ["x"] }',
            one("allow_write_http_from: invalid cidr: x"),
        ),
        (
            'service { name = "a" meta { "b c" = "d" } }',
            one(
                "invalid meta for service a: Couldn't load metadata pair ('b c', 'd'): "
                "Key contains invalid characters"
            ),
        ),
        (
            'service { name = "a" weights { passing = 0 } }',
            one("Invalid weight definition for service a: Passing must be greater than 0"),
        ),
        (
            'service { name = "a" kind = "connect-proxy" }',
            'service "a": 2 errors occurred:'
            "\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services"
            "\n\t* Port must be set for a Connect proxy\n\n",
        ),
    ],
)
def test_rules(text, error):
    assert refusal(text) == error


def test_dev_mode_needs_no_data_directory():
    assert loaded(dev=True).config.dev


QUORUM = "See https://www.consul.io/docs/internals/consensus.html#deployment-table"


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("", ()),
        (
            "server = true bootstrap_expect = 2",
            (
                "bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. "
                + QUORUM,
                "bootstrap_expect > 0: expecting 2 servers",
            ),
        ),
        (
            "server = true bootstrap_expect = 4",
            (
                "bootstrap_expect is even number: A cluster with an even number of servers does "
                "not achieve optimum fault tolerance. " + QUORUM,
                "bootstrap_expect > 0: expecting 4 servers",
            ),
        ),
        (
            'telemetry { prefix_filter = ["x", "+y"] }',
            ("Filter rule must begin with either '+' or '-': \"x\"",),
        ),
        (
            'node_name = "a_b"',
            (
                'Node name "a_b" will not be discoverable via DNS due to invalid characters. '
                "Valid characters include all alpha-numerics and dashes.",
            ),
        ),
        (
            f'node_name = "{"a" * 64}"',
            (
                f'Node name "{"a" * 64}" will not be discoverable via DNS due to it being too '
                "long. Valid lengths are between 1 and 63 bytes.",
            ),
        ),
        (
            "enable_script_checks = true",
            (
                "using enable-script-checks without ACLs and without allow_write_http_from is "
                "DANGEROUS, use enable-local-script-checks instead, see https://www.hashicorp.com/"
                "blog/protecting-consul-from-rce-risk-in-specific-configurations/",
            ),
        ),
        ("enable_script_checks = true acl { enabled = true }", ()),
        (
            "non_voting_server = true server = true audit { enabled = true }",
            (
                '"non_voting_server" is a Consul Enterprise configuration and will have no effect',
                '"audit" is a Consul Enterprise configuration and will have no effect',
            ),
        ),
        (
            'acl_datacenter = "dc1"',
            (
                "The 'acl_datacenter' field is deprecated. "
                "Use the 'primary_datacenter' field instead.",
            ),
        ),
    ],
)
def test_warnings(text, warnings):
    assert warned(text) == warnings


def test_a_setting_nothing_acts_on_is_told_of_and_only_when_it_is_set():
    setting = next(row for row in table(AgentConfig) if row.path == "telemetry.statsd_address")
    assert not setting.key.acts
    assert warned('telemetry { statsd_address = "127.0.0.1:8125" }') == (
        '"telemetry.statsd_address" is accepted but not acted on yet, it has no effect',
    )
    assert warned("telemetry { disable_hostname = true }") == ()


@given(st.binary(max_size=40))
def test_every_base64_text_is_one(content):
    assert base64_error(base64.b64encode(content).decode()) is None


@pytest.mark.parametrize(("text", "at"), [("abc", 0), ("zz", 0), ("MTIz!A==", 4), ("AAAAA===", 5)])
def test_what_is_not_base64_is_found(text, at):
    assert base64_error(text) == at


def test_leaving_ui_files_to_the_operator_serves_them():
    assert config('ui_dir = "/x"').ui_config.enabled
