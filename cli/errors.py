"""How a command ends when it cannot end well.

:func:`lictor.cli.main.run` prints what is raised here on stderr, as it stands, and exits with its
code. Nothing in this room prints a traceback for something a user can mend.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


class Failure(click.ClickException):
    """A command could not do what it was told; the message is one for the user."""

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Silent(Failure):
    """A negative answer that needs no words, such as ``members`` with no match."""

    def __init__(self, *, code: int = 1) -> None:
        super().__init__("", code=code)


class Misuse(Failure):
    """The words of a command line make no sense; the user is shown the command's help.

    Source: Consul prints it on stderr, behind a blank line or, in its ACL commands, without one;
    ``leave`` alone on stdout.
    """

    def __init__(self, message: str, *, on_stdout: bool = False, blank_line: bool = True) -> None:
        super().__init__(message)
        self.on_stdout = on_stdout
        self.blank_line = blank_line and not on_stdout


class BadFlag(Failure):
    """The command line cannot be parsed; the user is shown the flags there are."""


class AgentError(Exception):
    """A request to the agent failed. :func:`saying` turns it into a :class:`Failure`."""


class Unreachable(AgentError):
    """No answer came: nobody listens there, or the connection broke."""


class Refused(AgentError):
    """The agent answered, and not with 200."""

    def __init__(self, status: int, body: str, *, index: str = "0") -> None:
        super().__init__(f"Unexpected response code: {status} ({body})")
        self.status = status
        self.body = body
        self.index = index
        """The value to watch from: what is not there may come to be."""

    def bare(self) -> str:
        """The sentence without the body, as Consul's KV reads print it."""
        return f"Unexpected response code: {self.status}"


class BadSettings(Failure):
    """The connection cannot even be tried: an unreadable token or certificate, a bad address."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Error connecting to Consul agent: {reason}")


@contextmanager
def saying(prefix: str, *, code: int = 1) -> Iterator[None]:
    """Turn an :class:`AgentError` inside the block into ``<prefix>: <error>``."""
    try:
        yield
    except AgentError as error:
        raise Failure(f"{prefix}: {error}", code=code) from error


def go_error(error: OSError) -> str:
    """``error`` in the words of Go: ``no such file or directory``."""
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]


def open_error(error: OSError, path: str) -> str:
    """``error`` as Go prints a failed open: ``open /nope: no such file or directory``."""
    return f"open {path}: {go_error(error)}"
