"""``lictor watch``: run a command, or print once, whenever a view of the cluster changes."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import click
import msgspec

from .child import Child
from .client import Answer, Client, Query
from .command import command
from .errors import AgentError, Failure, Misuse, Refused, saying
from .flags import BOOL, TEXT, flag, parse_bool
from .formats import to_json
from .interrupts import until_interrupted
from .settings import Http

POLL_TIMEOUT: Final = 360.0
"""Seconds; a blocking query takes five minutes and a sixteenth at most."""
RETRY: Final = 5.0
MAX_RETRY: Final = 180.0
"""Seconds. The n-th failure in a row waits n squared times :data:`RETRY`."""

Parameters: TypeAlias = dict[str, Any]


class Entry(msgspec.Struct, frozen=True, rename="pascal"):
    """A key, its fields in the order that handlers are used to."""

    key: str
    create_index: int = 0
    modify_index: int = 0
    lock_index: int = 0
    flags: int = 0
    value: str | None = None
    session: str = ""


@dataclass(frozen=True)
class Plan:
    """How one type of watch asks."""

    takes: frozenset[str]
    """Its parameters; any other is refused."""
    ask: Callable[[Parameters], tuple[str, Query]]
    """Path and query from the parameters."""
    shape: Callable[[Answer], Any] = Answer.value
    needs: str = ""
    """The parameter it cannot do without."""


def _entries(answer: Answer) -> Any:
    return [msgspec.to_builtins(one) for one in answer.decode(list[Entry])]


def _entry(answer: Answer) -> Any:
    return _entries(answer)[0]


def _ask_checks(parameters: Parameters) -> tuple[str, Query]:
    service, state = parameters.get("service"), parameters.get("state")
    if service and state:
        raise Failure("Cannot specify service and state")
    if service:
        return f"/v1/health/checks/{service}", {}
    return f"/v1/health/state/{state or 'any'}", {}


def _ask_service(parameters: Parameters) -> tuple[str, Query]:
    passing = "1" if parameters.get("passingonly") else None
    return f"/v1/health/service/{parameters['service']}", {
        "tag": parameters.get("tag"),
        "passing": passing,
    }


PLANS: Final = {
    "key": Plan(
        frozenset({"key"}), lambda p: (f"/v1/kv/{p['key'].removeprefix('/')}", {}), _entry, "key"
    ),
    "keyprefix": Plan(
        frozenset({"prefix"}),
        lambda p: (f"/v1/kv/{p['prefix'].removeprefix('/')}", {"recurse": ""}),
        _entries,
        "prefix",
    ),
    "services": Plan(frozenset(), lambda _: ("/v1/catalog/services", {})),
    "nodes": Plan(frozenset(), lambda _: ("/v1/catalog/nodes", {})),
    "service": Plan(frozenset({"service", "tag", "passingonly"}), _ask_service, needs="service"),
    "checks": Plan(frozenset({"service", "state"}), _ask_checks),
    "event": Plan(frozenset({"name"}), lambda p: ("/v1/event/list", {"name": p.get("name")})),
}
AGENT_ONLY: Final = frozenset({"connect_roots", "connect_leaf", "agent_service"})
"""Types that only an agent's own configuration may watch."""


