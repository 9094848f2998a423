"""Plain tables, laid out as Consul lays them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows as lines. Every column is as wide as its widest cell, and two spaces apart.

    The last cell of a row is not padded.
    """
    table = [[cell.strip() for cell in row] for row in rows]
    widths = [0] * max((len(row) for row in table), default=0)
    for row in table:
        for place, cell in enumerate(row):
            widths[place] = max(widths[place], len(cell))
    return "\n".join(_line(row, widths) for row in table)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
    return "  ".join([*padded, *row[-1:]])
