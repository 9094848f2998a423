"""Services and checks in files come out with the names of the HTTP API."""

from .configuring import config, refusal


def test_a_service_is_renamed_throughout():
    found = config(
        """
        service {
          id = "web1"
          name = "web"
          tags = ["a"]
          EnableTagOverride = true
          meta { some_key = "kept" }
          tagged_addresses { lan { address = "10.0.0.1" port = 80 } }
          weights { passing = 2 }
          check { id = "c1" args = ["true"] interval = "5s" tls_skip_verify = true }
          checks = [{ http = "http://x" header { "X-A" = ["b"] } interval = "1s" }]
          connect { sidecar_service { proxy {
            upstreams { destination_name = "db" local_bind_port = 1 config { keep_me = 1 } }
            expose { paths { local_path_port = 8080 path = "/m" listener_port = 1 } }
          } } }
        }
        """
    )
    assert found.services == (
        {
            "ID": "web1",
            "Name": "web",
            "Tags": ["a"],
            "EnableTagOverride": True,
            "Meta": {"some_key": "kept"},
            "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 80}},
            "Weights": {"Passing": 2},
            "Check": {"CheckID": "c1", "Args": ["true"], "Interval": "5s", "TLSSkipVerify": True},
            "Checks": [{"HTTP": "http://x", "Header": {"X-A": ["b"]}, "Interval": "1s"}],
            "Connect": {
                "SidecarService": {
                    "Proxy": {
                        "Upstreams": [
                            {
                                "DestinationName": "db",
                                "LocalBindPort": 1,
                                "Config": {"keep_me": 1},
                            }
                        ],
                        "Expose": {
                            "Paths": [{"LocalPathPort": 8080, "Path": "/m", "ListenerPort": 1}]
                        },
                    }
                }
            },
        },
    )


def test_a_check_by_itself_is_named_by_id():
    found = config(
        'check { id = "a" ServiceID = "web" TTL = "10s" DeregisterCriticalServiceAfter = "1m" }'
    )
    assert found.checks == (
        {"ID": "a", "ServiceID": "web", "TTL": "10s", "DeregisterCriticalServiceAfter": "1m"},
    )


def test_definitions_of_all_files_are_gathered_in_order():
    found = config(
        'services = [{ name = "a" }] service { name = "b" } check { ttl = "1s" name = "x" }',
        'services { name = "c" } services { name = "d" }',
    )
    assert [service["Name"] for service in found.services] == ["a", "b", "c", "d"]
    assert len(found.checks) == 1


def test_unknown_fields_are_named_with_their_place():
    text = """services = [{ name = "a" checks = [{ foo = 1 }] }, {
        connect { sidecar_service { foo = 1 proxy { upstreams = [{ bar = 2 }] } } } }]"""
    assert refusal(text) == (
        "failed to parse /c/1.hcl: 3 errors occurred:"
        "\n\t* invalid config key services[0].checks[0].foo"
        "\n\t* invalid config key services[1].connect.sidecar_service.proxy.upstreams[0].bar"
        "\n\t* invalid config key services[1].connect.sidecar_service.foo\n\n"
    )
