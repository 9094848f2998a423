"""JSON, with errors in the words of Go's ``encoding/json``."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from lictor.registry.errors import RegistryError


class MalformedJSON(RegistryError):
    """The text is not a JSON object; the words are Go's."""


_EXPECTED: Final = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": (
        "looking for beginning of object key string"
    ),
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
}


def parse_json(text: str) -> dict[str, Any]:
    """The object in ``text``; an empty one for an empty text, which Consul takes for HCL.

    Raises:
        MalformedJSON: it is not JSON, or not an object.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise MalformedJSON(_go_json_error(text, error)) from error
    except (RecursionError, ValueError) as error:
        raise MalformedJSON("exceeded what can be read: too deep, or a number too long") from error
    if not isinstance(value, dict):
        name = {list: "array", str: "string", bool: "bool", type(None): ""}.get(
            type(value), "number"
        )
        if not name:
            return {}
        raise MalformedJSON(
            f"json: cannot unmarshal {name} into Go value of type map[string]interface {{}}"
        )
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _go_json_error(text: str, error: json.JSONDecodeError) -> str:
    at = error.pos
    if error.msg == "Unterminated string starting at" or at >= len(text.rstrip()):
        return "unexpected end of JSON input"
    if error.msg == "Expecting value" and (wrong := _literal_error(text, at)):
        return wrong
    if error.msg.startswith("Expecting ',' delimiter"):
        where = "after array element" if _in_array(text[:at]) else "after object key:value pair"
    else:
        where = _EXPECTED.get(error.msg, "looking for beginning of value")
    # Python names the comma, Go the character that should not follow it.
    if text[at] == "," and where.startswith("looking"):
        at += 1 + len(text[at + 1 :]) - len(text[at + 1 :].lstrip())
    return f"invalid character {_go_char(text[at : at + 1])} {where}"


def _go_char(char: str) -> str:
    return {"'": "'\\''", '"': "'\"'", "\n": "'\\n'", "\t": "'\\t'", "\r": "'\\r'"}.get(
        char, f"'{char}'"
    )


def _in_array(before: str) -> bool:
    """Whether the innermost bracket open at the end of ``before`` is ``[``."""
    stack: list[str] = []
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', before):
        if token[0] in "[{":
            stack.append(token[0])
        elif token[0] in "]}":
            stack.pop()
    return bool(stack) and stack[-1] == "["


def _literal_error(text: str, at: int) -> str | None:
    """What is wrong with a word that begins like ``true``, ``false`` or ``null``."""
    for whole in ("true", "false", "null"):
        shared = next(n for n in range(len(whole), -1, -1) if text.startswith(whole[:n], at))
        if 0 < shared < len(whole):
            found = _go_char(text[at + shared : at + shared + 1])
            return f"invalid character {found} in literal {whole} (expecting '{whole[shared]}')"
    return None
