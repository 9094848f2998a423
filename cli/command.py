"""Commands and groups: click's, reading flags as Go does and helping in our own words.

A command is a function of ``args`` (the words behind the flags), one parameter for each
:func:`~lictor.cli.flags.flag`, and, when it takes connection flags, ``agent``: the
:class:`~lictor.cli.client.Client` they describe. Its docstring is what ``-h`` prints: what the
command does, then an example or two.

    kv = Group("kv", help="...")

    @kv.command("get", usage="[options] KEY", http=Http.SERVER, summary="Read a key")
    @flag("-recurse", BOOL, "Read every key below KEY.")
    def get(agent: Client, args: tuple[str, ...], recurse: bool) -> None:
        ...
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from .errors import Failure
from .flags import Flag, go_dump, parse
from .settings import Http, settings_from

WIDTH: Final = 80


class Command(click.Command):
    """One command, run with flags in the manner of Go."""

    def __init__(
        self,
        name: str | None,
        *,
        usage: str = "[options]",
        summary: str = "",
        http: Http = Http.NONE,
        callback: Callable[..., Any] | None = None,
        params: list[click.Parameter] | None = None,
        help: str | None = None,  # noqa: A002  (click's name)
        hidden: bool = False,
    ) -> None:
        super().__init__(
            name, callback=callback, params=params, hidden=hidden, add_help_option=False
        )
        self.usage = usage
        self.summary = summary
        self.http = http
        self.flags = [*(one for one in self.params if isinstance(one, Flag)), *http.flags()]
        self.text = help or (callback.__doc__ if callback else "") or ""

    def parse_args(  # type: ignore[explicit-override]  # typing has override from 3.12 on
        self, ctx: click.Context, args: list[str]
    ) -> list[str]:
        """Read ``args`` into the callback's parameters.

        Raises:
            BadFlag: they cannot be read.
        """
        values, words = parse(self.flags, args)
        own = {one.variable for one in self.flags if not one.http}
        ctx.params = {name: value for name, value in values.items() if name in own} | {
            "args": words
        }
        if self.http is not Http.NONE:
            from .client import Client

            ctx.params["agent"] = Client(settings_from(values))
        return []

    def get_help(self, ctx: click.Context) -> str:  # type: ignore[explicit-override]  # typing has override from 3.12 on
        """The whole help of this command."""
        parts = [f"Usage: {ctx.command_path} {self.usage}", _laid_out(self.text)]
        for title, flags in (
            ("HTTP API Options", [one for one in self.flags if one.http]),
            ("Command Options", [one for one in self.flags if not one.http]),
        ):
            if flags:
                parts += [title, "\n\n".join(_describe(one) for one in _sorted(flags))]
        return "\n\n".join(parts) + "\n"

    def mistake(self) -> str:
        """What is printed behind the complaint about a flag."""
        return go_dump(self.flags)


class Group(click.Group):
    """A command that only has subcommands."""

    command_class = Command

    def __init__(
        self,
        name: str,
        *,
        help: str,  # noqa: A002  (click's name)
        summary: str = "",
        parent: Group | None = None,
    ) -> None:
        super().__init__(name, add_help_option=False)
        self.text = help
        self.summary = summary
        if parent is not None:
            parent.add_command(self)

    def get_help(self, ctx: click.Context) -> str:  # type: ignore[explicit-override]  # typing has override from 3.12 on
        """The help of this group, with a line for each subcommand."""
        width = max((len(name) for name in self.commands), default=0)
        lines = [
            f"    {name:<{width}}    {getattr(command, 'summary', '')}".rstrip()
            for name, command in sorted(self.commands.items())
            if not command.hidden
        ]
        return "\n\n".join(
            [
                f"Usage: {ctx.command_path} <subcommand> [options] [args]",
                _laid_out(self.text),
                "Subcommands:\n" + "\n".join(lines),
            ]
        )


def command(
    name: str, *, usage: str = "[options]", summary: str = "", http: Http = Http.NONE
) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of its own, outside any group."""

    def make(function: Callable[..., Any]) -> Command:
        params = list(reversed(function.__dict__.pop("__click_params__", [])))
        return Command(
            name, usage=usage, summary=summary, http=http, callback=function, params=params
        )

    return make


def at_most(args: tuple[str, ...], limit: int, *, prefix: str = "", said: str = "") -> None:
    """Refuse more than ``limit`` words.

    Raises:
        Failure: in Consul's words; ``said`` replaces the number they say was expected.
    """
    if len(args) > limit:
        expected = said or str(limit)
        raise Failure(f"{prefix}Too many arguments (expected {expected}, got {len(args)})")


def _laid_out(text: str) -> str:
    """``text`` for a terminal. A paragraph that starts with ``$`` is an example, and set in."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        textwrap.indent(textwrap.dedent(one), " " * (6 if one.lstrip().startswith("$ ") else 2))
        for one in paragraphs
    )


def _sorted(flags: Iterable[Flag]) -> list[Flag]:
    return sorted(flags, key=lambda one: one.word)


def _describe(one: Flag) -> str:
    head = f"  -{one.word}" + (f"=<{one.kind.name}>" if one.kind.name else "")
    text = one.text
    if one.fallback not in {None, ..., False, "", ()} and not isinstance(one.fallback, bool):
        text += f" (default {one.fallback})"
    return (
        head + "\n" + textwrap.fill(text, WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5)
    )
