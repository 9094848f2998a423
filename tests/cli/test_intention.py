import json

import pytest

WEB_DB = {
    "ID": "",
    "SourceNS": "default",
    "SourceName": "web",
    "DestinationNS": "default",
    "DestinationName": "db",
    "SourceType": "consul",
    "Action": "deny",
    "Meta": {"team": "shop"},
    "Precedence": 9,
    "CreatedAt": "2026-11-23T05:13:45.123456789Z",
}
ANY_DB = WEB_DB | {
    "SourceName": "*",
    "Precedence": 8,
    "Permissions": [{"Action": "allow"}],
    "Action": "",
}


def test_create_writes_by_source_and_destination(lictor, agent):
    agent.answers |= {"GET /v1/connect/intentions": [[]], "PUT /v1/connect/intentions/exact": True}
    outcome = lictor("intention", "create", "-deny", "-meta=a=b", "-description=d", "web", "db")
    assert outcome.stdout == "Created: web => db (deny)\n"
    request = "PUT /v1/connect/intentions/exact?destination=db&source=web"
    assert agent.requests[-1] == request
    assert json.loads(agent.bodies[request]) == {
        "SourceName": "web",
        "DestinationName": "db",
        "SourceType": "consul",
        "Action": "deny",
        "Meta": {"a": "b"},
        "Description": "d",
    }


def test_a_duplicate_is_refused_unless_it_is_to_be_replaced(lictor, agent):
    agent.answers |= {
        "GET /v1/connect/intentions": [[WEB_DB]],
        "PUT /v1/connect/intentions/exact": True,
    }
    outcome = lictor("intention", "create", "web", "db")
    assert outcome.code == 1
    assert outcome.stderr == (
        'Error creating intention "web => db (allow)": Unexpected response code: 500 '
        "(duplicate intention found: DENY default/web => default/db (ID: , Precedence: 9))\n"
    )
    assert lictor("intention", "create", "-replace", "web", "db").code == 0
    assert agent.requests[-1].startswith("PUT /v1/connect/intentions/exact")


def test_a_server_that_knows_only_ids_is_served_too(lictor, agent, reply):
    refusal = reply(
        400, b"Bad request: failed intention lookup: index error: UUID must be 36 characters"
    )
    agent.answers |= {
        "GET /v1/connect/intentions": [[WEB_DB | {"ID": "id1"}]],
        "DELETE /v1/connect/intentions/exact": refusal,
        "DELETE /v1/connect/intentions/id1": True,
        "PUT /v1/connect/intentions/exact": refusal,
        "PUT /v1/connect/intentions/id1": {"ID": "id1"},
        "POST /v1/connect/intentions": {"ID": "id2"},
    }
    assert lictor("intention", "delete", "web", "db").stdout == "Intention deleted.\n"
    assert lictor("intention", "create", "-replace", "web", "db").code == 0
    assert lictor("intention", "create", "new", "db").stdout == "Created: new => db (allow)\n"


def test_get(lictor, agent):
    agent.answers["GET /v1/connect/intentions"] = [[WEB_DB]]
    assert lictor("intention", "get", "web", "db").stdout == (
        "Source:       web\n"
        "Destination:  db\n"
        "Action:       deny\n"
        "Meta[team]:   shop\n"
        "Created At:   Monday, 23-Nov-26 05:13:45 UTC\n"
    )
    outcome = lictor("intention", "get", "web", "x")
    assert outcome.stderr == 'Error: Intention with source "web" and destination "x" not found.\n'


@pytest.mark.parametrize(
    ("allowed", "said", "code"), [(True, "Allowed\n", 0), (False, "Denied\n", 1)]
)
def test_check(lictor, agent, allowed, said, code):
    agent.answers["GET /v1/connect/intentions/check"] = {"Allowed": allowed}
    outcome = lictor("intention", "check", "web", "db")
    assert (outcome.code, outcome.stdout) == (code, said)
    assert agent.requests == [
        "GET /v1/connect/intentions/check?destination=db&source=web&source-type=consul"
    ]


def test_a_check_that_could_not_be_made_exits_two(lictor, agent):
    assert lictor("intention", "check", "web").code == 2
    assert lictor("intention", "check", "web", "db").code == 2


def test_match(lictor, agent):
    agent.answers["GET /v1/connect/intentions/match"] = {"db": [WEB_DB, ANY_DB]}
    assert lictor("intention", "match", "db").stdout == "web => db (deny)\n* => db (1 permission)\n"
    assert agent.requests == ["GET /v1/connect/intentions/match?by=destination&name=db"]
    agent.answers["GET /v1/connect/intentions/match"] = {"web": None}
    outcome = lictor("intention", "match", "-source", "web")
    assert (outcome.code, outcome.stdout) == (0, "")


def test_list(lictor, agent):
    agent.answers["GET /v1/connect/intentions"] = [[WEB_DB, ANY_DB]]
    assert lictor("intention", "list").stdout == (
        "ID  Source  Action        Destination  Precedence\n"
        "    web     deny          db           9\n"
        "    *       1 permission  db           8\n"
    )
    assert json.loads(lictor("intention", "list", "-format=json").stdout) == [WEB_DB, ANY_DB]
    agent.answers["GET /v1/connect/intentions"] = [[]]
    outcome = lictor("intention", "list")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (2, "", "There are no intentions.\n")


def test_peers_and_namespaces_are_spelt_out(lictor, agent):
    agent.answers |= {"GET /v1/connect/intentions": [[]], "PUT /v1/connect/intentions/exact": True}
    said = lictor("intention", "create", "peer:east/web", "ns/db").stdout
    assert said == "Created: peer:east/web => ns/db (allow)\n"
    (body,) = [json.loads(one) for one in agent.bodies.values() if one]
    assert (body["SourcePeer"], body["SourceName"]) == ("east", "web")
    assert (body["DestinationNS"], body["DestinationName"]) == ("ns", "db")
