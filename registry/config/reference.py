"""The reference page of the configuration, written from the declarations.

``python -m lictor.registry.config.reference > docs/configuration.md`` renews it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from lictor.registry import durations

from .agent import AgentConfig
from .keys import Setting, table
from .legacy import LEGACY

_HEAD = """\
# Configuration

An agent is configured by files in HCL or JSON (`-config-file`, `-config-dir`), by fragments
(`-hcl`) and by flags. A scalar is taken from the last source that sets it, lists are joined, maps
are merged by key. An unknown key is an error.

The names are Consul's. *Reload* means that `lictor reload`, or SIGHUP, applies a change; everything
else takes a restart. What is marked *accepted* is known and checked, and has no effect yet: setting
it is answered with a warning.

Durations are text such as `300ms`, `1h30m` or `1.5h`. Addresses may be templates:
`{{ GetPrivateIP }}`, `{{ GetPrivateIPs }}`, `{{ GetPublicIP }}`, `{{ GetPublicIPs }}`,
`{{ GetInterfaceIP "eth0" }}`, `{{ GetInterfaceIPs "eth0" }}`.

Services and checks are defined by `service { ... }` or a list `services`, and `check { ... }` or a
list `checks`, with the fields of the HTTP API in either spelling (`enable_tag_override`,
`EnableTagOverride`).
"""

_KINDS = {
    "strings": "list of strings",
    "map": "map to strings",
    "durations": "map to durations",
    "any": "object",
    "objects": "list of objects",
    "unsigned": "int",
}


def reference() -> str:
    """The whole page, in Markdown."""
    lines = [_HEAD]
    group: str | None = None
    for setting in sorted(table(AgentConfig), key=lambda row: row.path.rpartition(".")[0]):
        head, _, name = setting.path.rpartition(".")
        if head != group:
            group = head
            lines += ["", f"## {head or 'Top level'}", ""]
            lines += ["| key | type | default | reload | meaning |", "|---|---|---|---|---|"]
        lines.append(_row(name, setting))
    return "\n".join([*lines, *_moved()]) + "\n"


def _row(name: str, setting: Setting) -> str:
    meaning = setting.key.help if setting.key.acts else f"{setting.key.help} *Accepted.*"
    kind = _KINDS.get(setting.kind, setting.kind)
    reload = "yes" if setting.key.reload else ""
    return f"| `{name}` | {kind} | {_default(setting)} | {reload} | {meaning} |"


def _default(setting: Setting) -> str:
    if setting.key.default:
        return setting.key.default
    match setting.default:
        case bool(value):
            return str(value).lower()
        case float(value) if setting.kind == "duration":
            return durations.format(value)
        case float(value):
            return f"{value:g}"
        case int(value):
            return str(value)
        case str(value) if value:
            return f"`{value}`"
        case _:
            return ""


def _moved() -> Iterator[str]:
    yield from ("", "## Settings that moved", "")
    yield "These are still read, with a warning; the new name wins."
    yield from ("", "| was | is |", "|---|---|")
    yield from (f"| `{old}` | `{new}` |" for old, new, _ in LEGACY)


if __name__ == "__main__":
    sys.stdout.write(reference())
