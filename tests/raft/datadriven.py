"""Reads etcd's data-driven test files: directive, input, ``----``, expected output."""

import re
from dataclasses import dataclass, field
from pathlib import Path

TESTDATA = Path(__file__).parent / "testdata"


@dataclass(frozen=True)
class Case:
    line: int
    command: str
    positional: list[str]
    options: dict[str, list[str]]
    input: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def option(self, name, default=None):
        values = self.options.get(name)
        return values[0] if values else default

    def flag(self, name):
        return self.option(name, "false") == "true"

    def ids(self, name):
        return tuple(int(value) for value in self.options.get(name, []))


def read_cases(path):
    lines = path.read_text().splitlines()
    at = 0
    while at < len(lines):
        if not lines[at].strip() or lines[at].startswith("#"):
            at += 1
            continue
        start = at
        directive = lines[at]
        while directive.endswith("\\"):
            at += 1
            directive = directive[:-1] + lines[at]
        at += 1
        given = []
        while lines[at] != "----":
            given.append(lines[at])
            at += 1
        at += 1
        expected = []
        if at < len(lines) and lines[at] == "----":
            at += 1
            while lines[at : at + 2] != ["----", "----"]:
                expected.append(lines[at])
                at += 1
            at += 2
        else:
            while at < len(lines) and lines[at].strip():
                expected.append(lines[at])
                at += 1
        command, positional, options = _split(directive)
        yield Case(start + 1, command, positional, options, given, expected)


def _split(directive):
    command, *words = re.findall(r"[^\s=]+=\([^)]*\)|\S+", directive)
    positional, options = [], {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            positional.append(word)
        elif value.startswith("("):
            options[name] = re.findall(r"[^\s,]+", value[1:-1])
        else:
            options[name] = [value]
    return command, positional, options
