"""``/v1/kv``.

Flags are tested by presence: ``?recurse=false`` still recurses, as in Consul.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from lictor.registry.answers import Answer
from lictor.registry.commands import (
    AnyCommand,
    CompareAndDeleteKey,
    CompareAndSetKey,
    DeleteKey,
    DeleteTree,
    LockKey,
    SetKey,
    UnlockKey,
)
from lictor.registry.errors import Refused
from lictor.registry.queries import ListKeys, NameKeys, ReadKey

from .errors import Stated
from .options import check_datacenter, refuse_namespace
from .outcomes import JSON, Ask, Reply
from .request import Request
from .routes import RouteTable

MISSING_KEY: Final = "Missing key name"

RAW_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
"""So that a browser never runs what somebody stored."""

route = RouteTable("kv")


@route("GET", "/v1/kv/{key}", acl="key:read", blocking=True, namespaced=False)
def read_key(request: Request) -> Ask:
    """Read one key; ``?recurse`` all keys with the prefix, ``?keys`` only their names."""
    query = request.query
    if not query.any("keys", "recurse"):
        request.required(MISSING_KEY)
    refuse_namespace(query, request.headers)
    if "keys" in query:
        separator = query.get("separator") or query.get("seperator")
        question = NameKeys(request.rest, separator)
        return Ask(question, partial(_present_list, found_when_empty=not request.rest))
    if "recurse" in query:
        return Ask(ListKeys(request.rest), _present_list)
    return Ask(ReadKey(request.rest), _present_raw if "raw" in query else _present_entry)


def _present_list(answer: Answer, *, found_when_empty: bool = False) -> Reply:
    if not answer.value and not found_when_empty:
        return Reply(404)
    return Reply(200, answer.body, JSON)


def _present_entry(answer: Answer) -> Reply:
    if answer.value is None:
        return Reply(404)
    return Reply(200, b"[" + answer.body + b"]", JSON)


def _present_raw(answer: Answer) -> Reply:
    if answer.value is None:
        return Reply(404)
    return Reply(200, answer.value.value or b"", "text/plain", RAW_HEADERS)


@route(
    "PUT",
    "/v1/kv/{key}",
    acl="key:write",
    reads_options=True,
    namespaced=False,
    body_limit="kv_max_value_size",
)
def write_key(request: Request) -> AnyCommand:
    """Write one key; ``?cas``, ``?acquire`` and ``?release`` make it conditional."""
    query = request.query
    refuse_namespace(query, request.headers)
    key = request.required(MISSING_KEY)
    _refuse_conflict(request, "cas", "acquire", "release")
    flags = request.number("flags") if "flags" in query else 0
    if "cas" in query:
        command: AnyCommand = CompareAndSetKey(
            key=key, value=request.body, index=request.number("cas"), flags=flags
        )
    elif "acquire" in query:
        command = LockKey(
            key=key, value=request.body, session=_session(request, "acquire"), flags=flags
        )
    elif "release" in query:
        command = UnlockKey(
            key=key, value=request.body, session=_session(request, "release"), flags=flags
        )
    else:
        command = SetKey(key=key, value=request.body, flags=flags)
    check_datacenter(query, request.config.datacenter)
    return command


@route("DELETE", "/v1/kv/{key}", acl="key:write", reads_options=True, namespaced=False)
def delete_key(request: Request) -> AnyCommand:
    """Delete one key; ``?recurse`` all keys with the prefix, ``?cas`` only an unchanged one."""
    query = request.query
    refuse_namespace(query, request.headers)
    if "recurse" not in query:
        request.required(MISSING_KEY)
    _refuse_conflict(request, "recurse", "cas")
    if "recurse" in query:
        command: AnyCommand = DeleteTree(prefix=request.rest)
    else:
        command = (
            CompareAndDeleteKey(key=request.rest, index=request.number("cas"))
            if "cas" in query
            else DeleteKey(key=request.rest)
        )
    check_datacenter(query, request.config.datacenter)
    return command


def _refuse_conflict(request: Request, *names: str) -> None:
    """Refuse more than one of ``names``."""
    if sum(name in request.query for name in names) > 1:
        message = f"Conflicting flags: {request.query.encoded()}"
        raise Stated(400, message)


def _session(request: Request, name: str) -> str:
    session = request.query.get(name)
    if not session:
        raise Refused("missing session")
    return session
