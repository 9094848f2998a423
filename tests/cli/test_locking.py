import json
import threading
from base64 import b64encode

import pytest

from lictor.cli import locking
from lictor.cli.client import Client
from lictor.cli.locking import LOCK_FLAGS, SEMAPHORE_FLAGS, Conflict, Lock, Semaphore
from lictor.cli.settings import Settings

SELF = {"Config": {}}


def lock_entry(session, *, flags=LOCK_FLAGS):
    return {"Key": "p/.lock", "Flags": flags, "Session": session, "ModifyIndex": 9}


def holders(*names, limit=2):
    value = json.dumps({"Limit": limit, "Holders": dict.fromkeys(names, True)}).encode()
    contenders = [{"Key": f"p/{name}", "Session": name, "ModifyIndex": 1} for name in names]
    entry = {
        "Key": "p/.lock",
        "Flags": SEMAPHORE_FLAGS,
        "Value": b64encode(value).decode(),
        "ModifyIndex": 9,
    }
    return [entry, *contenders]


@pytest.fixture
def never():
    return threading.Event()


@pytest.fixture
def lock(agent):
    return Lock(Client(Settings(address=agent.address)), "/p/", "me", retries=2)


@pytest.fixture
def semaphore(agent):
    return Semaphore(Client(Settings(address=agent.address)), "p", "me", retries=0, limit=2)


@pytest.fixture
def indexed(reply):
    """An answer with an index to wait from."""
    return lambda value, index=5: reply(
        200, json.dumps(value).encode(), {"X-Consul-Index": str(index)}
    )


def test_a_free_lock_is_acquired(agent, lock, never):
    agent.answers["PUT /v1/kv/p/.lock"] = True
    assert lock.acquire(never)
    assert agent.requests == [
        "GET /v1/kv/p/.lock?wait=15000ms",
        f"PUT /v1/kv/p/.lock?acquire=me&flags={LOCK_FLAGS}",
    ]


def test_a_held_lock_is_waited_for(agent, lock, never, indexed):
    agent.answers["GET /v1/kv/p/.lock"] = [
        indexed([lock_entry("other")]),
        indexed([lock_entry(None)], 6),
    ]
    agent.answers["PUT /v1/kv/p/.lock"] = True
    assert lock.acquire(never)
    assert agent.requests[1] == "GET /v1/kv/p/.lock?index=5&wait=15000ms"


def test_a_lock_that_is_ours_already_is_held(agent, lock, never):
    agent.answers["GET /v1/kv/p/.lock"] = [[lock_entry("me")]]
    assert lock.acquire(never)


def test_a_lock_delay_is_waited_out(agent, lock, monkeypatch):
    monkeypatch.setattr(locking, "RETRY", 0.0)
    agent.answers |= {"PUT /v1/kv/p/.lock": [False, True]}
    assert lock.acquire(threading.Event())
    assert len([one for one in agent.requests if one.startswith("PUT")]) == 2


def test_a_key_in_other_use_is_a_conflict(agent, lock, semaphore, never):
    agent.answers["GET /v1/kv/p/.lock"] = [[lock_entry(None, flags=0)]]
    with pytest.raises(Conflict, match="Existing key does not match lock use"):
        lock.acquire(never)
    agent.answers |= {"GET /v1/kv/p": [[lock_entry(None)]], "PUT /v1/kv/p/me": True}
    with pytest.raises(Conflict, match="Existing key does not match semaphore use"):
        semaphore.acquire(never)


def test_waiting_ends_when_it_is_cancelled(lock, semaphore, agent):
    cancelled = threading.Event()
    cancelled.set()
    agent.answers["PUT /v1/kv/p/me"] = True
    assert not lock.acquire(cancelled)
    assert not semaphore.acquire(cancelled)


def test_a_loss_is_noticed(agent, lock, indexed, monkeypatch, reply):
    monkeypatch.setattr(locking, "MONITOR_RETRY", 0.0)
    fault = reply(500, b"No cluster leader")
    held = indexed([lock_entry("me")])
    agent.answers["GET /v1/kv/p/.lock"] = [held, fault, fault, held, indexed([lock_entry("other")])]
    lock.wait_for_loss()
    assert len(agent.requests) == 5
    assert agent.requests[1] == "GET /v1/kv/p/.lock?consistent=&index=5"


@pytest.mark.parametrize("status", [403, 500])
def test_a_server_that_keeps_failing_is_a_loss(agent, lock, monkeypatch, reply, status):
    monkeypatch.setattr(locking, "MONITOR_RETRY", 0.0)
    agent.answers["GET /v1/kv/p/.lock"] = reply(status, b"no")
    lock.wait_for_loss()
    assert len(agent.requests) == (1 if status == 403 else 3)


def test_a_lock_is_removed_unless_it_is_held_again(agent, lock):
    agent.answers |= {
        "GET /v1/kv/p/.lock": [[lock_entry(None)]],
        "DELETE /v1/kv/p/.lock?cas=9": True,
    }
    assert lock.clean_up()
    agent.answers["GET /v1/kv/p/.lock"] = [[lock_entry("other")]]
    assert not lock.clean_up()


