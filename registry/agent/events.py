"""What can happen to an agent's services and checks. ``local.py`` tells, ``effects.py`` acts."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Something that happened here."""


class ServiceRegistered(Event, frozen=True):
    """A service is new or was replaced."""

    service_id: str


class ServiceDeregistered(Event, frozen=True):
    """A service is gone; its checks' own events came before."""

    service_id: str


class CheckRegistered(Event, frozen=True):
    """A check is new or was replaced."""

    check_id: str


class CheckDeregistered(Event, frozen=True):
    """A check is gone."""

    check_id: str


class CheckUpdated(Event, frozen=True):
    """A check's status or output changed, or output held back is now to be published."""

    check_id: str
    published: bool
    """Whether the catalogue should hear of it now."""


class ServiceGivenUp(Event, frozen=True):
    """A service's check was critical for as long as its owner allows; it should go."""

    service_id: str
    check_id: str
