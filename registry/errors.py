"""What can go wrong in the registry, by who can mend it.

Which HTTP status each has is known to ``http/errors.py`` alone.
"""


class RegistryError(Exception):
    """The base of every error that a caller of the registry is meant to see, in its own words."""


class InvalidRequest(RegistryError):
    """The caller sent something malformed; it must be changed before it is sent again."""


class Refused(RegistryError):
    """The request was understood and the state forbids it; nothing was changed."""


class NotFound(RegistryError):
    """What the request names is not there."""


class PermissionDenied(RegistryError):
    """The token does not allow it."""


class NoLeader(RegistryError):
    """No server can take writes or promise fresh reads now; the caller may retry."""


class Overloaded(RegistryError):
    """The cluster takes no more for the moment; the caller should slow down and retry."""


class Unavailable(RegistryError):
    """The outcome is unknown: the write may or may not have been applied."""


class TooLarge(RegistryError):
    """The body or a value exceeds its limit."""


class InvalidConfig(RegistryError):
    """The agent's configuration cannot be used; whoever wrote it must change it."""
