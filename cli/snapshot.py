"""``lictor snapshot``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click
import msgspec

from .archive import Damaged, Meta, verify
from .client import Client
from .command import Group, at_most
from .errors import Failure, go_error, open_error, saying
from .formats import format_flag, to_json, wants_json
from .settings import Http

TRANSFER_TIMEOUT: Final = 600.0
"""Seconds the agent may be silent while it makes or restores a snapshot."""
PIECE_BYTES: Final = 1 << 20

snapshot = Group(
    "snapshot",
    help="""
    Saves, restores and inspects the servers' whole state: the catalogue, keys,
    sessions, intentions, ACLs.

    $ lictor snapshot save backup.snap
    $ lictor snapshot inspect backup.snap
    $ lictor snapshot restore backup.snap
    """,
)


@snapshot.command(
    "save", usage="[options] FILE", http=Http.SERVER, summary="Save the state to a file"
)
def save(agent: Client, args: tuple[str, ...]) -> None:
    """Saves the servers' state to a file, and verifies what was saved.

    The file holds secrets, and only its owner may read it. It takes its name when it
    is whole: a save that fails leaves an older file alone.

    $ lictor snapshot save backup.snap
    """
    path = _only(args)
    unverified = Path(f"{path}.unverified.{os.getpid()}")
    try:
        with saying("Error saving snapshot"):
            _download(agent, unverified)
        with unverified.open("rb") as file:
            meta = verify(file)
        unverified.replace(path)
    except Damaged as error:
        raise Failure(f"Error verifying snapshot file: {error}") from error
    except OSError as error:
        raise Failure(f"Error renaming {unverified} to {path}: {go_error(error)}") from error
    finally:
        unverified.unlink(missing_ok=True)
    click.echo(f"Saved and verified snapshot to index {meta.index}")


def _only(args: tuple[str, ...]) -> str:
    if not args:
        raise Failure("Missing FILE argument")
    at_most(args, 1)
    return args[0]


def _download(agent: Client, path: Path) -> None:
    with agent.open("GET", "/v1/snapshot", timeout=TRANSFER_TIMEOUT) as answer:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor has no path)
                while piece := answer.read(PIECE_BYTES):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            reason = open_error(error, str(path)) if error.filename else go_error(error)
            raise Failure(f"Error writing unverified snapshot file: {reason}") from error


@snapshot.command(
    "restore", usage="[options] FILE", http=Http.SERVER, summary="Restore the state from a file"
)
def restore(agent: Client, args: tuple[str, ...]) -> None:
    """Replaces the servers' state by that in a file. What was written since is lost.

    $ lictor snapshot restore backup.snap
    """
    path = _only(args)
    try:
        # read whole: the agent verifies it before it touches anything
        content = Path(path).read_bytes()
    except OSError as error:
        raise Failure(f"Error opening snapshot file: {open_error(error, path)}") from error
    with saying("Error restoring snapshot"):
        agent.request("PUT", "/v1/snapshot", body=content, timeout=TRANSFER_TIMEOUT)
    click.echo("Restored snapshot")


@snapshot.command("inspect", usage="[options] FILE", summary="Show what a file holds")
@format_flag
def inspect(args: tuple[str, ...], format: str) -> None:  # noqa: A002
    """Verifies a snapshot file and prints what it says of itself.

    $ lictor snapshot inspect backup.snap
    """
    as_json = wants_json(format)
    path = _only(args)
    try:
        with Path(path).open("rb") as file:
            meta = verify(file)
    except OSError as error:
        raise Failure(f"Error opening snapshot file: {open_error(error, path)}") from error
    except Damaged as error:
        raise Failure(f"Error verifying snapshot: {error}") from error
    if as_json:
        click.echo(to_json({"Meta": msgspec.to_builtins(meta)}))
        return
    click.echo(_facts(meta))


def _facts(meta: Meta) -> str:
    facts = [
        ("ID", meta.id),
        ("Size", str(meta.size)),
        ("Index", str(meta.index)),
        ("Term", str(meta.term)),
        ("Version", str(meta.version)),
    ]
    return "".join(f"{name:<13}{value}\n" for name, value in facts)
