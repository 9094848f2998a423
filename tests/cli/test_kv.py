import json

import pytest

ENTRY = {
    "Key": "a",
    "Value": "aGVsbG8=",
    "Flags": 7,
    "CreateIndex": 3,
    "ModifyIndex": 4,
    "LockIndex": 0,
}


def test_get_prints_the_value(lictor, agent):
    agent.answers["GET /v1/kv/a"] = [[ENTRY]]
    assert lictor("kv", "get", "/a").stdout == "hello\n"


def test_get_in_json_prints_the_answer(lictor, agent):
    agent.answers["GET /v1/kv/a"] = [[ENTRY]]
    assert lictor("kv", "get", "-format=json", "a").stdout == json.dumps([ENTRY], indent=4) + "\n"
    assert (
        lictor("kv", "get", "-format=yaml", "a").stderr
        == "Invalid format, valid formats are {pretty|json}\n"
    )


def test_get_of_a_missing_key(lictor, agent):
    outcome = lictor("kv", "get", "x")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (1, "", "Error! No key exists at: x\n")
    assert lictor("kv", "get", "-recurse", "x").code == 0


def test_get_when_the_server_fails_hides_the_body(lictor, agent, reply):
    agent.answers["GET /v1/kv/a"] = reply(500, b"No cluster leader")
    assert (
        lictor("kv", "get", "a").stderr
        == "Error querying Consul agent: Unexpected response code: 500\n"
    )


def test_details_are_aligned_and_separated(lictor, agent):
    agent.answers["GET /v1/kv/"] = [[ENTRY, ENTRY | {"Key": "b", "Value": None, "Session": "s"}]]
    lines = lictor("kv", "get", "-detailed", "-recurse").stdout.splitlines()
    assert lines[2] == "Key              a"
    assert lines[5:8] == ["Session          -", "Value            hello", ""]
    assert lines[13:] == ["Session          s", "Value"]


@pytest.mark.parametrize(
    ("words", "request_line", "answer", "said"),
    [
        (["a", "v"], "PUT /v1/kv/a", True, "Success! Data written to: a\n"),
        (["-flags=3", "a", "v"], "PUT /v1/kv/a?flags=3", True, "Success! Data written to: a\n"),
        (
            ["-cas", "-modify-index=0", "a", "v"],
            "PUT /v1/kv/a?cas=0",
            True,
            "Success! Data written to: a\n",
        ),
        (
            ["-cas", "-modify-index=9", "a", "v"],
            "PUT /v1/kv/a?cas=9",
            False,
            "Error! Did not write to a: CAS failed\n",
        ),
        (
            ["-acquire", "-session=s", "a", "v"],
            "PUT /v1/kv/a?acquire=s",
            True,
            "Success! Lock acquired on: a\n",
        ),
        (
            ["-acquire", "-session=s", "a", "v"],
            "PUT /v1/kv/a?acquire=s",
            False,
            "Error! Did not acquire lock\n",
        ),
        (
            ["-release", "-session=s", "a", "v"],
            "PUT /v1/kv/a?release=s",
            True,
            "Success! Lock released on: a\n",
        ),
        (
            ["-release", "-session=s", "a", "v"],
            "PUT /v1/kv/a?release=s",
            False,
            "Error! Did not release lock\n",
        ),
    ],
)
def test_put(lictor, agent, words, request_line, answer, said):
    agent.answers[request_line] = answer
    outcome = lictor("kv", "put", *words)
    assert agent.requests == [request_line]
    assert agent.bodies[request_line] == b"v"
    assert (outcome.code, outcome.stdout + outcome.stderr) == (0 if answer else 1, said)


def test_put_reads_files_and_base64(lictor, agent, tmp_path):
    (tmp_path / "f").write_bytes(b"AAH/")
    agent.answers["PUT /v1/kv/a"] = True
    assert lictor("kv", "put", "-base64", "a", f"@{tmp_path}/f").code == 0
    assert agent.bodies["PUT /v1/kv/a"] == b"\x00\x01\xff"
    outcome = lictor("kv", "put", "-base64", "a", "AB*=")
    assert (
        outcome.stderr == "Error! Cannot base 64 decode data: illegal base64 data at input byte 2\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["put"], "Error! Missing KEY argument"),
        (["put", "a", "b", "c"], "Error! Too many arguments (expected 1 or 2, got 3)"),
        (["put", "-cas", "a"], "Must specify -modify-index with -cas!"),
        (["put", "-release", "a"], "Error! Missing -session (required with -acquire and -release)"),
        (
            ["put", "/a"],
            "Error! Failed writing data: Invalid key. Key must not begin with a '/': /a",
        ),
        (
            ["delete", "-cas", "-modify-index=1", "-recurse", "a"],
            "Cannot specify both -cas and -recurse!",
        ),
        (["delete", "-cas", "a"], "Must specify -modify-index with -cas!"),
        (["delete", "-modify-index=1", "a"], "Cannot specify -modify-index without -cas!"),
        (["import", "{}"], "Cannot unmarshal data: Expected `array`, got `object`"),
    ],
)
def test_what_makes_no_sense_is_refused_before_asking(lictor, agent, words, said):
    outcome = lictor("kv", *words)
    assert (outcome.code, outcome.stderr) == (1, f"{said}\n")
    assert agent.requests == []


def test_what_is_exported_can_be_imported(lictor, agent):
    agent.answers |= {"GET /v1/kv/t/": [[ENTRY]], "PUT /v1/kv/copy/a": True}
    exported = lictor("kv", "export", "t/").stdout
    assert exported == '[\n\t{\n\t\t"key": "a",\n\t\t"flags": 7,\n\t\t"value": "aGVsbG8="\n\t}\n]\n'
    assert lictor("kv", "import", "-prefix=copy/", exported).stdout == "Imported: copy/a\n"
    assert agent.bodies["PUT /v1/kv/copy/a?flags=7"] == b"hello"


def test_delete(lictor, agent):
    agent.answers["DELETE /v1/kv/a"] = [True, True, False]
    assert lictor("kv", "delete", "a").stdout == "Success! Deleted key: a\n"
    assert (
        lictor("kv", "delete", "-recurse", "a").stdout == "Success! Deleted keys with prefix: a\n"
    )
    outcome = lictor("kv", "delete", "-cas", "-modify-index=4", "a")
    assert outcome.stderr == "Error! Did not delete key a: CAS failed\n"
    assert agent.requests == [
        "DELETE /v1/kv/a",
        "DELETE /v1/kv/a?recurse=",
        "DELETE /v1/kv/a?cas=4",
    ]
