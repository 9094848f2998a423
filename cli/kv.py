"""``lictor kv``."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

import click
import msgspec

from .client import Client
from .command import Group, at_most
from .documents import parse_json
from .errors import AgentError, Failure, Refused, saying
from .flags import BOOL, TEXT, UINT, flag
from .formats import format_flag, read_data, to_json, wants_json
from .settings import Http

kv = Group(
    "kv",
    help="""
    Reads and writes the key-value store: small values under path-like keys, kept by
    the servers and the same on all of them.

    Write a key, read it back, and remove it:

        $ lictor kv put redis/maxconns 5
        $ lictor kv get redis/maxconns
        $ lictor kv delete redis/maxconns

    See every key below a prefix:

        $ lictor kv get -keys redis/
    """,
)


class Entry(msgspec.Struct, frozen=True, rename="pascal"):
    """One key as the API gives it. ``value`` has been decoded."""

    key: str
    create_index: int = 0
    modify_index: int = 0
    lock_index: int = 0
    flags: int = 0
    value: bytes | None = None
    session: str | None = None

    def shown(self, *, base64: bool) -> bytes:
        """The value as it is printed."""
        return b64encode(self.value or b"") if base64 else self.value or b""


class Exported(msgspec.Struct, frozen=True):
    """One key as ``kv export`` writes it. ``value`` is base64."""

    key: str
    flags: int = 0
    value: str = ""


@kv.command(
    "get", usage="[options] [KEY_OR_PREFIX]", http=Http.SERVER, summary="Read a key, or many"
)
@flag("-base64", BOOL, "Print values in base64.")
@flag("-detailed", BOOL, "Print indexes, flags and the lock's session too.")
@flag("-keys", BOOL, "Print keys only, as far as the next -separator.")
@flag("-recurse", BOOL, "Print every key that starts with the prefix.")
@flag("-separator", TEXT, 'Where -keys cuts; "" shows every key in full.', default="/")
@format_flag
def get(
    agent: Client,
    args: tuple[str, ...],
    base64: bool,
    detailed: bool,
    keys: bool,
    recurse: bool,
    separator: str,
    format: str,  # noqa: A002
) -> None:
    """Prints the value of a key. A key that is not there is an error.

    $ lictor kv get redis/maxconns

    With -recurse, prints every key below a prefix as key:value, and with -keys
    only their names:

        $ lictor kv get -recurse redis/
        $ lictor kv get -keys redis/

    With -format=json, prints what the agent's API answers.
    """
    as_json = wants_json(format)
    at_most(args, 1)
    key = args[0].removeprefix("/") if args else ""
    if not key and not (keys or recurse):
        raise Failure("Error! Missing KEY argument")
    if keys:
        body = _read(agent, key, {"keys": "", "separator": separator})
    else:
        body = _read(agent, key, {"recurse": ""} if recurse else {})
        if body is None and not recurse:
            raise Failure(f"Error! No key exists at: {key}")
    body = body or b"[]"
    if as_json:
        click.echo(to_json(msgspec.json.decode(body)))
    elif keys:
        for name in msgspec.json.decode(body, type=list[str]):
            click.echo(name)
    else:
        entries = msgspec.json.decode(body, type=list[Entry])
        _show(entries, base64=base64, detailed=detailed, recurse=recurse)


def _show(entries: list[Entry], *, base64: bool, detailed: bool, recurse: bool) -> None:
    if detailed:
        blocks = [_details(entry, base64=base64) for entry in entries]
        click.echo(b"\n\n".join(blocks), nl=bool(entries))
        return
    for entry in entries:
        label = entry.key.encode() + b":" if recurse else b""
        click.echo(label + entry.shown(base64=base64))


def _read(agent: Client, key: str, query: dict[str, str]) -> bytes | None:
    """The answer's body; None when nothing is there."""
    try:
        return agent.get(f"/v1/kv/{key}", query).body
    except Refused as refused:
        if refused.status == 404:
            return None
        raise Failure(f"Error querying Consul agent: {refused.bare()}") from refused
    except AgentError as error:
        raise Failure(f"Error querying Consul agent: {error}") from error


def _details(entry: Entry, *, base64: bool) -> bytes:
    rows = [
        ("CreateIndex", str(entry.create_index)),
        ("Flags", str(entry.flags)),
        ("Key", entry.key),
        ("LockIndex", str(entry.lock_index)),
        ("ModifyIndex", str(entry.modify_index)),
        ("Session", entry.session or "-"),
    ]
    lines = [f"{name:<17}{text}".encode() for name, text in rows]
    value = f"{'Value':<17}".encode() + entry.shown(base64=base64)
    return b"\n".join([*lines, value if entry.value else value.rstrip()])


