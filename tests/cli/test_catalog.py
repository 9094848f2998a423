import json

import pytest

NODE = {
    "ID": "0123456789",
    "Node": "n1",
    "Address": "10.0.0.1",
    "Datacenter": "dc1",
    "TaggedAddresses": {"wan": "w", "lan": "l"},
    "Meta": {"b": "2", "a": "1"},
}


def test_nodes_short_and_detailed(lictor, agent):
    agent.answers["GET /v1/catalog/nodes"] = [[NODE]]
    assert (
        lictor("catalog", "nodes").stdout
        == "Node  ID        Address   DC\nn1    01234567  10.0.0.1  dc1\n"
    )
    assert lictor("catalog", "nodes", "-detailed").stdout == (
        "Node  ID          Address   DC   TaggedAddresses  Meta\n"
        "n1    0123456789  10.0.0.1  dc1  lan=l, wan=w     a=1, b=2\n"
    )


def test_nodes_of_a_service_are_listed_once(lictor, agent):
    instance = {
        "ID": "0123456789",
        "Node": "n1",
        "Address": "a",
        "Datacenter": "dc1",
        "ServiceID": "x",
    }
    agent.answers["GET /v1/catalog/service/web"] = [[instance, instance | {"ServiceID": "y"}]]
    assert lictor("catalog", "nodes", "-service=web").stdout.count("n1") == 1


def test_nodes_filters_travel(lictor, agent):
    agent.answers["GET /v1/catalog/nodes"] = [[NODE]]
    lictor(
        "catalog", "nodes", "-node-meta=a=b", "-node-meta=c=d", "-near=_agent", "-filter=Node != x"
    )
    assert agent.requests == [
        "GET /v1/catalog/nodes?filter=Node+%21%3D+x&near=_agent&node-meta=a%3Ab&node-meta=c%3Ad"
    ]


@pytest.mark.parametrize(
    ("words", "answer", "said"),
    [(["nodes"], [[]], "No nodes match"), (["services"], {}, "No services match")],
)
def test_nothing_found_is_a_hint_and_no_failure(lictor, agent, words, answer, said):
    agent.answers[f"GET /v1/catalog/{words[0]}"] = answer
    outcome = lictor("catalog", *words)
    assert (outcome.code, outcome.stdout) == (0, "")
    assert outcome.stderr == f"{said} the given query - try expanding your search.\n"


def test_services_with_tags_keep_the_blanks(lictor, agent):
    agent.answers["GET /v1/catalog/services"] = {"web": ["v2", "a.b"], "extaddr": []}
    assert lictor("catalog", "services").stdout == "extaddr\nweb\n"
    assert lictor("catalog", "services", "-tags").stdout == "extaddr      \nweb          a.b,v2\n"


def test_services_of_a_node(lictor, agent):
    services = {
        "w1": {"Service": "web", "Tags": ["a"]},
        "w2": {"Service": "web", "Tags": ["b", "a"]},
    }
    agent.answers["GET /v1/catalog/node/n1"] = {"Node": NODE, "Services": services}
    assert lictor("catalog", "services", "-node=n1", "-tags").stdout == "web      a,b\n"
    agent.answers["GET /v1/catalog/node/n1"] = None
    assert lictor("catalog", "services", "-node=n1").stderr.startswith("No services match")


def test_json_is_the_answer(lictor, agent):
    agent.answers |= {"GET /v1/catalog/nodes": [[NODE]], "GET /v1/catalog/datacenters": [["dc1"]]}
    assert lictor("catalog", "nodes", "-format=json").stdout == json.dumps([NODE], indent=4) + "\n"
    assert lictor("catalog", "datacenters", "-format=json").stdout == '[\n    "dc1"\n]\n'


def test_json_is_written_as_go_writes_it(lictor, agent):
    agent.answers["GET /v1/catalog/services"] = {"wörld": ["<&>"]}
    shown = lictor("catalog", "services", "-format=json").stdout
    assert shown == '{\n    "wörld": [\n        "\\u003c\\u0026\\u003e"\n    ]\n}\n'
