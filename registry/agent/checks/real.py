"""Probers that act in the real world: HTTP with aiohttp, commands as child processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
from contextlib import suppress
from typing import Final

import aiohttp

from lictor.raft.runtime import Clock
from lictor.registry.agent.verdict import ProbeFailed, Tail

from .dial import client_context, tls_failed
from .gonet import dial_failed
from .http import HTTPRequest, HTTPResponse
from .script import Ran

MAX_REDIRECTS: Final = 10
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


class RealScripts:
    """Runs commands in a process group of their own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def run(self, command: tuple[str, ...], *, timeout: float, keep: int) -> Ran:
        """See :class:`~.script.ScriptProber`."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ProbeFailed(_not_started(command[0], error)) from error
        tail = Tail(keep)
        ended = asyncio.Event()
        drained = asyncio.get_running_loop().create_task(_drain(process, tail, ended))
        try:
            in_time = await self._clock.wait(ended, until=self._clock.now() + timeout)
        finally:
            _kill_group(process)
            drained.cancel()
            with suppress(asyncio.CancelledError):
                await drained
            await process.wait()  # also when the check itself is cancelled: leave no zombie
        code = process.returncode if in_time else None
        return Ran(exit_code=code, output=tail.kept, total=tail.total)


async def _drain(process: asyncio.subprocess.Process, tail: Tail, ended: asyncio.Event) -> None:
    """Read all that the command writes, and wait for its end."""
    assert process.stdout is not None
    while chunk := await process.stdout.read(CHUNK_BYTES):
        tail.add(chunk)
    await process.wait()
    ended.set()


def _kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill the command and what it started; fine when nothing is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _not_started(program: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError) and "/" not in program:
        return f'exec: "{program}": executable file not found in $PATH'
    if isinstance(error, OSError) and error.errno is not None:
        return f"fork/exec {program}: {os.strerror(error.errno).lower()}"
    return f"fork/exec {program}: {error}"
