"""Probers that act in the real world: HTTP with aiohttp, commands as child processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
import subprocess
from contextlib import suppress
from typing import Final

import aiohttp
from typing_extensions import override

from lictor.raft.runtime import Clock
from lictor.registry.agent.verdict import ProbeFailed, Tail

from .dial import client_context, tls_failed
from .gonet import dial_failed
from .http import HTTPRequest, HTTPResponse
from .script import Ran

MAX_REDIRECTS: Final = 10

REAP_TIMEOUT: Final = 5.0
"""Seconds that a killed command may take to end; one that the kernel holds longer is let be."""
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CHUNK_BYTES: Final = 64 * 1024


class RealHTTP:
    """Makes each request on a connection of its own, as checks must."""

    async def request(self, request: HTTPRequest) -> HTTPResponse:
        """See :class:`~.http.HTTPProber`."""
        verb = request.method[:1].upper() + request.method[1:].lower()
        asked = f'{verb} "{request.url}"'
        if not _METHOD.fullmatch(request.method):
            raise ProbeFailed(f'net/http: invalid method "{request.method}"')
        _refuse_bad_url(request.url, asked)
        try:
            return await self._request(request)
        except TimeoutError:
            raise ProbeFailed(
                f"{asked}: context deadline exceeded "
                "(Client.Timeout exceeded while awaiting headers)"
            ) from None
        except aiohttp.TooManyRedirects as error:
            place = error.history[-1].headers.get("Location", "") if error.history else ""
            raise ProbeFailed(f'{verb} "{place}": stopped after 10 redirects') from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise ProbeFailed(f"{asked}: {_not_trusted(error)}") from error
        except aiohttp.ClientConnectorError as error:
            raise ProbeFailed(f"{asked}: {_not_connected(error)}") from error
        except aiohttp.ServerDisconnectedError as error:
            raise ProbeFailed(f"{asked}: EOF") from error
        except aiohttp.ClientResponseError as error:
            raise ProbeFailed(
                f"{asked}: net/http: HTTP/1.x transport connection broken: malformed HTTP response"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProbeFailed(f"{asked}: {error}") from error

    async def _request(self, request: HTTPRequest) -> HTTPResponse:
        connector = aiohttp.TCPConnector(force_close=True, ssl=_tls(request))
        timeout = aiohttp.ClientTimeout(total=request.timeout)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(
                request.method,
                request.url,
                headers=[*request.headers, ("Connection", "close")],
                data=request.body or None,
                allow_redirects=request.redirects,
                max_redirects=MAX_REDIRECTS,
                server_hostname=request.server_name or None,
                skip_auto_headers=("Content-Type",),
            ) as response,
        ):
            tail = Tail(request.keep)
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                tail.add(chunk)
            return HTTPResponse(
                status=response.status, reason=response.reason or "", body=tail.kept
            )


def _tls(request: HTTPRequest) -> ssl.SSLContext | bool:
    if request.skip_verify and request.url.startswith("https:"):
        return client_context(skip_verify=True)
    return True


def _refuse_bad_url(url: str, asked: str) -> None:
    """Refuse what is no URL in Go's words.

    Raises:
        ProbeFailed: it is not one, or not of a scheme that is spoken here.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or not scheme:
        raise ProbeFailed(f'{asked}: unsupported protocol scheme ""')
    if not (scheme[0].isalpha() and scheme.replace("+", "").replace(".", "").isalnum()):
        raise ProbeFailed(f'parse "{url}": first path segment in URL cannot contain colon')
    host = url.partition("://")[2].split("/", 1)[0]
    if " " in host:
        raise ProbeFailed(f'parse "{url}": invalid character " " in host name')
    if scheme.lower() not in {"http", "https"}:
        raise ProbeFailed(f'{asked}: unsupported protocol scheme "{scheme}"')


def _not_connected(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(cause, ssl.SSLError):
        return tls_failed(cause)
    return dial_failed(error.host, error.port or 0, cause)


def _not_trusted(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    return tls_failed(cause) if isinstance(cause, ssl.SSLError) else f"x509: {cause}"


class _Command(asyncio.SubprocessProtocol):
    """One command that runs: its output, and its end."""

    def __init__(self, keep: int) -> None:
        self.tail = Tail(keep)
        self.ended = asyncio.Event()
        """Set when the command has ended and nobody holds its output any more."""
        self.exited = asyncio.Event()
        """Set when the command itself has ended, and is reaped."""
        self._open = 2

    @override
    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.tail.add(data)

    @override
    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._one_less()

    @override
    def process_exited(self) -> None:
        self.exited.set()
        self._one_less()

    def _one_less(self) -> None:
        self._open -= 1
        if not self._open:
            self.ended.set()


class RealScripts:
    """Runs commands in a process group of their own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def run(self, command: tuple[str, ...], *, timeout: float, keep: int) -> Ran:
        """See :class:`~.script.ScriptProber`."""
        try:
            transport, running = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Command(keep),
                *command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ProbeFailed(_not_started(command[0], error)) from error
        try:
            in_time = await self._clock.wait(running.ended, until=self._clock.now() + timeout)
        finally:
            if not running.ended.is_set():  # or its group's number may be another's by now
                _kill_group(transport.get_pid())
            transport.close()
            # also when the check itself is cancelled: leave no zombie
            await self._clock.wait(running.exited, until=self._clock.now() + REAP_TIMEOUT)
        code = transport.get_returncode() if in_time else None
        return Ran(exit_code=code, output=running.tail.kept, total=running.tail.total)


def _kill_group(pid: int) -> None:
    """Kill the command and what it started; fine when nothing is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _not_started(program: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError) and "/" not in program:
        return f'exec: "{program}": executable file not found in $PATH'
    if isinstance(error, OSError) and error.errno is not None:
        return f"fork/exec {program}: {os.strerror(error.errno).lower()}"
    return f"fork/exec {program}: {error}"
