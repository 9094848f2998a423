"""Where the agent is and who we are to it: flags first, then the environment.

Every variable is read as ``LICTOR_<NAME>`` and, when that is empty, as ``CONSUL_<NAME>``, so what
works with Consul's tools works here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Final

import click
import msgspec

from .errors import BadSettings, open_error
from .flags import SWITCH, VALUE, Flag, parse_bool, text_named

DEFAULT_ADDRESS: Final = "127.0.0.1:8500"


class Http(Enum):
    """Which connection flags a command takes."""

    NONE = "none"
    """It never talks to an agent."""
    CLIENT = "client"
    """It asks about the one agent it talks to."""
    SERVER = "server"
    """It asks the cluster: another datacenter or a stale read may be chosen too."""

    def flags(self) -> list[Flag]:
        """The flags, fresh."""
        if self is Http.NONE:
            return []
        return _client_flags() + (_server_flags() if self is Http.SERVER else [])


def _http_flag(name: str, text: str, variable: str = "") -> Flag:
    if variable:
        text += f" Environment: LICTOR_{variable} or CONSUL_{variable}."
    return Flag(name, VALUE, text, http=True)


def _client_flags() -> list[Flag]:
    address = Flag(
        "-http-addr",
        text_named("address"),
        "Where the agent's HTTP API is: host:port, http://host:port, https://host:port or"
        " unix:///path. Environment: LICTOR_HTTP_ADDR or CONSUL_HTTP_ADDR.",
        http=True,
    )
    return [
        address,
        _http_flag("-ca-file", "A PEM file of the CAs to trust.", "CACERT"),
        _http_flag("-ca-path", "A directory of PEM files of the CAs to trust.", "CAPATH"),
        _http_flag(
            "-client-cert", "Our certificate, for an agent that asks for one.", "CLIENT_CERT"
        ),
        _http_flag("-client-key", "The private key of -client-cert.", "CLIENT_KEY"),
        _http_flag(
            "-tls-server-name", "The name the agent's certificate must have.", "TLS_SERVER_NAME"
        ),
        _http_flag("-token", "The ACL token to send.", "HTTP_TOKEN"),
        _http_flag(
            "-token-file", "A file with the ACL token; wins over -token.", "HTTP_TOKEN_FILE"
        ),
        _http_flag("-namespace", "The namespace to ask about.", "NAMESPACE"),
        _http_flag("-partition", "The admin partition to ask about.", "PARTITION"),
    ]


def _server_flags() -> list[Flag]:
    stale = "Let any server answer a read, not only the leader: faster, and perhaps a moment old."
    return [
        _http_flag("-datacenter", "The datacenter to ask; by default the agent's own."),
        Flag("-stale", SWITCH, stale, http=True),
    ]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach an agent. Paths and texts are as given; nothing has been opened yet."""

    address: str
    ssl: bool = False
    verify: bool = True
    ca_file: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    server_name: str = ""
    token: str = ""
    token_file: str = ""
    basic_auth: str = ""
    namespace: str = ""
    partition: str = ""
    datacenter: str = ""
    stale: bool = False

    def read_token(self) -> str:
        """The token to send; the file's, if one is named.

        Raises:
            BadSettings: the file cannot be read.
        """
        if not self.token_file:
            return self.token
        try:
            content = Path(self.token_file).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            reason = open_error(error, self.token_file)
            raise BadSettings(f"Error loading token file: {reason}") from error
        return content.strip() or self.token


def variable(name: str, environment: Mapping[str, str] | None = None) -> str:
    """The environment variable ``name`` under our prefix or Consul's; empty when neither is set."""
    source = os.environ if environment is None else environment
    return source.get(f"LICTOR_{name}") or source.get(f"CONSUL_{name}") or ""


def _switch(name: str, environment: Mapping[str, str] | None, *, default: bool) -> bool:
    text = variable(name, environment)
    if not text:
        return default
    try:
        return parse_bool(text)
    except ValueError as error:
        click.echo(f"could not parse CONSUL_{name}: {error}", err=True)
        return default


def settings_from(
    values: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> Settings:
    """Merge parsed connection flags with the environment (by default the process's own)."""

    def pick(flag: str, name: str = "") -> str:
        # an empty flag is as good as none, so that scripts may pass on what may be unset
        given = values.get(flag)
        if given:
            return str(given)
        return variable(name, environment) if name else ""

    return Settings(
        address=pick("http_addr", "HTTP_ADDR") or DEFAULT_ADDRESS,
        ssl=_switch("HTTP_SSL", environment, default=False),
        verify=_switch("HTTP_SSL_VERIFY", environment, default=True),
        ca_file=pick("ca_file", "CACERT"),
        ca_path=pick("ca_path", "CAPATH"),
        client_cert=pick("client_cert", "CLIENT_CERT"),
        client_key=pick("client_key", "CLIENT_KEY"),
        server_name=pick("tls_server_name", "TLS_SERVER_NAME"),
        token=pick("token", "HTTP_TOKEN"),
        token_file=pick("token_file", "HTTP_TOKEN_FILE"),
        basic_auth=variable("HTTP_AUTH", environment),
        namespace=pick("namespace", "NAMESPACE"),
        partition=pick("partition", "PARTITION"),
        datacenter=pick("datacenter"),
        stale=bool(values.get("stale")),
    )
