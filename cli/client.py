"""A small HTTP client for an agent's API, on the standard library.

One connection for each request: a command makes a handful, and a client without state may be used
from many threads. What goes wrong is said in the words of Go's client, because scripts match on
them.
"""

from __future__ import annotations

import http.client
import socket
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from .endpoint import Endpoint, endpoint_from
from .errors import AgentError, Refused, Unreachable, go_error
from .settings import Settings

T = TypeVar("T")
Query: TypeAlias = Mapping[str, str | Sequence[str] | None]
"""Parameters of a request. A sequence repeats its name; None leaves it out."""

INDEX: Final = "X-Consul-Index"
MAX_ANSWER_BYTES: Final = 256 << 20
MAX_ERROR_BYTES: Final = 64 << 10
CONNECT_TIMEOUT: Final = 30.0
"""Seconds. Source: the dialer of Go's default transport."""
ANSWER_TIMEOUT: Final = 120.0
"""Seconds an agent may take between two parts of an answer, unless the request says otherwise."""


class Answer:
    """What an agent answered with 200."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        self.body = body
        self._headers = headers

    @property
    def index(self) -> str:
        """The value to watch from, as the agent wrote it; ``"0"`` when it wrote none."""
        return self._headers.get(INDEX) or "0"

    def decode(self, shape: type[T]) -> T:
        """The body as ``shape``.

        Raises:
            AgentError: it is something else.
        """
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.DecodeError as error:
            raise AgentError(f"Unexpected answer: {error}") from error

    def value(self) -> Any:
        """The body as plain Python values."""
        return self.decode(object)


class Client:
    """Asks one agent, as the user's flags and environment say."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def get(
        self, path: str, query: Query | None = None, *, timeout: float = ANSWER_TIMEOUT
    ) -> Answer:
        """GET ``path`` (unescaped).

        Raises:
            Unreachable: no answer came.
            Refused: the answer was not 200.
        """
        return self.request("GET", path, query, timeout=timeout)

    def put(self, path: str, query: Query | None = None, *, body: object = b"") -> Answer:
        """PUT ``body``: bytes as they are, anything else as JSON. Raises as :meth:`get`."""
        return self.request("PUT", path, query, body=body)

    def post(self, path: str, query: Query | None = None, *, body: object = b"") -> Answer:
        """POST ``body`` to ``path``. Raises as :meth:`get`."""
        return self.request("POST", path, query, body=body)

    def delete(self, path: str, query: Query | None = None, *, body: object = b"") -> Answer:
        """DELETE ``path``. Raises as :meth:`get`."""
        return self.request("DELETE", path, query, body=body)

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: object = b"",
        timeout: float = ANSWER_TIMEOUT,
    ) -> Answer:
        """Send one request and read the whole answer. Raises as :meth:`get`."""
        with self.open(method, path, query, body=body, timeout=timeout) as response:
            content = response.read(MAX_ANSWER_BYTES + 1)
            if len(content) > MAX_ANSWER_BYTES:
                raise AgentError(f"The answer is longer than {MAX_ANSWER_BYTES} bytes")
            if response.length:
                raise http.client.IncompleteRead(content, response.length)
            return Answer(content, dict(response.headers))

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: object = b"",
        timeout: float | None = ANSWER_TIMEOUT,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send one request and hand out the answer, to be read bit by bit inside the block.

        Raises as :meth:`get`; a connection that breaks inside the block raises Unreachable too.
        """
        target = self._target(method, path, query)
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        where = f'{method.capitalize()} "{self._endpoint.url}{target}"'
        connection = self._endpoint.connection(CONNECT_TIMEOUT, timeout)
        try:
            connection.request(method, target, body=content, headers=self._headers)
            response = connection.getresponse()
            if response.status != http.client.OK:
                text = response.read(MAX_ERROR_BYTES).decode(errors="replace")
                index = response.headers.get(INDEX) or "0"
                raise Refused(response.status, text, index=index)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{where}: {_say(error)}") from error
        finally:
            connection.close()

    @cached_property
    def _endpoint(self) -> Endpoint:
        return endpoint_from(self.settings)

    @cached_property
    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": "lictor-cli", "Host": self._endpoint.host_header}
        if token := self.settings.read_token():
            headers["X-Consul-Token"] = token
        if self.settings.basic_auth:
            credentials = b64encode(self.settings.basic_auth.encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        return headers

    def _target(self, method: str, path: str, query: Query | None) -> str:
        common = {
            "dc": self.settings.datacenter or None,
            "ns": self.settings.namespace or None,
            "partition": self.settings.partition or None,
            "stale": "" if self.settings.stale and method == "GET" else None,
        }
        pairs = sorted((common | dict(query or {})).items())
        # bytes of an argument that are no UTF-8 are sent as they came
        encoded = urlencode(
            [(name, value) for name, value in pairs if value is not None],
            doseq=True,
            errors="surrogateescape",
        )
        # the characters that Go leaves alone in a path
        escaped = quote(path, safe="/$&+,:;=@-_.~", errors="surrogateescape")
        return f"{escaped}?{encoded}" if encoded else escaped


def _say(error: OSError | http.client.HTTPException) -> str:
    """``error`` in the words of Go's HTTP client."""
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return "EOF"
    if isinstance(error, http.client.BadStatusLine):
        return f'net/http: HTTP/1.x transport connection broken: malformed HTTP response "{error}"'
    if isinstance(error, TimeoutError | socket.timeout) and not error.strerror:
        return "i/o timeout"
    if isinstance(error, OSError):
        return go_error(error)
    return str(error)
