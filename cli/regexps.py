"""Regular expressions that a user types, refused in the words of Go's package."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = {
    "unterminated character set": "missing closing ]: `{0}`",
    "missing ), unterminated subpattern": "missing closing ): `{0}`",
    "unbalanced parenthesis": "unexpected ): `{0}`",
    "nothing to repeat": "missing argument to repetition operator: `{1}`",
    "bad escape (end of pattern)": "trailing backslash at end of expression: ``",
}
"""Python's complaint -> Go's; {0} is the expression, {1} what stands at the place of the fault."""


def compile_pattern(text: str) -> re.Pattern[str]:
    """The expression in ``text``.

    Raises:
        ValueError: it is none.
    """
    try:
        return re.compile(text)
    except re.error as error:
        place = text[error.pos or 0 :][:1]
        said = _WORDS.get(error.msg, f"{error.msg}: `{{0}}`").format(text, place)
        raise ValueError(f"error parsing regexp: {said}") from error
