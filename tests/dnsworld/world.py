"""A responder over fixture F, asked in bytes and read by dnslib."""

import functools

from dnslib import QTYPE, DNSRecord
from prometheus_client import CollectorRegistry

from lictor.dns.metrics import DNSMetrics
from lictor.dns.options import DNSOptions
from lictor.dns.recursors import Recursors
from lictor.dns.responder import Responder
from lictor.dns.zone import Zone
from lictor.registry.answers import Answers

from .fixture import deregister, loaded_state, register
from .loopback import loopback_runtime


class FixtureRegistry:
    """The registry, as one process has it."""

    def __init__(self, state=None):
        self.state = state or loaded_state()
        self.answers = Answers(self.state)
        self.may = True
        self.error = None
        self.stale_error = None
        self.last_contact = 0.0
        self.reads = []

    def ask(self, question):
        if self.error:
            raise self.error
        return self.answers.get(question)

    async def read(self, question, *, mode="default"):
        self.reads.append(mode)
        error = self.stale_error if mode == "stale" else self.error
        if error:
            raise error
        return self.answers.get(question)

    def may_answer(self):
        return self.may

    def register(self, body):
        self.answers.touch(register(self.state, body))

    def deregister(self, node, service_id=""):
        self.answers.touch(deregister(self.state, node, service_id))


@functools.cache
def shared_registry():
    """One for tests that only read."""
    return FixtureRegistry()


class World:
    def __init__(
        self, *, registry=None, options=None, domain="consul", alt_domain="", recursors=(), seed=7
    ):
        self.runtime = loopback_runtime(seed=seed)
        self.registry = registry or shared_registry()
        options = options or DNSOptions()
        zone = Zone(
            tuple(domain.split(".")),
            tuple(alt_domain.split(".")) if alt_domain else (),
            "dc1",
        )
        self.metrics = DNSMetrics(CollectorRegistry())
        self.responder = Responder(
            zone,
            options,
            Recursors(recursors, self.runtime, timeout=2.0),
            runtime=self.runtime,
            registry=self.registry,
            metrics=self.metrics,
        )

    def send(self, packet, *, tcp=False):
        return self.responder.respond(packet, tcp=tcp)

    def ask(self, name, qtype="A", *, tcp=False, edns=None, rd=True):
        """The reply to one question, parsed by dnslib."""
        return DNSRecord.parse(self.send(question(name, qtype, edns=edns, rd=rd), tcp=tcp))


TYPES = {"HTTPS": 65, "IXFR": 251, "AXFR": 252, "ANY": 255}


def number(qtype):
    return TYPES[qtype] if qtype in TYPES else getattr(QTYPE, qtype)


def question(name, qtype="A", *, ident=0x1234, edns=None, rd=True, options=b""):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    head = ident.to_bytes(2) + (b"\1\0" if rd else b"\0\0") + b"\0\1\0\0\0\0"
    head += b"\0\0" if edns is None else b"\0\1"
    packet = head + wire + number(qtype).to_bytes(2) + b"\0\1"
    if edns is not None:
        packet += b"\0\0\x29" + edns.to_bytes(2) + bytes(4) + len(options).to_bytes(2) + options
    return packet


def flags(reply):
    """The header's flags in dig's words."""
    header = reply.header
    names = ("qr", "aa", "tc", "rd", "ra", "ad", "cd")
    return " ".join(name for name in names if getattr(header, name))


def short(records):
    """Records as sorted text, without owner and TTL, and OPT left out."""
    return sorted(
        f"{QTYPE[record.rtype]} {record.rdata}" for record in records if record.rtype != QTYPE.OPT
    )
