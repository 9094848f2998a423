"""``lictor validate``."""

from __future__ import annotations

from pathlib import Path

import click

from .command import command
from .errors import Failure
from .flags import BOOL, TEXT, flag


@command("validate", usage="[options] FILE_OR_DIRECTORY...")
@flag("-config-format", TEXT, "Read every file as hcl or json, whatever it is called.", default="")
@flag("-quiet", BOOL, "Say nothing when all is well.")
def validate(args: tuple[str, ...], config_format: str, quiet: bool) -> None:
    """Checks configuration files as the agent would, without starting one.

    The files together must be a whole configuration, which needs a data_dir.

    $ lictor validate /etc/lictor.d
    """
    # 100 ms, for nobody who only asks for help
    from lictor.registry.errors import InvalidConfig

    from .host import load_here

    if not args:
        raise Failure("Must specify at least one config file or directory")
    if config_format not in {"", "hcl", "json"}:
        raise Failure("-config-format must be either 'hcl' or 'json")
    try:
        loaded = load_here(paths=[Path(path) for path in args], config_format=config_format or None)
    except InvalidConfig as error:
        raise Failure(f"Config validation failed: {error}") from error
    if quiet:
        return
    for warning in loaded.warnings:
        click.echo(warning, err=True)
    click.echo("Configuration is valid!")
