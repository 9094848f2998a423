"""What can go wrong in the registry, and who can mend it."""

from __future__ import annotations


class RegistryError(Exception):
    """Any error of this room. Its text is fit to be shown to whoever asked."""


class InvalidConfig(RegistryError):
    """The operator's configuration cannot be used; the text is Consul's."""
