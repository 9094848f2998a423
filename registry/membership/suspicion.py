"""How long to suspect before declaring dead: shorter the more others suspect, too.

Source: Lifeguard (Dadgar, Phillips, Currey 2018), "LHA-Suspicion"; SWIM, section 4.2.
"""

from __future__ import annotations

from math import floor, log, log10
from typing import Final

TICKS: Final = 1000
"""Timeouts are whole milliseconds, as the other implementations have them."""


def shortest(mult: int, members: int, interval: float) -> float:
    """Seconds a suspicion lasts at least, in a pool of ``members``."""
    return mult * floor(TICKS * max(1.0, log10(max(1, members))) * interval) / TICKS


def awaited_confirmations(mult: int, members: int) -> int:
    """How many others have to suspect the same until the shortest timeout holds.

    None in a pool where there are not so many beside us and the suspect.
    """
    wanted = mult - 2
    return wanted if members - 2 >= wanted else 0


class Suspicion:
    """One suspicion of one incarnation of a member."""

    def __init__(
        self, accuser: str, *, awaited: int, least: float, most: float, now: float
    ) -> None:
        self._accusers = {accuser}
        self._awaited = max(0, awaited)
        self._least = least
        self._most = most
        self._since = now

    @property
    def confirmations(self) -> int:
        """Others who suspect the same, beside the first."""
        return len(self._accusers) - 1

    def confirm(self, accuser: str) -> bool:
        """Whether ``accuser`` is one more who counts."""
        if self.confirmations >= self._awaited or accuser in self._accusers:
            return False
        self._accusers.add(accuser)
        return True

    def deadline(self) -> float:
        """When the member is dead unless it refutes before."""
        if not self._awaited:
            return self._since + self._least
        share = log(self.confirmations + 1) / log(self._awaited + 1)
        timeout = floor(TICKS * (self._most - share * (self._most - self._least))) / TICKS
        return self._since + max(self._least, timeout)
