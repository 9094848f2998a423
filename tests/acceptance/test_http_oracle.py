"""The HTTP API beside a real Consul: every answer the same but for what differs by nature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance import processes
from acceptance.differential import OWN_NODE, Story, count, differences
from acceptance.http_cases import STORIES
from acceptance.processes import Agent, bounded

pytestmark = pytest.mark.slow


def running(make: Callable[..., Agent], directory: Path) -> Iterator[str]:
    """The base URL of a new agent that knows itself as it always will."""
    agent = make(directory, name=OWN_NODE)
    agent.start()
    with bounded("the agent's own node in the catalogue", seconds=20) as attempts:
        for _ in attempts:
            (node,) = agent.get("/v1/catalog/nodes")
            if node["TaggedAddresses"] and agent.get(f"/v1/health/node/{OWN_NODE}"):
                break
    yield agent.url
    agent.stop()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if processes.consul_binary() is None:
        pytest.skip("no real Consul on this machine; see tests/acceptance/get_peers.sh")
    yield from running(processes.consul, tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from running(processes.lictor, tmp_path_factory.mktemp("ours"))


@pytest.mark.xdist_group("http-oracle")
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_answers_as_consul_does(story: Story, ours: str, theirs: str) -> None:
    found = differences(story, ours, theirs)
    assert not found, "\n".join(found)


def test_nobody_took_cases_away() -> None:
    assert count(STORIES) >= 875