def test_the_first_holder_makes_the_list(agent, semaphore, never):
    agent.answers |= {"PUT /v1/kv/p/me": True, "PUT /v1/kv/p/.lock": True}
    assert semaphore.acquire(never)
    request = f"PUT /v1/kv/p/.lock?cas=0&flags={SEMAPHORE_FLAGS}"
    assert json.loads(agent.bodies[request]) == {"Limit": 2, "Holders": {"me": True}}


def test_a_full_semaphore_is_waited_for_and_dead_holders_do_not_count(
    agent, semaphore, never, indexed
):
    dead = holders("a", "b")[:-1]
    agent.answers |= {
        "PUT /v1/kv/p/me": True,
        "PUT /v1/kv/p/.lock": [False, True],
        "GET /v1/kv/p": [indexed(holders("a", "b")), indexed(dead), indexed(holders("a"))],
    }
    assert semaphore.acquire(never)
    assert "GET /v1/kv/p?index=5&recurse=&wait=15000ms" in agent.requests
    (body,) = [one for key, one in agent.bodies.items() if key.startswith("PUT /v1/kv/p/.lock")]
    assert json.loads(body) == {"Limit": 2, "Holders": {"a": True, "me": True}}


def test_another_limit_is_a_conflict(agent, semaphore, never):
    agent.answers |= {"PUT /v1/kv/p/me": True, "GET /v1/kv/p": [holders("a", limit=3)]}
    with pytest.raises(Conflict, match=r"semaphore limit conflict \(lock: 3, local: 2\)"):
        semaphore.acquire(never)


def test_release_leaves_the_others(agent, semaphore):
    agent.answers |= {
        "GET /v1/kv/p": [holders("me", "b")],
        "PUT /v1/kv/p/.lock": [False, True],
        "DELETE /v1/kv/p/me": True,
    }
    semaphore.release()
    (body,) = [one for key, one in agent.bodies.items() if key.startswith("PUT /v1/kv/p/.lock")]
    assert json.loads(body) == {"Limit": 2, "Holders": {"b": True}}
    assert not semaphore.clean_up()
    agent.answers |= {"GET /v1/kv/p": [holders()], "DELETE /v1/kv/p/.lock?cas=9": True}
    assert semaphore.clean_up()


class TestCommand:
    @pytest.fixture(autouse=True)
    def server(self, agent, reply):
        agent.answers |= {
            "GET /v1/agent/self": SELF,
            "PUT /v1/session/create": {"ID": "me"},
            "PUT /v1/session/destroy/me": True,
            "PUT /v1/kv/p/.lock": True,
            "GET /v1/kv/p/.lock?wait=15000ms": [reply(404, b""), [lock_entry(None)]],
            "DELETE /v1/kv/p/.lock?cas=9": True,
            # the monitor's question; it fails at once, which is a loss
            "GET /v1/kv/p/.lock?consistent=": [lock_entry("me")],
        }

    @pytest.fixture(autouse=True)
    def held_for_ever(self, monkeypatch):
        forever = threading.Event()
        monkeypatch.setattr(Lock, "wait_for_loss", lambda _: forever.wait())
        yield
        forever.set()

    def test_the_child_runs_with_the_lock_held(self, lictor, agent):
        outcome = lictor("lock", "-verbose", "p", "echo $CONSUL_LOCK_HELD")
        assert outcome.code == 0
        assert outcome.stdout.splitlines() == [
            "Setting up lock at path: p/.lock",
            "Attempting lock acquisition",
            "Starting handler",
            "true",
            "Child terminated, releasing lock",
            "Cleanup succeeded",
        ]
        created = json.loads(agent.bodies["PUT /v1/session/create"])
        assert created == {
            "Name": "Consul lock for 'echo $CONSUL_LOCK_HELD' at 'p'",
            "TTL": "15s",
            "Behavior": "release",
        }
        assert agent.requests[-1] == "PUT /v1/session/destroy/me"

    @pytest.mark.parametrize(("words", "code"), [([], 0), (["-child-exit-code"], 2)])
    def test_the_childs_failure_is_told(self, lictor, words, code):
        outcome = lictor("lock", *words, "p", "exit 5")
        assert (outcome.code, outcome.stderr) == (code, "Error running handler: exit status 5\n")

    def test_a_lost_lock_ends_the_child(self, lictor, monkeypatch):
        monkeypatch.setattr(Lock, "wait_for_loss", lambda _: None)
        outcome = lictor("lock", "-verbose", "p", "sleep 60")
        assert "Lock lost, killing child\n" in outcome.stdout
        assert outcome.stderr == "Error running handler: signal: terminated\n"

    def test_giving_up_destroys_the_session(self, lictor, agent, monkeypatch):
        monkeypatch.setattr(Lock, "acquire", lambda _, cancelled: cancelled.wait())
        outcome = lictor("lock", "-timeout=1ms", "p", "echo no")
        assert (outcome.code, outcome.stdout) == (1, "")
        assert outcome.stderr == "Shutdown triggered or timeout during lock acquisition\n"
        assert agent.requests[-1] == "PUT /v1/session/destroy/me"

    def test_a_session_that_is_refused(self, lictor, agent, reply):
        agent.answers["PUT /v1/session/create"] = reply(403, b"Permission denied")
        outcome = lictor("lock", "p", "echo no")
        assert (
            outcome.stderr
            == "Lock acquisition failed: Unexpected response code: 403 (Permission denied)\n"
        )
