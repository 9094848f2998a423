"""Real processes for the acceptance tests.

``ACCEPTANCE_AGENT=consul`` runs the same tests against a real Consul: that is how we know that a
test demands what Consul does, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance import processes
from acceptance.processes import Agent

AgentFactory = Callable[..., Agent]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.acceptance)


def new_agent(directory: Path, **options: object) -> Agent:
    """The agent under test, not yet started."""
    if os.environ.get("ACCEPTANCE_AGENT") == "consul":
        return processes.consul(directory, **options)
    return processes.lictor(directory, **options)


@pytest.fixture
def make_agent(tmp_path: Path) -> Iterator[AgentFactory]:
    """Make agents under test of one's own; each is started by the caller and ended here."""
    made: list[Agent] = []

    def make(name: str = "crash-node", **options: object) -> Agent:
        agent = new_agent(tmp_path / name, name=name, **options)
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.kill()


@pytest.fixture(scope="session")
def lictor_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """The agent under test, running, shared by the tests of one worker."""
    agent = new_agent(tmp_path_factory.mktemp("agent"), name="node-under-test")
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(scope="session")
def consul_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """A real Consul, running, shared by the tests of one worker; skips where there is none."""
    if processes.consul_binary() is None:
        pytest.skip("no real Consul on this machine; see tests/acceptance/get_peers.sh")
    agent = processes.consul(tmp_path_factory.mktemp("consul"), name="node-under-test")
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(autouse=True)
def log_on_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the agent's last log lines where a test that used it failed."""
    yield
    for name in ("lictor_agent", "consul_agent"):
        if name in request.fixturenames and name in getattr(request.node, "funcargs", {}):
            print(request.node.funcargs[name].log(lines=25))
