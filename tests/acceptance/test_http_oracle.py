"""The HTTP API beside a real Consul: every answer the same but for what differs by nature."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from acceptance import processes
from acceptance.differential import Story, count, differences
from acceptance.http_cases import STORIES
from acceptance.memory_server import MemoryAgent

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real Consul that nobody else uses."""
    if processes.consul_binary() is None:
        pytest.skip("no real Consul on this machine; see tests/acceptance/get_peers.sh")
    agent = processes.consul(tmp_path_factory.mktemp("oracle"), name="n1")
    agent.start()
    yield agent.url
    agent.stop()


@pytest.fixture(scope="module")
def ours() -> Iterator[str]:
    """The base URL of our API over a state in memory, on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=20)

    agent = MemoryAgent()
    run(agent.__aenter__())
    yield "http://{}:{}".format(*agent.address)
    run(agent.__aexit__())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_answers_as_consul_does(story: Story, ours: str, theirs: str) -> None:
    found = differences(story, ours, theirs)
    assert not found, "\n".join(found)


def test_there_are_enough_cases() -> None:
    assert count(STORIES) > 400
