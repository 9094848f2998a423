"""The configuration of an agent, from files, fragments and flags. Texts are Consul 1.8.7's."""

from pathlib import Path
from random import Random

import pytest

from lictor.registry.config import InvalidConfig, load

from .configuring import ETH0, ETH1, LO, Files, config, loaded, one, refusal

# Sources and merging


def test_scalars_are_won_by_the_later_lists_grow_and_maps_merge():
    found = config(
        'datacenter = "a" recursors = ["1.1.1.1"] node_meta { x = "1" y = "1" } ports { http = 1 }',
        'datacenter = "b" recursors = ["2.2.2.2"] node_meta { y = "2" } ports { dns = 2 }',
    )
    assert found.datacenter == "b"
    assert found.recursors == ("1.1.1.1", "2.2.2.2")
    assert found.node_meta == {"x": "1", "y": "2"}
    assert (found.ports.http, found.ports.dns) == (1, 2)


def test_flags_go_over_fragments_and_fragments_over_files():
    files = Files({"/c/a.json": '{"data_dir": "/d", "log_level": "WARN", "domain": "a"}'})
    found = load(
        files=[Path("/c/a.json")],
        fragments=['log_level = "ERR" domain = "b"'],
        flags={"log_level": "TRACE", "dns_config.node_ttl": "5s"},
        read=files.read,
        names=files.names,
        hostname="host",
        rng=Random(1),
        interfaces=lambda: [ETH0],
    ).config
    assert (found.log_level, found.domain, found.dns_config.node_ttl) == ("TRACE", "b", 5.0)


def load_paths(files, *paths, config_format=None):
    files = Files(files)
    return load(
        files=[Path(path) for path in paths],
        config_format=config_format,
        read=files.read,
        names=files.names,
        hostname="host",
        rng=Random(1),
        interfaces=lambda: [ETH0],
    )


def test_a_directory_stands_for_the_files_in_it_in_order_and_not_for_those_below():
    found = load_paths(
        {
            "/c/b.json": '{"domain": "later"}',
            "/c/a.hcl": 'data_dir = "/d" domain = "earlier"',
            "/c/notes.txt": "not configuration",
            "/c/sub/z.hcl": "nor = this",
        },
        "/c",
    )
    assert found.config.domain == "later"
    assert found.warnings == (
        "skipping file /c/notes.txt, extension must be .hcl or .json, or config format must be set",
    )


def test_the_format_can_be_told_for_every_file():
    found = load_paths({"/c/conf": 'data_dir = "/d"'}, "/c/conf", config_format="hcl")
    assert found.config.data_dir == "/d"
    with pytest.raises(
        InvalidConfig, match="config: -config-format must be either 'hcl' or 'json'"
    ):
        load_paths({}, config_format="yaml")


def test_a_missing_file_is_named():
    with pytest.raises(InvalidConfig) as caught:
        load_paths({}, "nosuch")
    assert str(caught.value) == (
        "config: Open failed on nosuch. open nosuch: no such file or directory"
    )


def test_the_snapshot_agents_section_is_left_to_it():
    assert config("snapshot_agent { anything = 1 }").data_dir == "/d"


# Types and keys


def test_unknown_keys_are_fatal_and_all_named():
    assert refusal('foo = 1 ports { zed = 1 } service { name = "a" bar = 1 }') == (
        "failed to parse /c/1.hcl: 3 errors occurred:"
        "\n\t* invalid config key ports.zed"
        "\n\t* invalid config key service.bar"
        "\n\t* invalid config key foo\n\n"
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("data_dir = 1", "'data_dir' expected type 'string', got unconvertible type 'int'"),
        ('server = "true"', "'server' expected type 'bool', got unconvertible type 'string'"),
        ("server = 1", "'server' expected type 'bool', got unconvertible type 'int'"),
        (
            'ports { http = "1" }',
            "'ports.http' expected type 'int', got unconvertible type 'string'",
        ),
        (
            "retry_interval = 1",
            "'retry_interval' expected type 'string', got unconvertible type 'int'",
        ),
        ('recursors = "x"', "'recursors': source data must be an array or slice, got string"),
        ("recursors = [1]", "'recursors[0]' expected type 'string', got unconvertible type 'int'"),
        ('node_meta = "a"', "'node_meta' expected a map, got 'string'"),
        (
            "node_meta { a = 1 }",
            "'node_meta[a]' expected type 'string', got unconvertible type 'int'",
        ),
        ("ports { http = 1 } ports { dns = 1 }", "'ports' expected a map, got 'slice'"),
        ("service {} service {}", "'service' expected a map, got 'slice'"),
        (
            'limits { rpc_rate = "x" }',
            "'limits.rpc_rate' expected type 'float64', got unconvertible type 'string'",
        ),
        (
            "limits { kv_max_value_size = -1 }",
            "cannot parse 'limits.kv_max_value_size', -1 overflows uint",
        ),
    ],
)
def test_wrong_types_are_told_as_consul_does(text, error):
    assert refusal(text) == f"failed to parse /c/1.hcl: 1 error(s) decoding:\n\n* {error}"


