"""``lictor keygen`` and ``lictor keyring``: the keys that encrypt gossip."""

from __future__ import annotations

import secrets
from base64 import b64encode
from typing import Final

import click
import msgspec

from .client import Client
from .command import command
from .errors import Failure, Misuse, saying
from .flags import BOOL, INT, TEXT, flag
from .formats import format_flag, to_json, wants_json
from .settings import Http

KEY_BYTES: Final = 32
MAX_RELAY: Final = 5


class Ring(msgspec.Struct, frozen=True, rename="pascal"):
    """The keys of one pool of members. Numbers say how many members have each."""

    wan: bool = msgspec.field(name="WAN", default=False)
    datacenter: str = ""
    segment: str = ""
    keys: dict[str, int] | None = None
    primary_keys: dict[str, int] | None = None
    num_nodes: int = 0

    @property
    def title(self) -> str:
        """Which pool it is."""
        if self.wan:
            return "WAN:"
        segment = f" [{self.segment}]" if self.segment else ""
        return f"{self.datacenter} (LAN){segment}:"


@command("keygen")
def keygen(args: tuple[str, ...]) -> None:
    """Prints a new key for the agents' encrypt setting: 32 random bytes in base64.

    $ lictor keygen
    """
    # secrets, not a Runtime's rng: a key must never come from a seed
    click.echo(b64encode(secrets.token_bytes(KEY_BYTES)).decode())


@command("keyring", http=Http.CLIENT)
@flag("-install", TEXT, "Add this key on every member; it is not used yet.", default="")
@flag("-use", TEXT, "Encrypt with this installed key from now on.", default="")
@flag("-remove", TEXT, "Take this key off every member; it must not be in use.", default="")
@flag("-list", BOOL, "List the installed keys.")
@flag("-list-primary", BOOL, "List the keys in use.")
@flag("-local-only", BOOL, "List only what this datacenter's members have.")
@flag("-relay-factor", INT, "Have members relay their answers through this many others.", default=0)
@format_flag
def keyring(
    agent: Client,
    args: tuple[str, ...],
    install: str,
    use: str,
    remove: str,
    list: bool,  # noqa: A002
    list_primary: bool,
    local_only: bool,
    relay_factor: int,
    format: str,  # noqa: A002
) -> None:
    """Looks after the keys that encrypt gossip, on all members at once.

    To change the key: install the new one, use it, remove the old one.

    $ lictor keyring -install="$KEY"
    $ lictor keyring -use="$KEY"
    $ lictor keyring -remove="$OLD_KEY"

    List what is installed, and on how many members:

    $ lictor keyring -list
    """
    as_json = wants_json(format)
    chosen = sum(map(bool, (install, use, remove, list, list_primary)))
    if not chosen:
        raise Misuse("")
    if chosen > 1:
        raise Failure("Only a single action is allowed")
    if not 0 <= relay_factor <= MAX_RELAY:
        raise Failure(
            f"Error parsing relay factor: Relay factor must be in range: [0, {MAX_RELAY}]"
        )
    if local_only and not (list or list_primary):
        raise Failure("Error validating local-only: local-only can only be set for list requests")
    query = {
        "relay-factor": str(relay_factor) if relay_factor else None,
        "local-only": "true" if local_only else None,
    }
    if list or list_primary:
        _list(agent, query, primary=list_primary, as_json=as_json)
        return
    if install:
        method, doing, key = "POST", "Installing new", install
    elif use:
        method, doing, key = "PUT", "Changing primary", use
    else:
        method, doing, key = "DELETE", "Removing", remove
    click.echo(f"==> {doing} gossip encryption key...")
    with saying("error"):
        agent.request(method, "/v1/operator/keyring", query, body={"Key": key})


def _list(agent: Client, query: dict[str, str | None], *, primary: bool, as_json: bool) -> None:
    if not as_json:
        click.echo(f"==> Gathering installed {'primary ' if primary else ''}encryption keys...")
    with saying("error"):
        answer = agent.get("/v1/operator/keyring", query)
        rings = answer.decode(list[Ring])
    if as_json:
        click.echo(to_json(answer.value()))
        return
    for ring in rings:
        click.echo(f"\n{ring.title}")
        for key, count in sorted(((ring.primary_keys if primary else ring.keys) or {}).items()):
            click.echo(f"  {key} [{count}/{ring.num_nodes}]")
