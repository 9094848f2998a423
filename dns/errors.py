"""What can go wrong in DNS, by who can mend it."""

from __future__ import annotations

from lictor.registry.queries import Question


class DNSError(Exception):
    """The base of every error of this room."""


class BadName(DNSError):
    """A text cannot be a domain name: a label or the whole is empty or too long."""


class MalformedMessage(DNSError):
    """A packet is not a DNS message that we read; its sender must mend it."""


class Unread(DNSError):
    """A reply needs one answer more, which must be read first. Never leaves the room."""

    def __init__(self, question: Question) -> None:
        super().__init__(f"not read yet: {question}")
        self.question = question
