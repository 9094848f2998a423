"""Files written in HCL or JSON, as plain values. HCL's blocks keep their own type."""

from __future__ import annotations

import json
from typing import Any

from .errors import Failure


def parse_json(text: str) -> Any:
    """The value in a JSON text.

    Raises:
        ValueError: with a reason in the words of Go's decoder, where we know them.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if not text[error.pos :].strip():
            raise ValueError("unexpected end of JSON input") from error
        raise ValueError(f"{error.msg} at {error.lineno}:{error.colno}") from error


def parse_hcl(text: str) -> dict[str, Any]:
    """The items of an HCL text; see :func:`lictor.registry.hcl.parse`.

    Raises:
        ValueError: the text is not HCL; the reason has the line and column.
    """
    from lictor.registry.hcl import MalformedHCL, parse

    try:
        return parse(text)
    except MalformedHCL as error:
        raise ValueError(str(error)) from error


def parse_either(text: str) -> Any:
    """The value in a text that is JSON when it starts with a brace, and HCL otherwise.

    Raises:
        ValueError: it is neither.
    """
    return parse_json(text) if text.lstrip().startswith("{") else parse_hcl(text)


def parse_named(path: str, text: str) -> Any:
    """The value in a file, read by its extension.

    Raises:
        Failure: it cannot be read.
    """
    try:
        return parse_json(text) if path.endswith(".json") else parse_hcl(text)
    except ValueError as error:
        raise Failure(f"Error: failed to parse {path}: {error}") from error
