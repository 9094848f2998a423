"""``lictor debug``: an archive of what an agent knows of itself, taken over a while."""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from lictor.registry import durations

from .client import Client
from .command import command
from .errors import AgentError, Failure, Refused, go_error
from .flags import BOOL, DURATION, TEXT, flag
from .formats import to_json
from .settings import Http

STATIC: Final = {
    "agent": "/v1/agent/self",
    "host": "/v1/agent/host",
    "members": "/v1/agent/members?wan=1",
    "cluster": "/v1/agent/members?wan=1",
}
"""What is asked once, and where. ``cluster`` is the old name of ``members``."""
METRICS: Final = "metrics"
LOGS: Final = "logs"
PROFILES: Final = "pprof"
ALL: Final = ("agent", "host", "members", METRICS, LOGS, PROFILES)
PROFILED: Final = ("heap", "goroutine")
MIN_DURATION: Final = 10.0
MIN_INTERVAL: Final = 5.0
"""Seconds."""
PIECE_BYTES: Final = 64 << 10
INDEX_VERSION: Final = 1


class Facts(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of an agent's configuration that is printed."""

    version: str = ""


class Self(msgspec.Struct, frozen=True, rename="pascal"):
    """``/v1/agent/self``."""

    config: Facts


@command("debug", http=Http.CLIENT)
@flag("-duration", DURATION, "How long to capture: 2m by default, 10s at least.", default=120.0)
@flag("-interval", DURATION, "How often to take metrics: every 30s by default.", default=30.0)
@flag("-capture", TEXT, f"Only this: {', '.join(ALL)}. May be repeated.", multiple=True)
@flag("-output", TEXT, "The directory or archive to write, without extension.", default="")
@flag("-archive", BOOL, "Pack everything into one .tar.gz.", default=True)
def debug(
    agent: Client,
    args: tuple[str, ...],
    duration: float,
    interval: float,
    capture: tuple[str, ...],
    output: str,
    archive: bool,
) -> None:
    """Records what the agent knows of itself for a while, into an archive.

    Look through the archive before you hand it on: it tells a lot about your
    cluster, though tokens and keys are left out.

    $ lictor debug -duration=1m -interval=10s

    Metrics and the log alone, left as files:

    $ lictor debug -capture=metrics -capture=logs -archive=false
    """
    if args:
        raise Failure(f"debug: Too many arguments provided, expected 0, got {len(args)}")
    targets = list(dict.fromkeys(capture or ALL))
    version = _check(agent, duration, interval, targets)
    directory = Path(output or f"lictor-debug-{int(_now().timestamp())}")
    packed = Path(f"{directory}.tar.gz")
    shown = packed if archive else directory
    for place in (directory, shown):
        if place.exists():
            raise Failure(
                f"==> Capture validation failed: output directory already exists: {place}"
            )
    click.echo("==> Starting debugger and capturing static information...")
    for label, value in (
        ("Agent Version", version),
        ("Interval", durations.format(interval)),
        ("Duration", durations.format(duration)),
        ("Output", str(shown)),
        ("Capture", ", ".join(targets)),
    ):
        click.echo(f"{label:>18}: '{value}'")
    try:
        directory.mkdir(mode=0o700, parents=True)
        _write(directory / "index.json", _index(version, duration, interval, targets))
        _take_static(agent, directory, targets)
        _take_repeatedly(agent, directory, targets, duration=duration, interval=interval)
        if archive:
            _pack(directory, packed)
    except OSError as error:
        reason = f"{error.filename}: {go_error(error)}"
        raise Failure(f"==> Capture failed: {reason}") from error
    click.echo(f"    Saved debug {'archive' if archive else 'directory'}: {shown}")


def _check(agent: Client, duration: float, interval: float, targets: list[str]) -> str:
    """The agent's version, if all can be captured.

    Raises:
        Failure: it cannot.
    """
    failing = "==> Capture validation failed"
    try:
        version = agent.get("/v1/agent/self").decode(Self).config.version
    except AgentError as error:
        reason = f"error querying target agent: {error}. verify connectivity and agent address"
        raise Failure(f"{failing}: {reason}") from error
    if duration < MIN_DURATION:
        raise Failure(f"{failing}: duration must be longer than 10s")
    if interval < MIN_INTERVAL:
        raise Failure(f"{failing}: interval must be longer than 10s")
    if duration < interval:
        longer = f"duration ({durations.format(duration)}) must be longer than interval"
        raise Failure(f"{failing}: {longer} ({durations.format(interval)})")
    for target in targets:
        if target not in {*STATIC, *ALL}:
            raise Failure(f"{failing}: target not found: {target}")
    return version


def _index(version: str, duration: float, interval: float, targets: list[str]) -> bytes:
    facts = {
        "Version": INDEX_VERSION,
        "AgentVersion": version,
        "Interval": durations.format(interval),
        "Duration": durations.format(duration),
        "Targets": targets,
    }
    return to_json(facts, indent="\t").encode()


def _take_static(agent: Client, directory: Path, targets: list[str]) -> None:
    for target in targets:
        if target in STATIC:
            path, _, query = STATIC[target].partition("?")
            _take(agent, path, directory / f"{target}.json", wan=bool(query))


def _take_repeatedly(
    agent: Client, directory: Path, targets: list[str], *, duration: float, interval: float
) -> None:
    click.echo(f"==> Beginning capture interval {_now():%Y-%m-%d %H:%M:%S.%f} +0000 UTC (0)")
    with _following_log(agent, directory / "consul.log", wanted=LOGS in targets):
        for count in range(1, int(duration // interval) + 1):
            place = directory / str(int(_now().timestamp()))
            place.mkdir(mode=0o700, exist_ok=True)
            if METRICS in targets:
                _take(agent, "/v1/agent/metrics", place / "metrics.json")
            if PROFILES in targets:
                for profile in PROFILED:
                    _take(agent, f"/debug/pprof/{profile}", place / f"{profile}.prof")
            click.echo(f"==> Capture successful {_now():%Y-%m-%d %H:%M:%S} +0000 UTC ({count})")
            pause(interval)


def _take(agent: Client, path: str, place: Path, *, wan: bool = False) -> None:
    """Save one answer. A question the agent does not take is told, and the capture goes on."""
    try:
        body = agent.get(path, {"wan": "1" if wan else None}).body
    except Refused as refused:
        click.echo(f"==> Capture of {place.name} failed: {refused}", err=True)
        return
    except AgentError as error:
        raise Failure(f"==> Capture failed: {error}") from error
    if place.suffix == ".json":
        body = to_json(msgspec.json.decode(body), indent="\t").encode()
    _write(place, body)


@contextmanager
def _following_log(agent: Client, place: Path, *, wanted: bool) -> Iterator[None]:
    """Copy the agent's log to ``place`` while the block runs."""
    ended = threading.Event()
    writing = threading.Lock()

    def follow() -> None:
        query = {"loglevel": "DEBUG"}
        try:
            with agent.open("GET", "/v1/agent/monitor", query, timeout=None) as log:
                while piece := log.read1(PIECE_BYTES):
                    with writing:
                        if ended.is_set():
                            return
                        _write(place, piece)
        except AgentError as error:
            click.echo(f"==> Capture of the log failed: {error}", err=True)

    if wanted:
        threading.Thread(target=follow, daemon=True).start()
    try:
        yield
    finally:
        # once this is passed nothing is written, and the directory may be packed
        with writing:
            ended.set()


def _write(place: Path, content: bytes) -> None:
    """Append to a file that only its owner may read."""
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(descriptor, "ab") as file:  # noqa: PTH123  (a descriptor has no path)
        file.write(content)


def _pack(directory: Path, packed: Path) -> None:
    descriptor = os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        open(descriptor, "wb") as file,  # noqa: PTH123  (a descriptor has no path)
        tarfile.open(fileobj=file, mode="w:gz") as archive,
    ):
        archive.add(directory, arcname=directory.name)
    shutil.rmtree(directory)


def _now() -> datetime:
    return datetime.now(UTC)


def pause(duration: float) -> None:
    """Let ``duration`` seconds pass."""
    threading.Event().wait(duration)