def test_a_list_of_one_object_is_an_object():
    assert config("ports = [{ http = 1 }]").ports.http == 1


def test_keys_do_not_mind_their_case_and_numbers_not_their_fraction():
    found = config("SERVER = true Ports { HTTP = 1.5 dns = 0x10 }")
    assert (found.server, found.ports.http, found.ports.dns) == (True, 1, 16)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a":', "unexpected end of JSON input"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b":1}', "invalid character '\"' after object key:value pair"),
        ('{"a":1} x', "invalid character 'x' after top-level value"),
        ('{"a":[1 2]}', "invalid character '2' after array element"),
        ('{"a":[1,]}', "invalid character ']' looking for beginning of value"),
        ('{"a": x}', "invalid character 'x' looking for beginning of value"),
        ('{"a": "b\nc"}', "invalid character '\\n' in string literal"),
        ('{"a": tru}', "invalid character '}' in literal true (expecting 'e')"),
        ("[1]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("[" * 100_000, "exceeded what can be read: too deep, or a number too long"),
        ('{"a": NaN}', "exceeded what can be read: too deep, or a number too long"),
    ],
)
def test_malformed_json_is_told_as_go_does(text, error):
    with pytest.raises(InvalidConfig) as caught:
        load_paths({"c.json": text}, "c.json")
    assert str(caught.value) == f"failed to parse c.json: {error}"


def test_json_null_is_a_key_that_is_not_set():
    found = load_paths({"c.json": '{"data_dir": "/d", "server": null, "ports": null}'}, "c.json")
    assert not found.config.server


@pytest.mark.parametrize("number", ["1e400", "1e30", "-1e30"])
def test_numbers_beyond_64_bits_are_refused(number):
    with pytest.raises(InvalidConfig, match=r"cannot parse 'ports.http', .* overflows int"):
        load_paths({"c.json": f'{{"ports": {{"http": {number}}}}}'}, "c.json")


def test_every_bad_duration_is_named():
    assert refusal('retry_interval = "xx" check { ttl = "15" }') == (
        "2 errors occurred:"
        '\n\t* retry_interval: invalid duration: "xx": time: invalid duration "xx"'
        '\n\t* check[].ttl: invalid duration: "15": time: missing unit in duration "15"\n\n'
    )


# Defaults and modes


def test_a_client_and_a_server_differ_in_how_they_leave():
    client, server = config(), config(server=True)
    assert (client.leave_on_terminate, client.skip_leave_on_interrupt) == (True, False)
    assert (server.leave_on_terminate, server.skip_leave_on_interrupt) == (False, True)


def test_dev_mode_lies_beneath_every_source():
    found = loaded(dev=True, **{"ports.grpc": 1, "server": False}).config
    assert (found.bind_addr, found.ports.grpc, found.server) == ("127.0.0.1", 1, False)
    assert (found.connect.enabled, found.ui_config.enabled, found.log_level) == (
        True,
        True,
        "DEBUG",
    )
    assert found.timings.raft_election_timeout == 0.052


def test_dev_mode_makes_up_a_node_id_from_the_rng():
    assert loaded(dev=True).config.node_id == loaded(dev=True).config.node_id != ""


def test_expecting_one_server_is_bootstrap():
    found = loaded(dev=False, data_dir="/d", server=True, bootstrap_expect=1)
    assert (found.config.bootstrap, found.config.bootstrap_expect) == (True, 0)
    assert found.warnings == (
        "BootstrapExpect is set to 1; this is the same as Bootstrap mode.",
        "bootstrap = true: do not enable unless necessary",
    )


def test_rafts_timing_is_scaled():
    found = config("performance { raft_multiplier = 2 }").timings
    assert (found.raft_heartbeat_timeout, found.raft_leader_lease_timeout) == (2.0, 1.0)


def test_names_are_folded_and_defaulted():
    found = config('datacenter = "DC-1"')
    assert (found.node_name, found.datacenter, found.primary_datacenter) == ("host", "dc-1", "dc-1")


# Settings that moved


