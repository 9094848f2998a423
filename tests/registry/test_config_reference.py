"""The table of settings, the structs and the reference page say the same."""

from pathlib import Path

import pytest

from lictor.registry.config.agent import AgentConfig
from lictor.registry.config.debug import debug_config
from lictor.registry.config.keys import table
from lictor.registry.config.legacy import LEGACY, look
from lictor.registry.config.reference import reference

from .configuring import config, loaded

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_current():
    assert PAGE.read_text() == reference(), (
        "run: python -m lictor.registry.config.reference > docs/configuration.md"
    )


def test_every_setting_has_a_name_of_its_own_and_a_help_of_one_line():
    rows = list(table(AgentConfig))
    assert len({row.path for row in rows}) == len(rows) > 300
    assert all(row.key.help.endswith(".") and "\n" not in row.key.help for row in rows)


def test_every_moved_setting_moved_to_one_that_exists():
    assert {row.new for row in LEGACY} <= {row.path for row in table(AgentConfig)}


TEXT = {
    "string": '"127.0.0.1"',
    "bool": "true",
    "int": "7",
    "unsigned": "7",
    "float": "7.5",
    "duration": '"8s"',
    "strings": '["x"]',
    "map": '{ x = "y" }',
    "durations": '{ x = "7s" }',
    "any": "{ x = 1 }",
    "objects": "[{ x = 1 }]",
}


@pytest.mark.slow
def test_every_setting_is_read_into_the_field_of_its_name():
    # Alone, some would break a rule; together with these they do not.
    needs = {
        "autopilot": "server = true",
        "auto_encrypt": "server = true",
        "auto_config": 'verify_outgoing = true cert_file = "x"',
        "bootstrap": "server = true",
        "bootstrap_expect": "server = true",
        "connect": "server = true connect { enabled = true }",
    }
    own = {
        "segment": None,
        "segments": None,
        "encrypt": '"AAAA"',
        "serf_lan_allowed_cidrs": '["10.0.0.0/8"]',
        "serf_wan_allowed_cidrs": '["10.0.0.0/8"]',
        "http_config.allow_write_http_from": '["10.0.0.0/8"]',
        "ui_config.content_path": '"/x/"',
        "client_addr": '"127.0.0.2"',
        "datacenter": '"dc2"',
        "primary_datacenter": '"dc2"',
        "primary_gateways": None,
        "config_entries.bootstrap": '[{ kind = "mesh" }]',
        "connect.ca_provider": '"vault"',
        "advertise_addr_ipv6": '"::1"',
        "advertise_addr_wan_ipv6": '"::1"',
        "ports.sidecar_max_port": "21001",
        "ports.expose_max_port": "21501",
    }
    for row in table(AgentConfig):
        text = own.get(row.path, TEXT[row.kind])
        if text is None:
            continue
        if row.kind == "bool":
            text = "false" if row.default else "true"
        head, *rest = row.path.split(".")
        for name in reversed(rest):
            text = f"{{ {name} = {text} }}"
        found = config(needs.get(head, ""), f"{head} = {text}")
        value = found
        for name in row.path.split("."):
            value = getattr(value, name)
        assert value != row.default, row.path
        if row.kind == "duration":
            assert value == 8.0, row.path


def test_what_a_traceback_prints_of_a_configuration_holds_no_secret():
    found = config('encrypt = "AAAA" acl { tokens { default = "secret" agent = "secret" } }')
    assert repr(found) == "AgentConfig(node='host', datacenter='dc1')"
    assert repr(found.acl) == repr(config().acl)


def test_secrets_are_not_shown():
    shown = debug_config(
        loaded(
            dev=True,
            **{
                "encrypt": "c2VjcmV0c2VjcmV0c2VjcmV0",
                "acl.tokens.default": "secret",
                "acl.tokens.agent": "secret",
                "acl.tokens.initial_management": "secret",
                "acl.tokens.agent_recovery": "secret",
                "acl.tokens.replication": "secret",
                "tls.defaults.key_file": "secret",
                "auto_config.intro_token": "secret",
                "telemetry.circonus_api_token": "secret",
                "connect.ca_config": {"token": "secret"},
                "retry_join": ["provider=aws secret_access_key=secret"],
                "services": [{"name": "web", "token": "secret", "check": {"token": "secret"}}],
                "checks": [{"name": "x", "token": "secret"}],
            },
        ).config
    )
    assert "secret" not in str(shown).replace("c2VjcmV0", "secret")
    assert look(shown, "Services") == [
        {"Name": "web", "Token": "hidden", "Check": {"Token": "hidden"}}
    ]
