"""``lictor agent`` as a process: the loop, the banner, the signals, the exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click
import structlog
import uvloop

from lictor import __version__
from lictor.raft.errors import StorageError
from lictor.raft.runtime import Runtime
from lictor.raft.system import system_runtime
from lictor.registry.config import AgentConfig, InvalidConfig
from lictor.registry.errors import RegistryError

from . import logs
from .start import RunningAgent, start_agent

log = structlog.get_logger("agent")

LEAVING: Final = 0
"""The exit code of an agent that left its cluster, as it was asked to."""

STAYING: Final = 1
"""The exit code of an agent that stopped and means to come back, as Consul's servers do."""


def run_agent(
    config: AgentConfig,
    warnings: Sequence[str] = (),
    read_config: Callable[[], AgentConfig] | None = None,
) -> int:
    """Run an agent until a signal ends it; return the process's exit code.

    ``read_config`` reads the configuration again, for SIGHUP and ``lictor reload``. A server that
    is told to stop exits with 1, as Consul's do: it did not leave the cluster.
    """
    runtime = system_runtime()
    try:
        logs.configure(config.log_level, json=config.log_json, wall=runtime.clock.wall)
    except ValueError as error:
        click.echo(f"==> {error}", err=True)
        return 1
    click.echo("==> Starting Lictor agent...")
    for warning in warnings:
        log.warning(warning)
    try:
        return uvloop.run(_serve(config, runtime, read_config))
    except (InvalidConfig, StorageError) as error:
        click.echo(f"==> {error}", err=True)
    except OSError as error:
        reason = error if error.filename else error.strerror or error
        click.echo(f"==> Error starting agent: {reason}", err=True)
    return 1


async def _serve(
    config: AgentConfig, runtime: Runtime, read_config: Callable[[], AgentConfig] | None
) -> int:
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[int] = loop.create_future()

    def stop(code: int) -> None:
        if stopping.done():
            os._exit(1)  # a second signal means now
        stopping.set_result(code)

    agent = await start_agent(config, runtime, stop=lambda: stop(LEAVING), read_config=read_config)
    stays = {
        signal.SIGINT: config.skip_leave_on_interrupt,
        signal.SIGTERM: not config.leave_on_terminate,
    }
    for number, stay in stays.items():
        loop.add_signal_handler(number, stop, STAYING if stay else LEAVING)
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(_reload(agent))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    _write_pid(config, runtime)
    for line in banner(config, agent):
        click.echo(line)
    sys.stdout.flush()
    try:
        ends: tuple[asyncio.Future[Any], ...] = (stopping, agent.failed)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if agent.failed.done():
            log.error("server ended itself", error=str(agent.failed.result()))
            return 1
        code = stopping.result()
        log.info("requesting shutdown", leaving=code == LEAVING)
        if code == LEAVING:
            await agent.leave()
        return code
    finally:
        await agent.close()
        if config.pid_file:
            runtime.disk.remove(Path(config.pid_file))


async def _reload(agent: RunningAgent) -> None:
    try:
        await agent.host.reload_config()
    except RegistryError as error:
        log.warning("configuration not reloaded", error=str(error))


def _write_pid(config: AgentConfig, runtime: Runtime) -> None:
    if config.pid_file:
        runtime.disk.write_atomic(Path(config.pid_file), f"{os.getpid()}\n".encode(), mode=0o644)


def banner(config: AgentConfig, agent: RunningAgent) -> list[str]:
    """What an operator sees first: who this is, and where it answers."""
    http = ", ".join(f"{host}:{port}" for host, port in agent.http_addresses) or "off"
    dns = ", ".join(f"{host}:{port}" for host, port in agent.dns_addresses) or "off"
    rows = {
        "Version": f"Lictor v{__version__}",
        "Node ID": agent.node_id,
        "Node name": config.node_name,
        "Datacenter": config.datacenter,
        "Server": f"{str(config.server).lower()} (Bootstrap: {str(config.bootstrap).lower()})",
        "Data": "in memory only" if config.dev else config.data_dir,
        "HTTP": http,
        "DNS": dns,
    }
    return [
        *(f"{name:>14}: {value}" for name, value in rows.items()),
        "",
        "==> Log data will now stream in as it occurs:",
        "",
    ]
