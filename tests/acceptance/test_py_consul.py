"""py-consul, a client library written for Consul, against a running agent."""

from __future__ import annotations

import threading
import time

import consul
import pytest

from acceptance.processes import Agent, bounded

PREFIX = "py-consul/"


@pytest.fixture
def client(lictor_agent: Agent):
    client = consul.Consul(host="127.0.0.1", port=lictor_agent.ports.http)
    yield client
    client.kv.delete(PREFIX, recurse=True)
    for service in client.agent.services():
        if service.startswith("pyc-"):
            client.agent.service.deregister(service)
    for check in client.agent.checks():
        if check.startswith("pyc-"):
            client.agent.check.deregister(check)
    client.http.close()


def eventually(what: str, holds, *, seconds: float = 10.0) -> None:
    with bounded(what, seconds=seconds) as attempts:
        for _ in attempts:
            if holds():
                return


class TestKV:
    def test_put_is_read_back_with_flags_and_bytes(self, client):
        value = bytes(range(256))
        assert client.kv.put(PREFIX + "a", value, flags=42)
        index, entry = client.kv.get(PREFIX + "a")
        assert entry["Value"] == value
        assert entry["Flags"] == 42
        assert entry["CreateIndex"] == entry["ModifyIndex"] <= int(index)

    def test_missing_key_is_none_with_an_index(self, client):
        index, entry = client.kv.get(PREFIX + "missing")
        assert entry is None
        assert int(index) > 0

    def test_empty_value_is_none(self, client):
        client.kv.put(PREFIX + "empty", "")
        assert client.kv.get(PREFIX + "empty")[1]["Value"] is None

    def test_cas_decides_on_the_modify_index(self, client):
        assert client.kv.put(PREFIX + "cas", "1", cas=0) is True
        assert client.kv.put(PREFIX + "cas", "2", cas=0) is False
        entry = client.kv.get(PREFIX + "cas")[1]
        assert client.kv.put(PREFIX + "cas", "2", cas=entry["ModifyIndex"]) is True
        assert client.kv.put(PREFIX + "cas", "3", cas=entry["ModifyIndex"]) is False
        assert client.kv.get(PREFIX + "cas")[1]["Value"] == b"2"

    def test_delete_with_cas(self, client):
        client.kv.put(PREFIX + "gone", "x")
        entry = client.kv.get(PREFIX + "gone")[1]
        assert client.kv.delete(PREFIX + "gone", cas=entry["ModifyIndex"] - 1) is False
        assert client.kv.delete(PREFIX + "gone", cas=entry["ModifyIndex"]) is True
        assert client.kv.get(PREFIX + "gone")[1] is None

    def test_recurse_and_keys(self, client):
        for name in ("tree/a", "tree/b/c", "tree/b/d"):
            client.kv.put(PREFIX + name, name)
        entries = client.kv.get(PREFIX + "tree/", recurse=True)[1]
        assert [entry["Value"] for entry in entries] == [b"tree/a", b"tree/b/c", b"tree/b/d"]
        keys = client.kv.get(PREFIX + "tree/", keys=True, separator="/")[1]
        assert keys == [PREFIX + "tree/a", PREFIX + "tree/b/"]
        assert client.kv.delete(PREFIX + "tree/b/", recurse=True)
        assert client.kv.get(PREFIX + "tree/", keys=True)[1] == [PREFIX + "tree/a"]

    def test_blocking_read_wakes_for_its_own_key_only(self, client, lictor_agent):
        client.kv.put(PREFIX + "watched", "before")
        index, _ = client.kv.get(PREFIX + "watched")
        answers = []

        def watch():
            watcher = consul.Consul(host="127.0.0.1", port=lictor_agent.ports.http)
            answers.append(watcher.kv.get(PREFIX + "watched", index=index, wait="20s"))
            watcher.http.close()

        thread = threading.Thread(target=watch)
        thread.start()
        client.kv.put(PREFIX + "neighbour", "x")
        thread.join(timeout=0.3)
        assert thread.is_alive(), "a neighbour's write woke the watcher"
        client.kv.put(PREFIX + "watched", "after")
        thread.join(timeout=5.0)
        assert not thread.is_alive(), "its own write did not wake the watcher"
        ((woken_at, entry),) = answers
        assert entry["Value"] == b"after"
        assert int(woken_at) > int(index)

    def test_blocking_read_ends_when_its_wait_is_over(self, client):
        client.kv.put(PREFIX + "quiet", "x")
        index, _ = client.kv.get(PREFIX + "quiet")
        began = time.monotonic()
        again, entry = client.kv.get(PREFIX + "quiet", index=index, wait="1s")
        assert 0.9 < time.monotonic() - began < 6.0
        assert again == index
        assert entry["Value"] == b"x"


