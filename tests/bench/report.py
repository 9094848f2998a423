"""The table, and the verdicts in it."""

from __future__ import annotations

from statistics import median

import msgspec

from bench.load import Measured
from bench.rows import Row


class Line(msgspec.Struct, frozen=True):
    """One row's medians for both sides, by name; a side that was not measured is missing.

    For ``memory`` the rate is bytes, for ``start`` seconds.
    """

    row: Row
    sides: dict[str, Measured]

    def ratio(self) -> float | None:
        """How many times better ours is; ``None`` without a peer."""
        if "consul" not in self.sides or "lictor" not in self.sides:
            return None
        ours, theirs = self.sides["lictor"].rate, self.sides["consul"].rate
        if not ours or not theirs:
            return None
        return theirs / ours if self.row.kind in {"memory", "start"} else ours / theirs

    def verdict(self) -> str:
        """``ok`` or ``short`` against the target; ``-`` where there is none to hold."""
        if self.row.target is None:
            return "-"
        if self.row.kind == "memory":
            return "ok" if self.sides["lictor"].rate <= self.row.target else "short"
        ratio = self.ratio()
        if ratio is None:
            return "-"
        return "ok" if ratio >= self.row.target else "short"


def middle(runs: list[Measured]) -> Measured:
    """The median of every number over ``runs``; errors are added up."""
    return Measured(
        median(run.rate for run in runs),
        median(run.p50 for run in runs),
        median(run.p99 for run in runs),
        sum(run.errors for run in runs),
    )


def cells(line: Line, side: str) -> list[str]:
    measured = line.sides.get(side)
    if measured is None:
        return ["-", "-", "-"]
    if line.row.kind == "memory":
        return [f"{measured.rate / 1e6:.0f} MB", "", ""]
    if line.row.kind == "start":
        return [f"{measured.rate:.2f} s", "", ""]
    mark = f" ({measured.errors} errors)" if measured.errors else ""
    return [f"{measured.rate:,.0f}/s{mark}", in_ms(measured.p50), in_ms(measured.p99)]


def in_ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def target_of(row: Row) -> str:
    if row.target is None:
        return ""
    return f"<= {row.target / 1e6:.0f} MB" if row.kind == "memory" else f">= {row.target:g}x"


HEAD = ["", "lictor", "p50", "p99", "consul", "p50", "p99", "ratio", "target", "verdict"]


def table(lines: list[Line]) -> list[list[str]]:
    """The cells, head first."""
    rows = [HEAD]
    for line in lines:
        ratio = line.ratio()
        rows.append(
            [
                line.row.name,
                *cells(line, "lictor"),
                *cells(line, "consul"),
                f"{ratio:.2f}x" if ratio is not None else "-",
                target_of(line.row),
                line.verdict(),
            ]
        )
    return rows


def as_text(lines: list[Line]) -> str:
    """For a terminal: columns padded, numbers to the right."""
    rows = table(lines)
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in {0, 8, 9} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def as_markdown(lines: list[Line]) -> str:
    """For docs/bench.md."""
    head, *rest = table(lines)
    rule = ["---" if column in {0, 8, 9} else "---:" for column in range(len(HEAD))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rest])
