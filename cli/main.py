"""``lictor``: find the command, run it, and turn what happened into an exit code.

A command's module is imported when the command is named, not before: ``lictor kv get`` in a shell
loop should cost no more than Python and one request.
"""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Sequence
from typing import Final

import click

from .command import Command, Group
from .errors import BadFlag, Failure, Misuse, saying

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "acl": ("acl", "Create and inspect ACL tokens, policies, roles and auth methods"),
    "agent": ("agent", "Run a Lictor agent"),
    "catalog": ("catalog", "List what the whole cluster has registered"),
    "config": ("config", "Write and read central configuration entries"),
    "connect": ("connect", "Look after the mesh: its certificate authority and its gateways"),
    "debug": ("debug", "Record an archive that helps to find a fault"),
    "demo": ("demo", "Start a whole cluster on this machine and show what it can do"),
    "dns": ("dns", "Explain how a DNS answer comes about"),
    "event": ("event", "Send a user event through the cluster"),
    "exec": ("exec", "Run a command on many nodes"),
    "force-leave": ("membership", "Make the cluster forget a member that is gone"),
    "info": ("members", "Show the agent's own statistics"),
    "intention": ("intention", "Say which services may connect to which"),
    "join": ("membership", "Make the agent join a cluster"),
    "keygen": ("keyring", "Make a key that encrypts gossip"),
    "keyring": ("keyring", "Install, use and remove gossip keys"),
    "kv": ("kv", "Read and write the key-value store"),
    "leave": ("membership", "Make the agent leave its cluster and stop"),
    "lock": ("lock", "Run a command while holding a lock"),
    "login": ("login", "Exchange an identity for an ACL token"),
    "logout": ("login", "Destroy a token that login made"),
    "maint": ("maint", "Take a node or a service out of service, and back"),
    "members": ("members", "List the members of the cluster"),
    "monitor": ("monitor", "Follow the agent's log"),
    "operator": ("operator", "Look after the servers: Raft peers and autopilot"),
    "peering": ("peering", "Connect two clusters"),
    "reload": ("membership", "Make the agent read its configuration again"),
    "rtt": ("rtt", "Estimate the round trip time between two nodes"),
    "services": ("services", "Register services with the agent"),
    "simulate": ("simulate", "Play a cluster in virtual time from a seed"),
    "snapshot": ("snapshot", "Save, restore and inspect the servers' state"),
    "tls": ("tls", "Make a CA and certificates for the cluster's own TLS"),
    "validate": ("validate", "Check configuration files without starting an agent"),
    "version": ("version", "Print the version"),
    "watch": ("watch", "Run a command whenever something changes"),
}
"""Every top-level command: the module of this package it lives in, and its line in the help."""

HELP: Final = frozenset({"-h", "-help", "--help"})
VERSION: Final = frozenset({"-v", "-version", "--version"})

EXIT_UNKNOWN_COMMAND: Final = 127


def main() -> None:
    """The entry point of the ``lictor`` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # an argument that is no UTF-8 may come back in a message
            stream.reconfigure(errors="surrogateescape")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Output goes to ``sys.stdout`` and ``sys.stderr``.
    """
    options = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    before = _leading_flags(options)
    wants_help = not HELP.isdisjoint(options)
    words = list(arguments[len(before) :])
    try:
        if not wants_help and not VERSION.isdisjoint(before):
            return _run_command(["version"], wants_help=False)
        known = bool(words) and words[0] in COMMANDS and _is_built(words[0])
        if known and set(before) - HELP - VERSION:
            raise Failure(
                "Invalid flags before the subcommand. If these flags are for\n"
                "the subcommand, please put them after the subcommand.\n"
            )
        if not known:
            click.echo(_usage(), err=not wants_help)
            return 0 if wants_help else EXIT_UNKNOWN_COMMAND
        return _run_command(words, wants_help=wants_help)
    except Failure as failure:
        if failure.message:
            click.echo(failure.message, err=True)
        return failure.code
    except BrokenPipeError:
        # whoever read our output has seen enough; say nothing more to a closed pipe
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130


def load(name: str) -> click.Command:
    """The command ``name``, imported now.

    It is the attribute of its module that bears the command's name, with underscores.
    """
    module = importlib.import_module(f"{__package__}.{COMMANDS[name][0]}")
    found = getattr(module, name.replace("-", "_"))
    if not isinstance(found, click.Command):
        raise TypeError(f"{module.__name__} has no command {name}")
    return found


def _is_built(name: str) -> bool:
    """Whether this build has the command's module; looked up without importing it."""
    return importlib.util.find_spec(f"{__package__}.{COMMANDS[name][0]}") is not None


def _run_command(words: Sequence[str], *, wants_help: bool) -> int:
    """Walk from the top-level command to the one meant, and run it or show its help."""
    found = load(words[0])
    context = click.Context(found, info_name=f"lictor {words[0]}")
    rest = list(words[1:])
    while isinstance(found, click.Group) and rest and rest[0] in found.commands:
        name = rest.pop(0)
        found = found.commands[name]
        context = click.Context(found, parent=context, info_name=name)
    if wants_help or isinstance(found, Group):
        # a group is asked for one of its subcommands, and got none that it knows
        click.echo(found.get_help(context), err=not wants_help)
        return 0 if wants_help else 1
    return _invoke(found, context, rest)


def _invoke(found: click.Command, context: click.Context, rest: list[str]) -> int:
    try:
        with saying("Error"), found.make_context(context.info_name, rest, context.parent) as ready:
            code = found.invoke(ready)
    except BadFlag as mistake:
        click.echo(mistake.message, err=True)
        if isinstance(found, Command):
            click.echo(found.mistake(), err=True)
        return mistake.code
    except Misuse as misuse:
        if misuse.message:
            click.echo(misuse.message + ("\n" if misuse.blank_line else ""), err=True)
        click.echo(found.get_help(context), err=not misuse.on_stdout)
        return misuse.code
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        return 130
    except Failure:
        raise
    except click.ClickException as mistake:
        mistake.show()
        return mistake.exit_code
    return code if isinstance(code, int) else 0


def _leading_flags(options: Sequence[str]) -> list[str]:
    for count, word in enumerate(options):
        if not word.startswith("-"):
            return list(options[:count])
    return list(options)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        f"    {name:<{width}}    {summary}"
        for name, (_, summary) in sorted(COMMANDS.items())
        if _is_built(name)
    ]
    return "\n".join(
        [
            "Usage: lictor [--version] [--help] <command> [<args>]",
            "",
            "Available commands are:",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