class TestSessions:
    def test_a_lock_has_one_holder_at_a_time(self, client):
        key = PREFIX + "lock"
        first, second = (client.session.create(lock_delay=0, ttl=60) for _ in range(2))
        try:
            assert client.kv.put(key, "first", acquire=first) is True
            assert client.kv.put(key, "second", acquire=second) is False
            entry = client.kv.get(key)[1]
            assert entry["Session"] == first
            assert entry["LockIndex"] == 1
            assert client.kv.put(key, "", release=first) is True
            assert client.kv.put(key, "second", acquire=second) is True
        finally:
            client.session.destroy(first)
            client.session.destroy(second)
        assert "Session" not in client.kv.get(key)[1]

    def test_destroying_a_session_with_behaviour_delete_deletes_its_keys(self, client):
        session = client.session.create(behavior="delete", lock_delay=0)
        client.kv.put(PREFIX + "ephemeral", "x", acquire=session)
        client.session.destroy(session)
        assert client.kv.get(PREFIX + "ephemeral")[1] is None

    def test_info_list_and_renew(self, client):
        session = client.session.create(name="pyc", ttl=30)
        try:
            assert client.session.info(session)[1]["Name"] == "pyc"
            assert session in {each["ID"] for each in client.session.list()[1]}
            assert client.session.renew(session)["ID"] == session
        finally:
            client.session.destroy(session)
        assert client.session.info(session)[1] is None


