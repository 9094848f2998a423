"""``-format``, JSON as Go writes it, and data from an argument, a file or stdin."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from .errors import Failure, open_error
from .flags import TEXT, flag

F = TypeVar("F", bound=Callable[..., Any])

PRETTY: Final = "pretty"
JSON: Final = "json"

_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def format_flag(function: F) -> F:
    """Give a command ``-format``; it reads the value with :func:`wants_json`."""
    return flag("-format", TEXT, "How to print: pretty or json.", default=PRETTY)(function)


def wants_json(chosen: str) -> bool:
    """Whether ``chosen`` asks for JSON.

    Raises:
        Failure: it is no format we know.
    """
    if chosen not in {PRETTY, JSON}:
        raise Failure(f"Invalid format, valid formats are {{{PRETTY}|{JSON}}}")
    return chosen == JSON


def to_json(value: object, *, indent: int | str | None = 4) -> str:
    """``value`` as Go's encoder writes it: ``<``, ``>`` and ``&`` escaped, other text as it is."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, ensure_ascii=False, separators=separators)
    return text.translate(_ESCAPES)


def read_data(argument: str, *, failing: str = "Error! Failed to read file") -> bytes:
    """The bytes an argument stands for: ``@path`` a file, ``-`` stdin, else its own text.

    Raises:
        Failure: the file cannot be read; ``failing`` opens the sentence.
    """
    if argument == "-":
        return sys.stdin.buffer.read()
    if argument.startswith("@"):
        return read_file(argument[1:], failing=failing)
    return argument.encode(errors="surrogateescape")


def read_file(path: str, *, failing: str) -> bytes:
    """The content of ``path``.

    Raises:
        Failure: it cannot be read.
    """
    try:
        # Go opens "" and fails; Path("") would be the current directory
        return Path(path or "/nonexistent/").read_bytes()
    except OSError as error:
        raise Failure(f"{failing}: {open_error(error, path)}") from error
