"""What the demo starts: services that can be broken, and an agent that is always ended."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request

import pytest

from lictor.cli.errors import Failure
from lictor.cli.stage import (
    AgentPorts,
    AgentProcess,
    example_services,
    free_ports,
    is_free,
    wait_until,
)

PORTS = AgentPorts(1, 2, (3, 4, 5))


def status(port: int, path: str, *, post: bool = False) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method="POST" if post else "GET"
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.slow
def test_an_example_service_is_broken_and_mended_over_http():
    with example_services([("web", "web-1")]) as (service,):
        assert status(service.port, "/") == 200
        assert status(service.port, "/health") == 200
        assert status(service.port, "/break", post=True) == 200
        assert status(service.port, "/health") == 503
        assert status(service.port, "/mend", post=True) == 200
        assert status(service.port, "/health") == 200
        assert status(service.port, "/other", post=True) == 404
        assert service.definition()["Port"] == service.port
        port = service.port
    assert is_free(port)


def test_a_port_in_use_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as held:
        assert not is_free(held.getsockname()[1])


def test_free_ports_are_different():
    assert len(set(free_ports(5))) == 5


def test_waiting_ends_when_it_holds_and_when_time_is_up():
    ticks = []
    assert wait_until(lambda: len(ticks) == 0, timeout=0.0, tick=lambda: ticks.append(1))
    assert ticks == []
    assert not wait_until(lambda: False, timeout=-1.0, tick=lambda: ticks.append(1))


def test_an_agent_that_ends_by_itself_is_told_with_its_log(tmp_path):
    agent = AgentProcess([sys.executable, "-c", "print('no such luck')"], tmp_path, PORTS)
    with pytest.raises(Failure, match=r"(?s)exit code 0.*\| no such luck"):
        agent.wait()


def test_an_agent_that_runs_is_ended(tmp_path):
    agent = AgentProcess(["sleep", "60"], tmp_path, PORTS)
    agent.stop()
    with pytest.raises(Failure):
        agent.check()
