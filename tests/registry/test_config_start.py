"""What stops an agent at its start, and what a running one takes over."""

import msgspec
import pytest

from lictor.registry.config import InvalidConfig
from lictor.registry.config.reload import reload
from lictor.registry.config.start import check_start

from .configuring import config, loaded


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            'log_level = "zzz"',
            "Invalid log level: zzz. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]",
        ),
        (
            'encrypt = "MTIzNA=="',
            "Failed to configure keyring: key size must be 16, 24 or 32 bytes",
        ),
        (
            "verify_incoming = true",
            "VerifyIncoming set but no CA certificates were provided",
        ),
        ("verify_outgoing = true", "VerifyOutgoing set, and no CA certificate provided!"),
        (
            'tls_min_version = "x"',
            "TLSMinVersion: value x not supported, "
            "please specify one of [tls10, tls11, tls12, tls13]",
        ),
        (
            "server = true auto_encrypt { tls = true }",
            "auto_encrypt.tls can only be used on a client.",
        ),
        (
            'node_id = "zz"',
            "failed to setup node ID: specified NodeID is invalid: uuid string is wrong length",
        ),
        (
            'acl { enabled = true default_policy = "foo" }',
            "Unsupported default ACL policy: foo",
        ),
        ('acl { enabled = true down_policy = "foo" }', "Unsupported down ACL policy: foo"),
        ("protocol = 9", "Protocol version '9' too high. Must be in range: [2, 3]"),
        (
            "raft_protocol = 9",
            "Failed to start Raft: Protocol version 9 must be >= 1 and <= 3",
        ),
    ],
)
def test_what_an_agent_cannot_start_with(text, error):
    found = config(text)
    with pytest.raises(InvalidConfig) as caught:
        check_start(found)
    assert str(caught.value) == error


def test_what_an_agent_can_start_with():
    check_start(config())
    check_start(loaded(dev=True).config)
    check_start(
        config(
            'verify_incoming = true verify_outgoing = true ca_file = "ca.pem" tls_min_version ='
            ' "tls13" encrypt = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=" log_level = "err"'
            ' node_id = "76b5e6a2-9739-0db7-67f7-51f904628fea"'
        )
    )


def test_a_reload_takes_over_what_takes_no_restart_and_names_the_rest():
    running = config('log_level = "INFO" recursors = ["1.1.1.1"] ports { http = 1 }')
    again = config(
        'log_level = "WARN" ports { http = 2 } dns_config { node_ttl = "9s" }'
        ' acl { enabled = true tokens { agent = "t" } } service { name = "web" }'
    )
    found = reload(running, again)
    assert found.applied == (
        "dns_config.node_ttl",
        "recursors",
        "acl.tokens.agent",
        "log_level",
        "services",
    )
    assert found.ignored == ("ports.http", "acl.enabled")
    assert (found.config.log_level, found.config.ports.http) == ("WARN", 1)
    assert (found.config.acl.tokens.agent, found.config.acl.enabled) == ("t", False)
    assert found.config.dns_config.node_ttl == 9.0
    assert found.config.services == ({"Name": "web"},)
    assert found.config.listeners == running.listeners


def test_a_node_id_that_was_made_up_is_kept():
    running = loaded(dev=True).config
    again = msgspec.structs.replace(running, node_id="another")
    assert reload(running, again) == (running, (), ())


def test_a_reload_without_a_change_changes_nothing():
    running = config('node_meta { a = "b" }')
    assert reload(running, config('node_meta { a = "b" }')) == (running, (), ())
