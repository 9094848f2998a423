"""``lictor lock``: run a command while holding a lock or a place in a semaphore."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass
from typing import Final

import click

from .child import CannotStart, Child
from .client import Client
from .command import command
from .errors import AgentError, Failure, saying
from .flags import BOOL, DURATION, INT, TEXT, flag
from .interrupts import Interrupts, termination_interrupts
from .locking import Exclusion, Lock, Semaphore
from .sessions import session
from .settings import Http

CHILD_FAILED: Final = 2
"""The exit code of ``-child-exit-code``."""
HELD: Final = {"CONSUL_LOCK_HELD": "true", "LICTOR_LOCK_HELD": "true"}


@command("lock", usage="[options] PREFIX CHILD...", http=Http.SERVER)
@flag("-child-exit-code", BOOL, "Exit 2 when the child fails.")
@flag("-monitor-retry", INT, "How many server errors in a row do not count as a loss.", default=3)
@flag("-n", INT, "How many may hold it at a time; more than 1 makes it a semaphore.", default=1)
@flag("-name", TEXT, "The name of the session that holds it.", default="")
@flag("-pass-stdin", BOOL, "Give our stdin to the child.")
@flag("-shell", BOOL, "Run CHILD by the shell, in SHELL or /bin/sh.", default=True)
@flag(
    "-timeout",
    DURATION,
    "Give up when it cannot be had in this time; 0 waits for ever.",
    default=0.0,
)
@flag("-verbose", BOOL, "Tell what is going on.")
def lock(
    agent: Client,
    args: tuple[str, ...],
    child_exit_code: bool,
    monitor_retry: int,
    n: int,
    name: str,
    pass_stdin: bool,
    shell: bool,
    timeout: float,
    verbose: bool,
) -> int:
    """Runs a command while holding a lock, so that only one in the cluster runs.

    The child sees CONSUL_LOCK_HELD=true. When the lock is lost meanwhile, the child
    is told to end, and killed five seconds later.

    $ lictor lock backup/nightly ./backup.sh

    At most three at a time, and give up after a minute:

    $ lictor lock -n=3 -timeout=1m jobs/import ./import.sh
    """
    if len(args) < 2:
        raise Failure("Key prefix and child command must be specified")
    if n <= 0:
        raise Failure("Lock holder limit must be positive")
    prefix, words = args[0], args[1:]
    with saying("Error querying Consul agent"):
        agent.get("/v1/agent/self")
    label = name or f"Consul lock for '{' '.join(words)}' at '{prefix}'"
    telling = Telling(verbose)
    stdin = None if pass_stdin else subprocess.DEVNULL
    with (
        termination_interrupts() as interrupts,
        saying("Lock acquisition failed"),
        session(agent, label, behavior="release" if n == 1 else "delete") as identity,
    ):
        if n == 1:
            exclusion: Exclusion = Lock(agent, prefix, identity, retries=monitor_retry)
            telling.say(f"Setting up lock at path: {exclusion.key}")
        else:
            exclusion = Semaphore(agent, prefix, identity, retries=monitor_retry, limit=n)
            telling.say(f"Setting up semaphore (limit {n}) at prefix: {exclusion.prefix}")
        telling.say("Attempting lock acquisition")
        _acquire(exclusion, timeout)
        try:
            failed = not _run(
                exclusion, words, shell=shell, stdin=stdin, telling=telling, interrupts=interrupts
            )
        finally:
            _give_back(exclusion, telling)
    return CHILD_FAILED if failed and child_exit_code else 0


@dataclass(frozen=True)
class Telling:
    """What ``-verbose`` adds."""

    verbose: bool

    def say(self, text: str) -> None:
        """Print a line on stdout, if anything is to be told."""
        if self.verbose:
            click.echo(text)


def _acquire(exclusion: Exclusion, timeout: float) -> None:
    """Hold ``exclusion``, or give up after ``timeout`` seconds (0: never).

    Raises:
        Failure: the time is over.
        AgentError: it cannot be had.
    """
    cancelled, done = threading.Event(), threading.Event()
    faults: list[AgentError] = []

    def acquire() -> None:
        try:
            exclusion.acquire(cancelled)
        except AgentError as error:
            faults.append(error)
        finally:
            done.set()

    threading.Thread(target=acquire, daemon=True).start()
    try:
        in_time = done.wait(timeout or None)
    finally:
        cancelled.set()
    if faults:
        raise faults[0]
    if not in_time:
        # its thread may still get the lock: the end of the session takes it back
        raise Failure("Shutdown triggered or timeout during lock acquisition")


def _run(
    exclusion: Exclusion,
    words: tuple[str, ...],
    *,
    shell: bool,
    stdin: int | None,
    telling: Telling,
    interrupts: Interrupts,
) -> bool:
    """Run the child to its end, or to the loss of the lock; return whether it did well."""
    telling.say("Starting handler")
    ended = threading.Event()

    def guard(child: Child) -> None:
        exclusion.wait_for_loss()
        if not ended.is_set():
            telling.say("Lock lost, killing child")
            child.stop()

    child: Child | None = None
    try:
        with interrupts.held_back():
            child = Child(words, shell=shell, variables=HELD, stdin=stdin)
        threading.Thread(target=guard, args=(child,), daemon=True).start()
        fault = child.wait()
    except CannotStart as error:
        click.echo(error.message, err=True)
        return False
    except KeyboardInterrupt:
        if child is None:  # it came before there was one
            raise
        telling.say("Shutdown triggered, killing child")
        child.stop()
        fault = child.wait()
    ended.set()
    if fault:
        click.echo(f"Error running handler: {fault}", err=True)
    telling.say("Child terminated, releasing lock")
    return fault is None


def _give_back(exclusion: Exclusion, telling: Telling) -> None:
    try:
        exclusion.release()
    except AgentError as error:
        click.echo(f"Lock release failed: {error}", err=True)
        return
    try:
        removed = exclusion.clean_up()
    except AgentError as error:
        click.echo(f"Lock cleanup failed: {error}", err=True)
        return
    telling.say("Cleanup succeeded" if removed else "Cleanup aborted, lock in use")
