"""``lictor agent``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from .agent_flags import PATHS, flags, settings
from .command import Command
from .errors import Failure


def _run(args: tuple[str, ...], **values: Any) -> int:
    """Starts an agent and runs it until it is told to stop.

    Configuration comes from files, then fragments given by -hcl, then the other flags; the later
    wins. SIGHUP makes the agent read it again.

    $ lictor agent -dev

    $ lictor agent -server -bootstrap-expect 3 -data-dir /var/lib/lictor -retry-join 10.0.0.1
    """
    # not before it is needed: `lictor agent -h` should be quick
    from lictor.registry.config import Loaded
    from lictor.registry.config.start import check_start
    from lictor.registry.errors import InvalidConfig

    from .host import load_here

    if args:
        raise Failure(f"==> Unexpected extra arguments: [{' '.join(args)}]")

    def read() -> Loaded:
        loaded = load_here(
            paths=[Path(path) for path in values[PATHS]],
            fragments=values["hcl"],
            flags=settings(values),
            dev=values["dev"],
            config_format=values["config_format"],
        )
        check_start(loaded.config)
        return loaded

    try:
        loaded = read()
    except InvalidConfig as error:
        raise Failure(f"==> {error}") from error
    for warning in loaded.warnings:
        click.echo(f"==> {warning}", err=True)
    from .run import run_agent

    return run_agent(loaded.config, loaded.warnings, lambda: read().config)


agent: Final = Command("agent", summary="Run a Lictor agent", callback=_run, params=[*flags()])
