import json

import pytest

ROUTER = """
Kind = "service-router"
Name = "web"
Routes {
  Match { HTTP { PathPrefix = "/a"  Header { Name = "x"  Present = true } } }
  Destination { Service = "other" }
}
"""


def test_blocks_become_objects_and_lists_where_they_belong(lictor, agent, tmp_path):
    (tmp_path / "r.hcl").write_text(ROUTER)
    agent.answers["PUT /v1/config"] = True
    said = lictor("config", "write", str(tmp_path / "r.hcl")).stdout
    assert said == "Config entry written: service-router/web\n"
    assert json.loads(agent.bodies["PUT /v1/config"]) == {
        "Kind": "service-router",
        "Name": "web",
        "Routes": [
            {
                "Match": {"HTTP": {"PathPrefix": "/a", "Header": [{"Name": "x", "Present": True}]}},
                "Destination": {"Service": "other"},
            }
        ],
    }


def test_what_the_server_cannot_decode_is_told_as_a_decoding_error(lictor, agent, reply, tmp_path):
    (tmp_path / "x.json").write_text('{"kind":"service-defaults","Bad":1}')
    body = (
        b'Bad request: Request decoding failed: 1 error occurred:\n\t* invalid config key "Bad"\n\n'
    )
    agent.answers["PUT /v1/config"] = reply(400, body)
    outcome = lictor("config", "write", str(tmp_path / "x.json"))
    assert outcome.code == 1
    assert outcome.stderr.startswith(
        'Failed to decode config entry input: 1 error occurred:\n\t* invalid config key "Bad"\n'
    )


def test_a_lost_race_is_told(lictor, agent, tmp_path):
    (tmp_path / "x.json").write_text('{"Kind":"service-defaults","Name":"a"}')
    agent.answers |= {"PUT /v1/config": False, "DELETE /v1/config/k/a": [False, {}]}
    outcome = lictor("config", "write", "-cas", "-modify-index=3", str(tmp_path / "x.json"))
    assert (outcome.code, outcome.stderr) == (1, "Config entry not updated: service-defaults/a\n")
    assert agent.requests == ["PUT /v1/config?cas=3"]
    words = ["config", "delete", "-kind=k", "-name=a", "-cas", "-modify-index=3"]
    assert lictor(*words).stderr == "Config entry not deleted: k/a\n"
    assert lictor(*words).stdout == "Config entry deleted: k/a\n"


def test_read_leaves_out_what_is_empty(lictor, agent):
    agent.answers["GET /v1/config/k/a"] = {
        "Kind": "k",
        "Name": "a",
        "Protocol": "",
        "Expose": {},
        "ModifyIndex": 3,
    }
    assert json.loads(lictor("config", "read", "-kind=k", "-name=a").stdout) == {
        "Kind": "k",
        "Name": "a",
        "Expose": {},
        "ModifyIndex": 3,
    }


def test_list(lictor, agent):
    agent.answers["GET /v1/config/k"] = [[{"Kind": "k", "Name": "a"}, {"Kind": "k", "Name": "b"}]]
    assert lictor("config", "list", "-kind=k").stdout == "a\nb\n"
    assert json.loads(lictor("config", "list", "-kind=k", "-format=json").stdout)[1]["Name"] == "b"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "Failed to decode config entry input: unexpected end of JSON input"),
        ("kind\n", "Failed to decode config entry input: At 2:1: key 'kind'"),
        ('name = "x"', "Payload does not contain a kind/Kind key at the top level"),
    ],
)
def test_a_file_that_says_nothing_is_refused(lictor, agent, tmp_path, text, complaint):
    (tmp_path / "x").write_text(text)
    outcome = lictor("config", "write", str(tmp_path / "x"))
    assert outcome.code == 1
    assert complaint in outcome.stderr
    assert agent.requests == []
