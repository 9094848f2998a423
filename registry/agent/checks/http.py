"""HTTP checks: what is asked, and what the answer means. Pure.

Source: headers, statuses and texts that Consul 1.8.7 was observed to send and give.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from lictor.registry.agent.definitions import CheckRules
from lictor.registry.agent.verdict import ProbeFailed, Verdict
from lictor.registry.records import CRITICAL, PASSING, WARNING

from .dial import timeout_of

_DEFAULT_HEADERS: Final = (
    ("User-Agent", "Consul Health Check"),
    ("Accept", "text/plain, text/*, */*"),
    ("Accept-Encoding", "gzip"),
)


class HTTPRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, complete: nothing is to be added but ``Host`` and ``Content-Length``."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout: float
    """Seconds, for everything together."""
    redirects: bool
    skip_verify: bool
    server_name: str
    keep: int
    """How many of the last bytes of the body are wanted."""


class HTTPResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What came back at the end of all redirects."""

    status: int
    reason: str
    body: bytes


class HTTPProber(Protocol):
    """Makes HTTP requests."""

    async def request(self, request: HTTPRequest) -> HTTPResponse:
        """Make ``request``; ends within its timeout.

        Raises:
            ProbeFailed: there was no complete answer.
        """


def request_of(rules: CheckRules, *, keep: int) -> HTTPRequest:
    """The request that ``rules`` ask for."""
    said = [(name, value) for name, values in (rules.header or {}).items() for value in values]
    named = {name.lower() for name, _ in said}
    return HTTPRequest(
        method=rules.method or "GET",
        url=rules.http,
        headers=(*(pair for pair in _DEFAULT_HEADERS if pair[0].lower() not in named), *said),
        body=rules.body.encode(),
        timeout=timeout_of(rules),
        redirects=not rules.disable_redirects,
        skip_verify=rules.tls_skip_verify,
        server_name=rules.tls_server_name,
        keep=keep,
    )


async def probe(prober: HTTPProber, rules: CheckRules, *, keep: int) -> Verdict:
    """Run an HTTP check once."""
    request = request_of(rules, keep=keep)
    try:
        response = await prober.request(request)
    except ProbeFailed as error:
        return Verdict(CRITICAL, str(error))
    return judge(request, response)


def judge(request: HTTPRequest, response: HTTPResponse) -> Verdict:
    """What ``response`` says of the target: 2xx passes, 429 warns, the rest is critical."""
    body = response.body.decode("utf-8", "replace")
    output = (
        f"HTTP {request.method} {request.url}: {response.status} {response.reason} Output: {body}"
    )
    if 200 <= response.status <= 299:
        return Verdict(PASSING, output)
    return Verdict(WARNING if response.status == 429 else CRITICAL, output)
