"""Log lines, as people and as programs read them."""

import msgspec
import pytest
import structlog

from lictor.cli.logs import configure


@pytest.fixture
def lines():
    kept = []
    yield kept
    structlog.reset_defaults()


def test_a_line_says_when_how_grave_who_and_what(lines):
    configure("INFO", json=False, wall=lambda: 1_795_000_000.1234, write=lines.append)
    structlog.get_logger("raft").info("became leader", term=7, why="a b")
    assert lines == [
        '    2026-11-18T11:06:40.123Z [INFO]  agent.raft: became leader: term=7 why="a b"'
    ]


def test_lower_levels_are_left_out(lines):
    configure("warn", json=False, wall=lambda: 0.0, write=lines.append)
    log = structlog.get_logger("http")
    log.info("hidden")
    log.error("shown")
    assert [line.split(": ", 1)[1] for line in lines] == ["shown"]


def test_json_lines_hold_the_same(lines):
    configure("DEBUG", json=True, wall=lambda: 0.5, write=lines.append)
    structlog.get_logger("dns").debug("asked", name="web.service.consul")
    assert msgspec.json.decode(lines[0]) == {
        "@level": "debug",
        "@message": "asked",
        "@module": "agent.dns",
        "@timestamp": "1970-01-01T00:00:00.500000Z",
        "name": "web.service.consul",
    }


def test_an_unknown_level_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"Invalid log level: zzz. Valid log levels are: \[TRACE"):
        configure("zzz", json=False, wall=lambda: 0.0)
