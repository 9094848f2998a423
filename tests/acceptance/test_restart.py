"""A clean restart: what was registered, stored and decided is still there."""

from __future__ import annotations

import json
import stat

import pytest

from acceptance.processes import Agent, bounded

SERVICE = {
    "ID": "web-1",
    "Name": "web",
    "Port": 8080,
    "Address": "127.0.0.5",
    "Tags": ["v1"],
    "Meta": {"team": "blue"},
    "Check": {"CheckID": "web-ttl", "TTL": "120s"},
}
INTENTION = {"SourceName": "web", "DestinationName": "db", "SourceType": "consul", "Action": "deny"}


def passing(agent: Agent, service: str) -> list[str]:
    entries = agent.get(f"/v1/health/service/{service}?passing")
    return [entry["Service"]["ID"] for entry in entries]


def wait_for(what: str, holds) -> None:
    with bounded(what, seconds=15.0) as attempts:
        for _ in attempts:
            if holds():
                return


@pytest.mark.slow
def test_everything_survives_a_clean_restart(make_agent):
    agent: Agent = make_agent()
    agent.start()
    agent.put("/v1/agent/service/register", SERVICE)
    agent.put("/v1/agent/check/register", {"Name": "disk", "TTL": "120s"})
    agent.put("/v1/agent/check/pass/disk")
    agent.put("/v1/agent/check/pass/web-ttl?note=fine")
    agent.put(
        "/v1/catalog/register",
        {"Node": "external", "Address": "192.0.2.1", "Service": {"Service": "db", "Port": 5432}},
    )
    agent.put("/v1/kv/restart/a?flags=7", "one")
    agent.put("/v1/kv/restart/b", "x" * 200_000)
    agent.put("/v1/kv/restart/deleted", "two")
    assert agent.request("DELETE", "/v1/kv/restart/deleted").status == 200
    created = agent.request("POST", "/v1/connect/intentions", json.dumps(INTENTION))
    assert created.status == 200, created.text
    wait_for("web passing", lambda: passing(agent, "web") == ["web-1"])
    before = {path: agent.get(path) for path in REMEMBERED}

    agent.stop()
    agent.restart()

    wait_for("web passing after the restart", lambda: passing(agent, "web") == ["web-1"])
    after = {path: agent.get(path) for path in REMEMBERED}
    assert after == before
    assert agent.request("GET", "/v1/kv/restart/deleted").status == 404
    checks = agent.get("/v1/agent/checks")
    assert {check: checks[check]["Status"] for check in ("web-ttl", "disk")} == {
        "web-ttl": "passing",
        "disk": "passing",
    }
    verdict = agent.get("/v1/connect/intentions/check?source=web&destination=db")
    assert verdict == {"Allowed": False}


REMEMBERED = (
    "/v1/kv/restart/?recurse",
    "/v1/catalog/node/external",
    "/v1/catalog/service/db",
    "/v1/connect/intentions",
    "/v1/agent/services",
)


@pytest.mark.slow
def test_the_node_keeps_its_id_and_ports_are_free_again(make_agent):
    agent: Agent = make_agent()
    agent.start()
    first = agent.get("/v1/agent/self")["Config"]["NodeID"]
    for _ in range(2):
        agent.stop()
        agent.restart()
        assert agent.get("/v1/agent/self")["Config"]["NodeID"] == first


@pytest.mark.slow
def test_state_files_are_for_their_owner_only(make_agent):
    agent: Agent = make_agent()
    agent.start()
    agent.put("/v1/agent/service/register", {"Name": "private"})
    agent.put("/v1/kv/private", "secret")
    agent.stop()
    files = [path for path in agent.data_dir.rglob("*") if path.is_file()]
    telling = [path for path in files if words(path.read_bytes())]
    assert len(telling) >= 2, "the log and the service file"
    for path in telling:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def words(content: bytes) -> set[bytes]:
    """Which of the two words occur in ``content``."""
    return {word for word in (b"secret", b"private") if word in content}
