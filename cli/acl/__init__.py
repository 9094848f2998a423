"""``lictor acl``: one module for each kind of thing.

What the API answers is kept as the plain objects it is: an update sends back what it read, fields
that this version does not know included.
"""

from __future__ import annotations

from . import binding_rules, methods, policies, roles, setup, tokens
from .group import acl

__all__ = ["acl", "binding_rules", "methods", "policies", "roles", "setup", "tokens"]
