"""HCL, version 1: what Consul's configuration and ACL rules are written in.

Not the language Terraform reads today, which python-hcl2 does: here a block may hold
``"key" = value`` and several items on a line, numbers may be octal or hexadecimal, and there are no
expressions. Errors are in the words of Consul's parser, position included.
"""

from .reading import Blocks, parse
from .scanner import MalformedHCL

__all__ = ["Blocks", "MalformedHCL", "parse"]
