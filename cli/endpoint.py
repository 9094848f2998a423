"""The address of an agent, and connections to it: plain, TLS or a Unix socket."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import quote

from .errors import BadSettings, go_error, open_error
from .settings import Settings

PLAIN_PORT: Final = 80
TLS_PORT: Final = 443


class DialFailed(OSError):
    """No connection; the text is the one Go prints."""


class Endpoint:
    """Where to connect to, and how errors name it.

    ``url`` is scheme and host as Go prints them. With ``path`` it is a Unix socket.
    """

    def __init__(self, scheme: str, host: str, port: int, *, url: str, path: str = "") -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.url = url
        self.path = path
        self.context: ssl.SSLContext | None = None
        self.server_name = host

    @property
    def host_header(self) -> str:
        """What the request says it asks."""
        return "localhost" if self.path else self.url.partition("://")[2]

    def connection(
        self, connect_timeout: float, answer_timeout: float | None
    ) -> http.client.HTTPConnection:
        """A connection to be made by its first request. Timeouts are in seconds."""
        return _Connection(self, connect_timeout, answer_timeout)

    def dial(self, timeout: float) -> socket.socket:
        """Connect.

        Raises:
            DialFailed: nobody is there, or nobody who speaks TLS and is to be trusted.
        """
        plain = self._dial_unix(timeout) if self.path else self._dial_tcp(timeout)
        if self.context is None:
            return plain
        try:
            return self.context.wrap_socket(plain, server_hostname=self.server_name)
        except OSError as error:
            plain.close()
            raise DialFailed(_say_tls(error)) from error

    def _dial_unix(self, timeout: float) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(timeout)
        try:
            connected.connect(self.path)
        except OSError as error:
            connected.close()
            raise DialFailed(f"dial unix {self.path}: connect: {go_error(error)}") from error
        return connected

    def _dial_tcp(self, timeout: float) -> socket.socket:
        try:
            found = socket.getaddrinfo(self.host or "localhost", self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise DialFailed(f"dial tcp: lookup {self.host}: no such host") from error
        # IPv4 first: Go names the address it tried first, and an agent's own default is IPv4
        found.sort(key=lambda one: one[0] != socket.AF_INET)
        failure: DialFailed | None = None
        for family, kind, protocol, _, address in found:
            connected = socket.socket(family, kind, protocol)
            connected.settimeout(timeout)
            try:
                connected.connect(address)
            except OSError as error:
                connected.close()
                host = f"[{address[0]}]" if family == socket.AF_INET6 else str(address[0])
                reason = (
                    "i/o timeout"
                    if isinstance(error, TimeoutError)
                    else f"connect: {go_error(error)}"
                )
                failure = failure or DialFailed(f"dial tcp {host}:{self.port}: {reason}")
            else:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connected
        raise failure or DialFailed(f"dial tcp: lookup {self.host}: no such host")


class _Connection(http.client.HTTPConnection):
    def __init__(
        self, endpoint: Endpoint, connect_timeout: float, answer_timeout: float | None
    ) -> None:
        super().__init__(endpoint.host or "localhost", endpoint.port)
        self._endpoint = endpoint
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout

    def connect(self) -> None:  # type: ignore[explicit-override]  # typing has override from 3.12 on
        self.sock = self._endpoint.dial(self._connect_timeout)
        self.sock.settimeout(self._answer_timeout)


def endpoint_from(settings: Settings) -> Endpoint:
    """The endpoint that ``settings`` name.

    Raises:
        BadSettings: the scheme is unknown, or a certificate cannot be read.
    """
    scheme, separator, rest = settings.address.partition("://")
    if not separator:
        scheme, rest = "http", settings.address
    if scheme == "unix":
        return Endpoint(
            "http", "localhost", PLAIN_PORT, url=f"http://{quote(rest, safe='')}", path=rest
        )
    if scheme not in {"http", "https"}:
        raise BadSettings(f"Unknown protocol scheme: {scheme}")
    if settings.ssl:
        scheme = "https"
    authority = rest.rstrip("/")
    host, port = _split(authority, TLS_PORT if scheme == "https" else PLAIN_PORT)
    endpoint = Endpoint(scheme, host, port, url=f"{scheme}://{authority}")
    # Consul reads the certificates even where the scheme does not need them, and so complains alike
    if scheme == "https" or settings.ca_file or settings.client_cert or settings.client_key:
        context = _tls(settings)
        endpoint.context = context if scheme == "https" else None
    endpoint.server_name = settings.server_name or host
    return endpoint


def _split(authority: str, default_port: int) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority.strip("[]"), default_port
    if not port.isdecimal() or int(port) > 65535:
        raise BadSettings(f'parse "{authority}": invalid port ":{port}" after host')
    return host.strip("[]"), int(port)


def _tls(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.ca_file or settings.ca_path:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for place, kind in ((settings.ca_file, "File"), (settings.ca_path, "Path")):
        if place:
            _load_authorities(context, place, kind)
    if bool(settings.client_cert) != bool(settings.client_key):
        raise BadSettings("both client cert and client key must be provided")
    if settings.client_cert:
        for path in (settings.client_cert, settings.client_key):
            _read(path)
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key)
        except (ssl.SSLError, OSError) as error:
            raise BadSettings(f"tls: failed to load the client certificate: {error}") from error
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_authorities(context: ssl.SSLContext, place: str, kind: str) -> None:
    path = Path(place)
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    for one in files:
        try:
            content = one.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise BadSettings(f"Error loading CA {kind}: {open_error(error, str(one))}") from error
        try:
            context.load_verify_locations(cadata=content)
        except (OSError, ValueError) as error:
            raise BadSettings(f"Error loading CA {kind}: Couldn't parse PEM in: {one}") from error


def _read(path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise BadSettings(open_error(error, path)) from error


def _say_tls(error: OSError) -> str:
    """``error`` of a handshake in the words of Go."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message
        unknown = "self-signed" in reason or "self signed" in reason or "unable to get" in reason
        return "x509: certificate signed by unknown authority" if unknown else f"x509: {reason}"
    if isinstance(error, ssl.SSLError):
        if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
            return "http: server gave HTTP response to HTTPS client"
        return f"tls: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return "EOF" if isinstance(error, ConnectionResetError) else go_error(error)
