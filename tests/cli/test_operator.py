import json

import pytest

PEERS = {
    "Servers": [
        {
            "ID": "i1",
            "Node": "n1",
            "Address": "h:8300",
            "Leader": True,
            "Voter": True,
            "ProtocolVersion": "3",
        },
        {
            "ID": "i2",
            "Node": "n2",
            "Address": "h:8301",
            "Leader": False,
            "Voter": False,
            "ProtocolVersion": "",
        },
    ],
    "Index": 1,
}
AUTOPILOT = {
    "CleanupDeadServers": True,
    "LastContactThreshold": "200ms",
    "MaxTrailingLogs": 250,
    "MinQuorum": 0,
    "ServerStabilizationTime": "10s",
    "RedundancyZoneTag": "",
    "DisableUpgradeMigration": False,
    "UpgradeVersionTag": "",
    "CreateIndex": 4,
    "ModifyIndex": 7,
}


def test_list_peers(lictor, agent):
    agent.answers["GET /v1/operator/raft/configuration"] = PEERS
    assert lictor("operator", "raft", "list-peers").stdout == (
        "Node  ID  Address  State     Voter  RaftProtocol\n"
        "n1    i1  h:8300   leader    true   3\n"
        "n2    i2  h:8301   follower  false  <=1\n"
    )
    assert json.loads(lictor("operator", "raft", "list-peers", "-format=json").stdout) == PEERS


def test_remove_peer(lictor, agent):
    agent.answers["DELETE /v1/operator/raft/peer"] = b""
    assert (
        lictor("operator", "raft", "remove-peer", "-id=i2").stdout == 'Removed peer with id "i2"\n'
    )
    assert (
        lictor("operator", "raft", "remove-peer", "-address=h:1").stdout
        == 'Removed peer with address "h:1"\n'
    )
    assert agent.requests == [
        "DELETE /v1/operator/raft/peer?id=i2",
        "DELETE /v1/operator/raft/peer?address=h%3A1",
    ]


def test_set_config_changes_only_what_is_named(lictor, agent):
    agent.answers["GET /v1/operator/autopilot/configuration"] = AUTOPILOT
    agent.answers["PUT /v1/operator/autopilot/configuration"] = [True, False]
    words = ["-cleanup-dead-servers=false", "-last-contact-threshold=90s", "-max-trailing-logs=5"]
    assert (
        lictor("operator", "autopilot", "set-config", *words).stdout == "Configuration updated!\n"
    )
    body = json.loads(agent.bodies["PUT /v1/operator/autopilot/configuration?cas=7"])
    assert body == AUTOPILOT | {
        "CleanupDeadServers": False,
        "LastContactThreshold": "1m30s",
        "MaxTrailingLogs": 5,
    }
    outcome = lictor("operator", "autopilot", "set-config", *words)
    assert outcome.stderr == "Configuration could not be atomically updated, please try again\n"


@pytest.mark.parametrize(
    "words", [["operator"], ["operator", "raft"], ["operator", "raft", "bogus"]]
)
def test_groups_in_groups_help(lictor, words):
    outcome = lictor(*words)
    assert outcome.code == 1
    assert outcome.stderr.startswith(
        f"Usage: lictor {' '.join(words).removesuffix(' bogus')} <subcommand>"
    )


def test_transfer_leader(lictor, agent):
    agent.answers["POST /v1/operator/raft/transfer-leader"] = {"Success": True}
    assert lictor("operator", "raft", "transfer-leader", "-id=x").stdout == "Success\n"
