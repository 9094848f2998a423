"""A user's own command, started for them by ``lock`` and ``watch``."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from .errors import Failure, go_error

KILL_AFTER = 5.0
"""Seconds a child is given to end by itself once it was told to."""


class CannotStart(Failure):
    """There is no such program, or it may not be run."""


class Child:
    """One running command, in a process group of its own so that its children end with it.

    With ``shell`` the words are one command line for the user's shell, as they are documented
    to be; without, they are a program and its arguments.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        shell: bool,
        variables: Mapping[str, str],
        stdin: int | None = subprocess.DEVNULL,
    ) -> None:
        arguments = (
            [os.environ.get("SHELL") or "/bin/sh", "-c", " ".join(words)] if shell else words
        )
        try:
            self._process = subprocess.Popen(  # noqa: S603  (to run what the user typed is the task)
                list(arguments),
                stdin=stdin,
                env={**os.environ, **variables},
                # with a terminal for stdin it must stay in the foreground group to read it
                process_group=0 if stdin is not None else None,
            )
        except OSError as error:
            reason = f"fork/exec {arguments[0]}: {go_error(error)}"
            raise CannotStart(f"Error starting handler: {reason}") from error

    def feed(self, text: bytes) -> None:
        """Write ``text`` to the child's stdin and close it; a child need not read it."""
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("the child was started without a pipe")
        with suppress(BrokenPipeError):
            stdin.write(text)
        with suppress(BrokenPipeError):
            stdin.close()

    def wait(self) -> str | None:
        """Wait for the end; return what went wrong, in the words of Go, or None."""
        code = self._process.wait()
        if code == 0:
            return None
        if code > 0:
            return f"exit status {code}"
        return f"signal: {signal.strsignal(-code) or -code}".lower()

    def stop(self) -> None:
        """Ask the child to end, and after a while make it."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(KILL_AFTER)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            group = os.getpgid(self._process.pid)
            if group == self._process.pid:
                os.killpg(group, number)
            else:
                self._process.send_signal(number)
