"""Regular expressions in time linear in the text, with Go's error sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import re2

_SENTENCES: Final = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid named capture group": "invalid named capture",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid repetition size": "invalid repeat count",
}
"""RE2's words and Go's, where they differ."""

_SINGLE_BYTE: Final = re.compile(rb"\\Q.*?(?:\\E|\Z)|\\(.)", re.DOTALL)


def matcher(pattern: str, *, size_bytes: int) -> Callable[[str], bool]:
    r"""Whether ``pattern`` is found anywhere in a text.

    ``size_bytes`` bounds what the compiled form may ever hold. ``(?<name>x)`` is taken, as by later
    versions of Go.

    Raises:
        ValueError: in Go's words.
    """
    raw = pattern.encode(errors="surrogateescape")
    _refuse_single_bytes(raw)
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = size_bytes
    try:
        search = re2.compile(raw, options).search
    except re2.error as error:
        raise ValueError(_in_go(error.args[0], raw)) from None
    # a record may hold half a surrogate pair; RE2 takes its bytes for no character
    return lambda text: search(text.encode(errors="surrogatepass")) is not None


def _refuse_single_bytes(pattern: bytes) -> None:
    r"""Refuse ``\C``: RE2 has it, Go does not."""
    for escape in _SINGLE_BYTE.finditer(pattern):
        if escape[1] == b"C":
            raise ValueError(r"error parsing regexp: invalid escape sequence: `\C`")


def _in_go(error: bytes, pattern: bytes) -> str:
    shown = error.decode(errors="backslashreplace")
    if shown == "trailing \\":
        return "error parsing regexp: trailing backslash at end of expression: ``"
    if shown.startswith("invalid UTF-8"):
        try:
            pattern.decode()
        except UnicodeDecodeError as wrong:
            rest = pattern[wrong.start :].decode(errors="backslashreplace")
            return f"error parsing regexp: invalid UTF-8: `{rest}`"
    if shown.startswith("pattern too large"):
        return "error parsing regexp: expression too large"
    sentence, _, part = shown.partition(": ")
    return f"error parsing regexp: {_SENTENCES.get(sentence, sentence)}: `{part}`"
