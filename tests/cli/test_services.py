import json

import pytest

from lictor.cli.definitions import definitions_in
from lictor.cli.errors import Failure

HCL = """
service {
  name = "web"
  port = 80
  meta { team = "shop" }
  tagged_addresses { lan = { address = "10.0.0.1", port = 8 } }
  check {
    id = "c"
    http = "http://localhost/health"
    header { X-Probe = ["1"] }
    deregister_critical_service_after = "1m"
  }
  connect {
    sidecar_service {
      proxy {
        upstreams = [
          { destination_name = "db", local_bind_port = 9191, config = { connect_timeout_ms = 5 } }
        ]
        local_service_port = 8080
      }
    }
  }
}
"""
WEB = {
    "Name": "web",
    "Port": 80,
    "Meta": {"team": "shop"},
    "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 8}},
    "Check": {
        "CheckID": "c",
        "HTTP": "http://localhost/health",
        "Header": {"X-Probe": ["1"]},
        "DeregisterCriticalServiceAfter": "1m",
    },
    "Connect": {
        "SidecarService": {
            "Proxy": {
                "Upstreams": [
                    {
                        "DestinationName": "db",
                        "LocalBindPort": 9191,
                        "Config": {"connect_timeout_ms": 5},
                    }
                ],
                "LocalServicePort": 8080,
            }
        }
    },
}


@pytest.mark.slow
def test_a_file_in_hcl_is_registered(lictor, agent, tmp_path):
    (tmp_path / "web.hcl").write_text(HCL)
    agent.answers["PUT /v1/agent/service/register"] = b""
    assert (
        lictor("services", "register", str(tmp_path / "web.hcl")).stdout
        == "Registered service: web\n"
    )
    assert json.loads(agent.bodies["PUT /v1/agent/service/register"]) == WEB


def test_a_directory_is_read_in_order_and_the_rest_left_alone(lictor, agent, tmp_path):
    (tmp_path / "b.json").write_text(
        '{"service": {"name": "last"}, "services": [{"name": "first"}]}'
    )
    (tmp_path / "c.json").write_text('{"node_name": "x"}')
    (tmp_path / "a.txt").write_text("x")
    agent.answers["PUT /v1/agent/service/register"] = b""
    outcome = lictor("services", "register", str(tmp_path))
    assert outcome.stdout == "Registered service: first\nRegistered service: last\n"
    assert outcome.stderr == ""


def test_a_misspelt_key_is_refused(lictor, agent, tmp_path):
    (tmp_path / "x.json").write_text('{"services": [{"name": "a"}, {"nmae": "b"}]}')
    outcome = lictor("services", "register", str(tmp_path / "x.json"))
    assert outcome.code == 1
    assert outcome.stderr.endswith(
        "x.json: 1 error occurred:\n\t* invalid config key services[1].nmae\n\n\n"
    )
    assert agent.requests == []


@pytest.mark.parametrize(
    "document", [[], 1, {"service": 1}, {"services": ["x"]}, {"service": {"check": 1}}]
)
def test_what_is_no_definition_is_refused(document):
    with pytest.raises(Failure, match="Error: failed to parse f"):
        definitions_in("f", document)


def test_flags_describe_one_service(lictor, agent):
    agent.answers["PUT /v1/agent/service/register"] = b""
    words = ["-name=web", "-id=w1", "-port=80", "-tag=a", "-tag=b", "-meta=k=v", "-address=h"]
    words.append("-tagged-address=lan=[::1]:5")
    assert lictor("services", "register", *words).stdout == "Registered service: web\n"
    assert json.loads(agent.bodies["PUT /v1/agent/service/register"]) == {
        "Name": "web",
        "ID": "w1",
        "Port": 80,
        "Tags": ["a", "b"],
        "Meta": {"k": "v"},
        "Address": "h",
        "TaggedAddresses": {"lan": {"Address": "::1", "Port": 5}},
    }


def test_a_refusal_names_the_service(lictor, agent, reply):
    agent.answers["PUT /v1/agent/service/register"] = reply(403, b"Permission denied")
    said = lictor("services", "register", "-name=web").stderr
    assert (
        said
        == 'Error registering service "web": Unexpected response code: 403 (Permission denied)\n'
    )


def test_deregister_by_id_and_by_file(lictor, agent, tmp_path):
    (tmp_path / "x.json").write_text('{"services": [{"name": "a", "id": "a1"}, {"name": "b"}]}')
    agent.answers |= {f"PUT /v1/agent/service/deregister/{one}": b"" for one in ("w", "a1", "b")}
    assert lictor("services", "deregister", "-id=w").stdout == "Deregistered service: w\n"
    said = lictor("services", "deregister", str(tmp_path / "x.json")).stdout
    assert said == "Deregistered service: a1\nDeregistered service: b\n"
