import json

GATEWAY = {
    "Kind": "ingress-gateway",
    "Name": "g",
    "Listeners": [{"Port": 80, "Protocol": "http", "Services": [{"Name": "old", "Hosts": None}]}],
    "CreateIndex": 3,
    "ModifyIndex": 7,
}


def test_the_authoritys_configuration_is_printed_with_tabs(lictor, agent):
    config = {"Provider": "consul", "Config": {"LeafCertTTL": "72h"}, "ModifyIndex": 3}
    agent.answers["GET /v1/connect/ca/configuration"] = config
    assert lictor("connect", "ca", "get-config").stdout == (
        '{\n\t"Provider": "consul",\n\t"Config": {\n\t\t"LeafCertTTL": "72h"\n\t},\n'
        '\t"State": null,\n\t"ModifyIndex": 3\n}\n'
    )


def test_it_is_changed_from_a_file(lictor, agent, tmp_path):
    (tmp_path / "ca.json").write_text('{"Provider":"consul"}')
    agent.answers["PUT /v1/connect/ca/configuration"] = b""
    words = [f"-config-file={tmp_path}/ca.json", "-force-without-cross-signing"]
    assert lictor("connect", "ca", "set-config", *words).stdout == "Configuration updated!\n"
    assert json.loads(agent.bodies["PUT /v1/connect/ca/configuration"]) == {
        "Provider": "consul",
        "ForceWithoutCrossSigning": True,
    }


def test_expose_adds_to_the_gateway_and_allows_the_connection(lictor, agent):
    agent.answers |= {
        "GET /v1/config/ingress-gateway/g": GATEWAY,
        "PUT /v1/config?cas=7": True,
        "GET /v1/connect/intentions": [[]],
        "PUT /v1/connect/intentions/exact": True,
    }
    words = ["-ingress-gateway=g", "-service=web", "-port=80", "-protocol=HTTP", "-host=a.b"]
    assert lictor("connect", "expose", *words).stdout == (
        'Successfully updated config entry for ingress service "g"\n'
        'Successfully set up intention for "g" -> "web"\n'
    )
    sent = json.loads(agent.bodies["PUT /v1/config?cas=7"])
    assert sent["Listeners"][0]["Services"][1] == {"Name": "web", "Hosts": ["a.b"]}
    assert agent.requests[-1] == "PUT /v1/connect/intentions/exact?destination=web&source=g"


def test_expose_makes_a_gateways_entry_and_leaves_an_intention_alone(lictor, agent):
    allowed = {"SourceName": "g", "DestinationName": "web", "Action": "allow"}
    agent.answers |= {"PUT /v1/config?cas=0": True, "GET /v1/connect/intentions": [[allowed]]}
    outcome = lictor("connect", "expose", "-ingress-gateway=g", "-service=web", "-port=80")
    assert outcome.stdout.endswith('Intention already exists for "g" -> "web"\n')
    assert json.loads(agent.bodies["PUT /v1/config?cas=0"]) == {
        "Kind": "ingress-gateway",
        "Name": "g",
        "Listeners": [
            {"Port": 80, "Protocol": "tcp", "Services": [{"Name": "web", "Hosts": None}]}
        ],
    }


def test_expose_refuses_another_protocol_and_a_lost_race(lictor, agent):
    agent.answers |= {"GET /v1/config/ingress-gateway/g": GATEWAY, "PUT /v1/config?cas=7": False}
    words = ["connect", "expose", "-ingress-gateway=g", "-service=web"]
    outcome = lictor(*words, "-port=80")
    assert (
        outcome.stderr
        == 'Listener on port 80 already configured with conflicting protocol "http"\n'
    )
    assert "was changed while attempting to update" in lictor(*words, "-port=81").stderr