@kv.command("put", usage="[options] KEY [DATA]", http=Http.SERVER, summary="Write a key")
@flag("-acquire", BOOL, "Lock the key for -session while writing it.")
@flag("-base64", BOOL, "DATA is base64: write what it encodes.")
@flag("-cas", BOOL, "Write only if the key is still at -modify-index.")
@flag("-flags", UINT, "A number kept beside the value, for the application.", default=0)
@flag("-modify-index", UINT, "The ModifyIndex that -cas expects; 0: the key must be new.")
@flag("-release", BOOL, "Give -session's lock on the key back while writing it.")
@flag("-session", TEXT, "The session that acquires or releases.", default="")
def put(
    agent: Client,
    args: tuple[str, ...],
    acquire: bool,
    base64: bool,
    cas: bool,
    flags: int,
    modify_index: int | None,
    release: bool,
    session: str,
) -> None:
    """Writes DATA to a key.

    DATA may be text, @path for a file, or - for stdin; without it the value is
    empty.

        $ lictor kv put redis/maxconns 5
        $ lictor kv put app/license @license.lic

    Write only if nobody else has since we read it, or only if it is new:

        $ lictor kv put -cas -modify-index=844 redis/maxconns 6
        $ lictor kv put -cas -modify-index=0 redis/maxconns 5
    """
    at_most(args, 2, prefix="Error! ", said="1 or 2")
    if not args:
        raise Failure("Error! Missing KEY argument")
    key = args[0]
    data = read_data(args[1]) if len(args) > 1 else b""
    if base64:
        data = _decoded(data, failing="Error! Cannot base 64 decode data")
    if cas and modify_index is None:
        raise Failure("Must specify -modify-index with -cas!")
    if (acquire or release) and not session:
        raise Failure("Error! Missing -session (required with -acquire and -release)")
    if key.startswith("/"):
        raise Failure(
            f"Error! Failed writing data: Invalid key. Key must not begin with a '/': {key}"
        )
    query = {
        "flags": str(flags) if flags else None,
        "cas": str(modify_index) if cas else None,
        "acquire": session if acquire else None,
        "release": session if release else None,
    }
    with saying("Error! Failed writing data"):
        done = agent.put(f"/v1/kv/{key}", query, body=data).decode(bool)
    refusal, success = f"Did not write to {key}: CAS failed", f"Data written to: {key}"
    if acquire:
        refusal, success = "Did not acquire lock", f"Lock acquired on: {key}"
    elif release:
        refusal, success = "Did not release lock", f"Lock released on: {key}"
    if not done:
        raise Failure(f"Error! {refusal}")
    click.echo(f"Success! {success}")


def _decoded(data: bytes, *, failing: str) -> bytes:
    try:
        return b64decode(data, validate=True)
    except binascii.Error as error:
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        position = next((at for at, byte in enumerate(data) if byte not in alphabet), len(data))
        raise Failure(f"{failing}: illegal base64 data at input byte {position}") from error


@kv.command(
    "delete", usage="[options] KEY_OR_PREFIX", http=Http.SERVER, summary="Remove a key, or many"
)
@flag("-cas", BOOL, "Remove only if the key is still at -modify-index.")
@flag("-modify-index", UINT, "The ModifyIndex that -cas expects.")
@flag("-recurse", BOOL, "Remove every key that starts with the prefix.")
def delete(
    agent: Client, args: tuple[str, ...], cas: bool, modify_index: int | None, recurse: bool
) -> None:
    """Removes a key. To remove one that is not there is no error.

    $ lictor kv delete redis/maxconns

    Remove everything below a prefix:

        $ lictor kv delete -recurse redis/
    """
    at_most(args, 1)
    key = args[0].removeprefix("/") if args else ""
    if not key and not recurse:
        raise Failure("Error! Missing KEY argument")
    if cas and not modify_index:
        raise Failure("Must specify -modify-index with -cas!")
    if cas and recurse:
        raise Failure("Cannot specify both -cas and -recurse!")
    if modify_index is not None and not cas:
        raise Failure("Cannot specify -modify-index without -cas!")
    query = {"recurse": "" if recurse else None, "cas": str(modify_index) if cas else None}
    with saying(f"Error! Did not delete prefix {key}" if recurse else f"Error deleting key {key}"):
        done = agent.delete(f"/v1/kv/{key}", query).decode(bool)
    if not done:
        raise Failure(f"Error! Did not delete key {key}: CAS failed")
    click.echo(f"Success! Deleted {'keys with prefix' if recurse else 'key'}: {key}")


@kv.command("export", usage="[options] [PREFIX]", http=Http.SERVER, summary="Print a tree as JSON")
def export(agent: Client, args: tuple[str, ...]) -> None:
    """Prints every key below a prefix as JSON that "lictor kv import" reads.

    $ lictor kv export vault/ > vault.json
    """
    at_most(args, 1)
    key = args[0].removeprefix("/") if args else ""
    body = _read(agent, key, {"recurse": ""})
    entries = msgspec.json.decode(body or b"[]", type=list[Entry])
    exported = [
        {"key": entry.key, "flags": entry.flags, "value": entry.shown(base64=True).decode()}
        for entry in entries
    ]
    click.echo(to_json(exported, indent="\t"))


@kv.command("import", usage="[options] [DATA]", http=Http.SERVER, summary="Write a tree from JSON")
@flag("-prefix", TEXT, "Put this in front of every key.", default="")
def import_(agent: Client, args: tuple[str, ...], prefix: str) -> None:
    """Writes the keys that "lictor kv export" printed.

    DATA may be the JSON itself, @path for a file, or - for stdin.

        $ lictor kv import @vault.json
        $ lictor kv export app/ | lictor kv import -prefix=copy/ -
    """
    at_most(args, 1, prefix="Error! ")
    if not args:
        raise Failure("Error! Missing DATA argument")
    try:
        written = parse_json(read_data(args[0]).decode())
        entries = msgspec.convert(written, list[Exported])
    except ValueError as error:
        raise Failure(f"Cannot unmarshal data: {error}") from error
    for entry in entries:
        failing = f"Error base 64 decoding value for key {entry.key}"
        value = _decoded(entry.value.encode(), failing=failing)
        key = prefix + entry.key
        with saying(f"Error! Failed writing data for key {key}"):
            query = {"flags": str(entry.flags) if entry.flags else None}
            agent.put(f"/v1/kv/{key.removeprefix('/')}", query, body=value)
        click.echo(f"Imported: {key}")
