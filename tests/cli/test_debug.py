import json
import tarfile

import pytest

from lictor.cli import debug as debug_module


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr(debug_module, "pause", taken.append)
    return taken


@pytest.fixture
def answers(agent):
    agent.answers |= {
        "GET /v1/agent/self": {"Config": {"Version": "1.2.3"}},
        "GET /v1/agent/host": {"CPU": 1},
        "GET /v1/agent/members?wan=1": [[]],
        "GET /v1/agent/metrics": {"Gauges": []},
        "GET /v1/agent/monitor": b"a line\n",
    }
    return agent


def test_an_archive_is_made_for_its_owner_alone(lictor, answers, tmp_path, pauses):
    output = tmp_path / "dbg"
    words = [
        "-duration=10s",
        "-interval=5s",
        "-capture=agent",
        "-capture=members",
        "-capture=metrics",
    ]
    outcome = lictor("debug", *words, f"-output={output}")
    assert outcome.code == 0
    assert outcome.stdout.splitlines()[:6] == [
        "==> Starting debugger and capturing static information...",
        "     Agent Version: '1.2.3'",
        "          Interval: '5s'",
        "          Duration: '10s'",
        f"            Output: '{output}.tar.gz'",
        "           Capture: 'agent, members, metrics'",
    ]
    assert outcome.stdout.splitlines()[-1] == f"    Saved debug archive: {output}.tar.gz"
    assert pauses == [5.0, 5.0]
    packed = tmp_path / "dbg.tar.gz"
    assert packed.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [packed]
    with tarfile.open(packed) as archive:
        names = set(archive.getnames())
        index = json.load(archive.extractfile("dbg/index.json"))
    assert names >= {"dbg/agent.json", "dbg/members.json", "dbg/index.json"}
    assert any(name.endswith("/metrics.json") for name in names)
    assert index["Targets"] == ["agent", "members", "metrics"]


def test_what_the_agent_does_not_answer_is_told(lictor, answers, tmp_path):
    words = ["-duration=10s", "-interval=10s", "-archive=false", f"-output={tmp_path}/d"]
    outcome = lictor("debug", *words)
    assert outcome.code == 0
    said = "==> Capture of heap.prof failed: Unexpected response code: 404 (no such answer)"
    assert said in outcome.stderr.splitlines()
    assert json.loads((tmp_path / "d/host.json").read_text()) == {"CPU": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-duration=1s"], "duration must be longer than 10s"),
        (["-interval=1s"], "interval must be longer than 10s"),
        (["-duration=10s"], "duration (10s) must be longer than interval (30s)"),
        (["-capture=zz"], "target not found: zz"),
    ],
)
def test_what_makes_no_sense_is_refused(lictor, answers, words, said):
    outcome = lictor("debug", *words)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == f"==> Capture validation failed: {said}\n"


def test_nothing_is_overwritten(lictor, answers, tmp_path):
    outcome = lictor("debug", f"-output={tmp_path}")
    assert outcome.code == 1
    assert "already exists" in outcome.stderr
