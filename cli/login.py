"""``lictor login`` and ``logout``."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from .client import Client
from .command import command
from .errors import Failure, go_error, open_error, saying
from .flags import PAIR, TEXT, flag
from .settings import Http


class Token(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of a new token that is handed out."""

    secret_id: str = msgspec.field(name="SecretID")


@command("login", http=Http.SERVER)
@flag("-method", TEXT, "The auth method to log in by.", default="")
@flag("-bearer-token-file", TEXT, "The file with the identity to exchange.", default="")
@flag("-token-sink-file", TEXT, "The file to write the token's secret to.", default="")
@flag("-meta", PAIR, "A key=value to keep with the token. May be repeated.", multiple=True)
@flag("-type", TEXT, "The type of the auth method.", default="")
def login(
    agent: Client,
    args: tuple[str, ...],
    method: str,
    bearer_token_file: str,
    token_sink_file: str,
    meta: tuple[tuple[str, str], ...],
    type: str,  # noqa: A002
) -> None:
    """Exchanges an identity that somebody else vouches for, such as a JWT, for a token.

    $ lictor login -method=ci -bearer-token-file=jwt -token-sink-file=token
    $ lictor services register -token-file=token web.hcl
    """
    if args:
        raise Failure("Should have no non-flag arguments.")
    for name, value in (("method", method), ("token-sink-file", token_sink_file)):
        if not value:
            raise Failure(f"Missing required '-{name}' flag")
    if not bearer_token_file:
        raise Failure("Missing required '-bearer-token-file' flag")
    try:
        bearer = Path(bearer_token_file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Failure(open_error(error, bearer_token_file)) from error
    if not bearer:
        raise Failure(f"No bearer token found in {bearer_token_file}")
    wanted = {"AuthMethod": method, "BearerToken": bearer, "Meta": dict(meta) or None}
    with saying("Error logging in"):
        token = agent.post("/v1/acl/login", body=wanted).decode(Token)
    try:
        _write_secret(Path(token_sink_file), token.secret_id)
    except OSError as error:
        raise Failure(
            f"Error writing token to file sink {token_sink_file}: {go_error(error)}"
        ) from error


def _write_secret(path: Path, secret: str) -> None:
    """Replace ``path`` by a file that only its owner may read, whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  (a descriptor has no path)
            file.write(secret)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@command("logout", http=Http.SERVER)
def logout(agent: Client, args: tuple[str, ...]) -> None:
    """Destroys the token of this request, if "lictor login" made it.

    $ lictor logout -token-file=token
    """
    if args:
        raise Failure("Should have no non-flag arguments.")
    with saying("Error destroying token"):
        agent.post("/v1/acl/logout")