@command("watch", usage="[options] [CHILD...]", http=Http.SERVER)
@flag("-type", TEXT, f"What to watch: {', '.join(PLANS)}.", default="")
@flag("-key", TEXT, "The key, for -type=key.", default="")
@flag("-prefix", TEXT, "The prefix, for -type=keyprefix.", default="")
@flag("-service", TEXT, "The service, for -type=service or checks.", default="")
@flag("-tag", TEXT, "Only instances with this tag. May be repeated.", multiple=True)
@flag("-passingonly", TEXT, "true: only instances whose checks all pass.", default="")
@flag("-state", TEXT, "The state of the checks to watch.", default="")
@flag("-name", TEXT, "Only events of this name.", default="")
@flag("-shell", BOOL, "Run CHILD by the shell, in SHELL or /bin/sh.", default=True)
def watch(agent: Client, args: tuple[str, ...], type: str, shell: bool, **given: Any) -> None:  # noqa: A002
    """Watches a view of the cluster.

    Without CHILD, prints what it is now, as JSON, and exits. With one, runs it now
    and after every change: the view as JSON on its stdin, and its index in
    CONSUL_INDEX. A child that fails ends the watch.

    $ lictor watch -type=service -service=web -passingonly=true ./reload-balancer
    $ lictor watch -type=key -key=app/config 'jq -r .Value | base64 -d > app.conf'
    """
    if not type:
        raise Misuse("Watch type must be specified")
    parameters = _parameters(given)
    path, query = _question(type, parameters)
    with saying("Error querying Consul agent"):
        agent.get("/v1/agent/self")
    watched = Watched(agent, type, path, query)
    if not args:
        _, value = watched.next()
        click.echo(to_json(value))
        return
    with until_interrupted():
        while True:
            index, value = watched.next()
            _run(args, shell=shell, index=index, value=value)


def _parameters(given: dict[str, Any]) -> Parameters:
    parameters = {name: value for name, value in given.items() if value}
    if text := parameters.get("passingonly"):
        try:
            parameters["passingonly"] = parse_bool(text)
        except ValueError as error:
            raise Failure(f"Failed to parse passingonly flag: {error}") from error
    return parameters


def _question(kind: str, parameters: Parameters) -> tuple[str, Query]:
    """The path and query of a watch.

    Raises:
        Failure: there is no such type, or the parameters do not fit it.
    """
    if kind in AGENT_ONLY:
        raise Failure(f"Type {kind} is not supported in the CLI tool")
    if kind not in PLANS:
        raise Failure(f"Unsupported watch type: {kind}")
    plan = PLANS[kind]
    if plan.needs and plan.needs not in parameters:
        raise Failure(f"Must specify a single {plan.needs} to watch")
    if extra := [name for name in parameters if name not in plan.takes]:
        raise Failure(f"Invalid parameters: [{' '.join(extra)}]")
    return plan.ask(parameters)


class Watched:
    """One view, and what was last seen of it."""

    def __init__(self, agent: Client, kind: str, path: str, query: Query) -> None:
        self._agent = agent
        self._kind = kind
        self._path = path
        self._query = query
        self._index = "0"
        self._last: Any = ...

    def next(self) -> tuple[str, Any]:
        """Wait for the next change; the first comes at once. Failures are told and retried."""
        failures = 0
        while True:
            try:
                index, value = self._poll()
            except AgentError as error:
                failures += 1
                delay = min(RETRY * failures**2, MAX_RETRY)
                reason = error.bare() if isinstance(error, Refused) else str(error)
                said = f'Watch errored: type={self._kind} error="{reason}" retry={delay:g}s'
                click.echo(said, err=True)
                pause(delay)
                continue
            failures = 0
            if index == self._index:
                continue
            # an index that went back means another state: begin anew
            self._index = index if int(index) >= int(self._index) else "0"
            if value != self._last:
                self._last = value
                return index, value

    def _poll(self) -> tuple[str, Any]:
        query = {**self._query, "index": self._index if self._index != "0" else None}
        try:
            answer = self._agent.get(self._path, query, timeout=POLL_TIMEOUT)
        except Refused as refused:
            if refused.status != 404 or not self._path.startswith("/v1/kv/"):
                raise
            index, value = refused.index, None
        else:
            index, value = answer.index, PLANS[self._kind].shape(answer)
        if index == "0":
            # nothing to wait from: the next question would be answered at once, and the next
            raise AgentError("The answer has no index to watch from")
        return index, value


def pause(duration: float) -> None:
    """Let ``duration`` seconds pass."""
    threading.Event().wait(duration)


def _run(words: tuple[str, ...], *, shell: bool, index: str, value: Any) -> None:
    variables = {"CONSUL_INDEX": index, "LICTOR_INDEX": index}
    child = Child(words, shell=shell, variables=variables, stdin=subprocess.PIPE)
    child.feed(to_json(value, indent=None).encode() + b"\n")
    if fault := child.wait():
        raise Failure(f"Error executing handler: {fault}")
