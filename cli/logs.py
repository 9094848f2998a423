"""How the agent's log lines look, and where they go.

``    2026-11-24T10:30:30.123Z [INFO]  agent.raft: became leader: term=7 votes=3``, as operators of
Consul know them, or one JSON object a line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

LEVELS: Final = {
    "TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERR": 40, "ERROR": 40,
}  # fmt: skip
"""Level names that operators may use, and their weight."""

_NAMES: Final = {
    "debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR",
    "exception": "ERROR", "critical": "ERROR",
}  # fmt: skip


class _Log:
    """What structlog writes to: one per logger name."""

    def __init__(self, name: str, write: Callable[[str], None]) -> None:
        self.name = name
        self.msg = self.debug = self.info = self.warning = self.error = write
        self.exception = self.critical = self.err = write


def _write_stdout(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def configure(
    level: str,
    *,
    json: bool,
    wall: Callable[[], float],
    write: Callable[[str], None] = _write_stdout,
) -> None:
    """Send every log line of this process to ``write``.

    Raises:
        ValueError: there is no such level.
    """
    weight = LEVELS.get(level.upper())
    if weight is None:
        names = " ".join(LEVELS)
        message = f"Invalid log level: {level}. Valid log levels are: [{names}]"
        raise ValueError(message)

    def render(logger: _Log, method: str, event: MutableMapping[str, Any]) -> str:
        at = datetime.fromtimestamp(wall(), UTC)
        return _as_json(logger, method, event, at) if json else _as_text(logger, method, event, at)

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(weight),
        logger_factory=lambda *names: _Log(str(names[0]) if names else "agent", write),
        cache_logger_on_first_use=False,
    )


def _as_text(logger: _Log, method: str, event: MutableMapping[str, Any], at: datetime) -> str:
    time = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
    level = f"[{_NAMES.get(method, method.upper())}]"
    what = event.pop("event")
    trace = event.pop("exception", None)
    pairs = " ".join(f"{key}={_quoted(value)}" for key, value in event.items())
    line = f"    {time} {level:<7} {_module(logger)}: {what}"
    if pairs:
        line += f": {pairs}"
    return f"{line}\n{trace}" if trace else line


def _as_json(logger: _Log, method: str, event: MutableMapping[str, Any], at: datetime) -> str:
    line = {
        "@level": _NAMES.get(method, method).lower(),
        "@message": event.pop("event"),
        "@module": _module(logger),
        "@timestamp": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        **event,
    }
    return msgspec.json.encode(line, enc_hook=str).decode()


def _module(logger: _Log) -> str:
    return logger.name if logger.name == "agent" else f"agent.{logger.name}"


def _quoted(value: object) -> str:
    text = str(value)
    if not text or any(char in text for char in ' "\n\t='):
        return msgspec.json.encode(text).decode()
    return text
