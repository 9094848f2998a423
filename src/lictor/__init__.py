"""Lictor: a Consul-compatible service registry, configuration cluster and service mesh."""

from typing import Final

__version__: Final = "0.1.0"
"""Lictor's own version; what Consul clients are told is in ``registry/config.py``."""