class TestServices:
    def test_registered_service_is_in_catalogue_and_health(self, client):
        client.agent.service.register(
            "pyc-web", service_id="pyc-web-1", address="127.0.0.9", port=8080, tags=["v1", "eu"]
        )
        eventually("in the catalogue", lambda: client.catalog.service("pyc-web")[1])
        assert client.catalog.services()[1]["pyc-web"] == ["v1", "eu"]
        (row,) = client.catalog.service("pyc-web")[1]
        assert (row["ServiceID"], row["ServiceAddress"], row["ServicePort"]) == (
            "pyc-web-1",
            "127.0.0.9",
            8080,
        )
        (entry,) = client.health.service("pyc-web", passing=True)[1]
        assert entry["Service"]["Tags"] == ["v1", "eu"]
        assert entry["Node"]["Node"] == "node-under-test"
        assert [check["CheckID"] for check in entry["Checks"]] == ["serfHealth"]
        assert client.health.service("pyc-web", tag="v1")[1]
        assert not client.health.service("pyc-web", tag="v2")[1]

    def test_a_ttl_check_goes_through_its_states(self, client):
        client.agent.service.register(
            "pyc-ttl", port=1, check=consul.Check.ttl("60s"), service_id="pyc-ttl"
        )
        check = "service:pyc-ttl"

        def status() -> str | None:
            checks = client.health.checks("pyc-ttl")[1]
            return checks[0]["Status"] if checks else None

        eventually("registered as critical", lambda: status() == "critical")
        assert not client.health.service("pyc-ttl", passing=True)[1]
        client.agent.check.ttl_pass(check, notes="all well")
        eventually("passing", lambda: status() == "passing")
        assert client.health.checks("pyc-ttl")[1][0]["Output"] == "all well"
        assert client.health.service("pyc-ttl", passing=True)[1]
        client.agent.check.ttl_warn(check, notes="so so")
        eventually("warning", lambda: status() == "warning")
        assert check in {each["CheckID"] for each in client.health.state("warning")[1]}
        client.agent.check.ttl_fail(check)
        eventually("critical", lambda: status() == "critical")

    def test_a_ttl_check_that_hears_nothing_turns_critical(self, client):
        client.agent.check.register("pyc-short", check=consul.Check.ttl("1s"))
        client.agent.check.ttl_pass("pyc-short")
        assert client.agent.checks()["pyc-short"]["Status"] == "passing"
        eventually("expired", lambda: client.agent.checks()["pyc-short"]["Status"] == "critical")
        assert "TTL" in client.agent.checks()["pyc-short"]["Output"]

    def test_health_lookup_blocks_until_the_service_changes(self, client, lictor_agent):
        client.agent.service.register(
            "pyc-seen", service_id="pyc-seen", check=consul.Check.ttl("60s")
        )
        eventually("registered", lambda: client.health.service("pyc-seen")[1])
        index, _ = client.health.service("pyc-seen")
        answers = []

        def watch():
            watcher = consul.Consul(host="127.0.0.1", port=lictor_agent.ports.http)
            answers.append(watcher.health.service("pyc-seen", index=index, wait="20s"))
            watcher.http.close()

        thread = threading.Thread(target=watch)
        thread.start()
        client.agent.check.ttl_pass("service:pyc-seen")
        thread.join(timeout=5.0)
        assert not thread.is_alive(), "the status change did not wake the watcher"
        ((_, (entry,)),) = answers
        assert {c["CheckID"]: c["Status"] for c in entry["Checks"]}["service:pyc-seen"] == "passing"

    def test_deregistered_service_leaves_the_catalogue(self, client):
        client.agent.service.register("pyc-leaves", service_id="pyc-leaves")
        eventually("in the catalogue", lambda: client.catalog.service("pyc-leaves")[1])
        client.agent.service.deregister("pyc-leaves")
        eventually("gone", lambda: not client.catalog.service("pyc-leaves")[1])
        assert "pyc-leaves" not in client.catalog.services()[1]

    def test_service_maintenance_takes_it_out_of_passing(self, client):
        client.agent.service.register("pyc-repair", service_id="pyc-repair")
        eventually("registered", lambda: client.health.service("pyc-repair", passing=True)[1])
        client.agent.service.maintenance("pyc-repair", enable=True, reason="new disk")
        eventually("out", lambda: not client.health.service("pyc-repair", passing=True)[1])
        client.agent.service.maintenance("pyc-repair", enable=False)
        eventually("back", lambda: client.health.service("pyc-repair", passing=True)[1])


class TestCatalog:
    def test_an_external_node_with_service_and_check(self, client):
        client.catalog.register(
            "pyc-external",
            "192.0.2.7",
            service={"Service": "pyc-db", "ID": "pyc-db-1", "Port": 5432, "Tags": ["primary"]},
            check={"Name": "alive", "Status": "passing", "ServiceID": "pyc-db-1"},
        )
        try:
            nodes = {node["Node"]: node["Address"] for node in client.catalog.nodes()[1]}
            assert nodes["pyc-external"] == "192.0.2.7"
            (entry,) = client.health.service("pyc-db", passing=True)[1]
            assert entry["Service"]["Port"] == 5432
            assert entry["Checks"][0]["Name"] == "alive"
            node = client.catalog.node("pyc-external")[1]
            assert list(node["Services"]) == ["pyc-db-1"]
            assert client.health.node("pyc-external")[1][0]["ServiceName"] == "pyc-db"
        finally:
            client.catalog.deregister("pyc-external")
        assert client.catalog.node("pyc-external")[1] is None

    def test_datacenters_and_the_agent_itself(self, client):
        assert client.catalog.datacenters() == ["dc1"]
        assert client.agent.self()["Config"]["NodeName"] == "node-under-test"

    def test_there_is_a_leader_among_the_peers(self, client):
        assert client.status.leader() in client.status.peers()