def test_settings_that_moved_are_read_where_they_were_and_told_of():
    found = loaded(
        'data_dir = "/d" acl_master_token = "m" verify_incoming = true tls_min_version = "tls13"'
        ' verify_incoming_https = false ca_file = "old" tls { defaults { ca_file = "new" } }'
    )
    tls = found.config.tls
    assert found.config.acl.tokens.initial_management == "m"
    assert (tls.internal_rpc.verify_incoming, tls.https.verify_incoming) == (True, False)
    assert (tls.grpc.tls_min_version, tls.https.ca_file) == ("TLSv1_3", "new")
    assert (
        "The 'acl_master_token' field is deprecated. "
        "Use the 'acl.tokens.initial_management' field instead."
    ) in found.warnings


def test_the_old_acl_datacenter_turns_acls_on():
    assert config('acl_datacenter = "dc1"').acl.enabled
    assert not config('acl_datacenter = "dc1" acl { enabled = false }').acl.enabled


# Addresses


def test_the_one_private_address_is_advertised():
    found = config()
    assert (found.bind_addr, found.advertise_lan, found.advertise_wan) == (
        "0.0.0.0",
        "10.1.2.3",
        "10.1.2.3",
    )
    assert found.tagged_addresses == dict.fromkeys(
        ("lan", "lan_ipv4", "wan", "wan_ipv4"), "10.1.2.3"
    )


def test_with_none_or_several_private_addresses_one_must_be_named():
    assert refusal(interfaces=(LO,)) == "No private IPv4 address found"
    assert refusal(interfaces=(ETH0, ETH1)) == (
        "Multiple private IPv4 addresses found. "
        "Please configure one with 'bind' and/or 'advertise'."
    )
    assert config('bind_addr = "10.9.9.9"', interfaces=(ETH0, ETH1)).advertise_lan == "10.9.9.9"
    assert refusal('bind_addr = "::"') == "No public IPv6 address found"


def test_templates_are_filled_in():
    found = config(
        'bind_addr = "{{ GetInterfaceIP \\"eth0\\" }}" client_addr = "{{ GetPrivateIP }} 127.0.0.1"'
    )
    assert found.bind_addr == "10.1.2.3"
    assert [place.text for place in found.listeners.http] == ["10.1.2.3:8500", "127.0.0.1:8500"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('client_addr = "foo"', one("client_addr: invalid ip address: foo")),
        ('client_addr = "unix:///x"', one("client_addr cannot be a unix socket")),
        (
            'client_addr = "{{ Foo }}"',
            one(
                'client_addr: error parsing "{{ Foo }}": unable to parse template "{{ Foo }}": '
                'template: sockaddr.Parse:1: function "Foo" not defined'
            ),
        ),
        (
            'client_addr = "{{ GetAllInterfaces | include \\"x\\" }}"',
            one(
                'client_addr: error parsing "{{ GetAllInterfaces | include "x" }}": '
                'not a template of one function, near "{{ GetAllInterfaces"'
            ),
        ),
        ('bind_addr = ""', "bind_addr cannot be empty"),
        ('bind_addr = "unix:///x"', "bind_addr cannot be a unix socket"),
        (
            'bind_addr = "1.2.3.4 2.3.4.5"',
            "bind_addr cannot contain multiple addresses. "
            "Use 'addresses.{dns,http,https}' instead.",
        ),
        ('advertise_addr = "0.0.0.0"', "Advertise address cannot be 0.0.0.0, :: or [::]"),
        ('advertise_addr_wan = "::"', "Advertise WAN address cannot be 0.0.0.0, :: or [::]"),
        ('advertise_addr_ipv4 = "::1"', "advertise_addr_ipv4 must be an ipv4 address"),
        ('advertise_addr_wan = "unix:///x"', one("advertise_addr_wan cannot be a unix socket")),
        ('addresses { dns = "unix:///x" }', "DNS address cannot be a unix socket"),
        ('serf_wan = "x"', one("serf_wan: invalid ip address: x")),
        ("ports { http = 99999 }", one("ports.http: invalid port: 99999")),
        ("ports { http = 8600 }", "HTTP address 127.0.0.1:8600 already configured for DNS"),
        (
            "ports { server = 8301 }",
            "Serf Advertise LAN address 10.1.2.3:8301 already configured for RPC Advertise",
        ),
    ],
)
def test_addresses_that_cannot_be_used(text, error):
    assert refusal(text) == error


def test_sockets_and_ports_that_are_off():
    found = config('addresses { http = "unix:///run/http 127.0.0.1" } ports { dns = 0 https = -5 }')
    assert [place.text for place in found.listeners.http] == ["unix:///run/http", "127.0.0.1:8500"]
    assert (found.listeners.dns, found.ports.dns, found.listeners.https) == ((), -1, ())
