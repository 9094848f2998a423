"""How much of an answer a reply holds: the rules that shorten service answers. Pure.

Source: the limits and their order as Consul 1.8 was observed to have them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .names import Name
from .options import DNSOptions
from .records import CNAME, SRV, Record
from .reply import Reply
from .wire import HEADER_SIZE, Query, build_reply, uncompressed_size

PLAIN_SIZE: Final = 512
"""Bytes of UDP payload without EDNS. Source: RFC 1035, section 2.3.4."""

MIN_ANSWER: Final = 16
"""Bytes of the shortest answer: an A record whose owner is a pointer."""

MAX_UDP_SIZE: Final = 65467
MAX_TCP_SIZE: Final = 65523
MAX_UDP_ANSWERS: Final = 8
MAX_TCP_ANSWERS: Final = 4096
MAX_TCP_SRV_ANSWERS: Final = 1024


def udp_size(query: Query) -> int:
    """Bytes that a UDP reply to ``query`` may have."""
    advertised = query.edns.size if query.edns else 0
    return min(max(advertised, PLAIN_SIZE), MAX_UDP_SIZE)


def enough(query: Query, options: DNSOptions, *, tcp: bool) -> int:
    """Answers of which at least one is always left out of a reply to ``query``."""
    if tcp:
        return 1 + (MAX_TCP_SRV_ANSWERS if query.qtype == SRV else MAX_TCP_ANSWERS)
    size = udp_size(query)
    if size == PLAIN_SIZE:
        return 1 + max(1, min(options.udp_answer_limit, MAX_UDP_ANSWERS))
    return 1 + size // MIN_ANSWER


def shorten(reply: Reply, query: Query, options: DNSOptions, *, opt: bytes, tcp: bool) -> None:
    """Cut ``reply`` to what the transport takes; one answer always stays."""
    before = len(reply.answers)
    glue = _by_owner(reply.additional)
    compress = not options.disable_compression
    if tcp:
        limit = MAX_TCP_SRV_ANSWERS if query.qtype == SRV else MAX_TCP_ANSWERS
        size = MAX_TCP_SIZE
    else:
        size = udp_size(query)
        limit = min(options.udp_answer_limit, MAX_UDP_ANSWERS) if size == PLAIN_SIZE else before
        compress = compress and size != PLAIN_SIZE
    if limit < before:
        del reply.answers[max(limit, 1) :]
        reply.additional = reachable(reply.answers, glue)

    if len(reply.answers) > 1:
        total = _size(reply, query, opt, compress=compress)
        if total > size:
            reply.authority = []
            _fit(reply, glue, lambda: _size(reply, query, opt, compress=compress), total, size)
    reply.truncated = len(reply.answers) < before


def _fit(
    reply: Reply, glue: dict[Name, Record], measured: Callable[[], int], total: int, size: int
) -> None:
    """Keep the most answers, from the front, with which the reply has at most ``size`` bytes.

    It has ``total`` with all of them. The first guess supposes that all are alike, which they
    nearly are; the next ones are its neighbours; what is left is halved.
    """
    answers = reply.answers
    fits, too_many = 1, len(answers) + 1
    guess = len(answers) * size // total
    tries = 0
    while too_many - fits > 1:
        middle = guess if fits < guess < too_many and tries < 3 else (fits + too_many) // 2
        tries += 1
        reply.answers = answers[:middle]
        reply.additional = reachable(reply.answers, glue)
        if measured() <= size:
            fits = middle
            guess = middle + 1
        else:
            too_many = middle
            guess = middle - 1
    reply.answers = answers[:fits]
    reply.additional = reachable(reply.answers, glue)


def _size(reply: Reply, query: Query, opt: bytes, *, compress: bool) -> int:
    sections = (reply.answers, reply.authority, reply.additional)
    if compress:
        return len(build_reply(query, 0, sections, opt=opt))
    fixed = HEADER_SIZE + len(query.question) + len(opt)
    return fixed + sum(uncompressed_size(record) for section in sections for record in section)


def _by_owner(records: list[Record]) -> dict[Name, Record]:
    found: dict[Name, Record] = {}
    for record in records:
        found.setdefault(record.owner.lower(), record)
    return found


def reachable(answers: list[Record], glue: dict[Name, Record]) -> list[Record]:
    """The records of ``glue`` that the SRV answers lead to: one a name, aliases followed."""
    kept: dict[Name, Record] = {}
    for answer in answers:
        if answer.type != SRV:
            continue
        target = answer.names[0].lower()
        while target not in kept and (record := glue.get(target)) is not None:
            kept[target] = record
            if record.type != CNAME:
                break
            target = record.names[0].lower()
    return list(kept.values())
