"""Network coordinates: round trip times between members that never met, estimated.

Source: Vivaldi (Dabek, Cox, Kaashoek, Morris 2004), section 4 and 5.4 (heights); Ledlie, Gardner,
Seltzer 2007 for the latency filter and gravity. The numbers are Serf's.
"""

from __future__ import annotations

from collections import deque
from math import isfinite, sqrt
from random import Random
from typing import Final

import msgspec

DIMENSIONS: Final = 8
ERROR_MAX: Final = 1.5
ERROR_GAIN: Final = 0.25
FORCE_GAIN: Final = 0.25
ADJUSTMENT_WINDOW: Final = 20
HEIGHT_MIN: Final = 10.0e-6
FILTER_SIZE: Final = 3
GRAVITY_RHO: Final = 150.0
ZERO: Final = 1.0e-6
RTT_MAX: Final = 10.0
"""Seconds; a longer round trip says nothing about the network."""


class Coordinate(msgspec.Struct, frozen=True, rename="pascal"):
    """A place in the network; distances are seconds."""

    vec: tuple[float, ...] = (0.0,) * DIMENSIONS
    error: float = ERROR_MAX
    """How little it can be trusted; without unit."""

    adjustment: float = 0.0
    height: float = HEIGHT_MIN
    """The access link, which every path has to take."""

    def is_valid(self) -> bool:
        """Whether it has our dimensions and finite numbers."""
        numbers = (*self.vec, self.error, self.adjustment, self.height)
        return len(self.vec) == DIMENSIONS and all(map(isfinite, numbers))

    def raw_distance(self, other: Coordinate) -> float:
        """Seconds, without adjustments."""
        squares = [(a - b) * (a - b) for a, b in zip(self.vec, other.vec, strict=True)]
        return sqrt(sum(squares)) + self.height + other.height

    def distance(self, other: Coordinate) -> float:
        """The round trip time in seconds, as far as can be told."""
        raw = self.raw_distance(other)
        adjusted = raw + self.adjustment + other.adjustment
        return adjusted if adjusted > 0 else raw


class CoordinateClient:
    """Our own coordinate, moved by each measurement."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.coordinate = Coordinate()
        self.resets = 0
        """How often it had become useless and we began again."""
        self._adjustments: deque[float] = deque(maxlen=ADJUSTMENT_WINDOW)
        self._latencies: dict[str, deque[float]] = {}

    def update(self, name: str, other: Coordinate, rtt: float) -> bool:
        """Move, since ``name`` at ``other`` answered after ``rtt`` seconds; whether it was used."""
        if not other.is_valid() or not 0 <= rtt <= RTT_MAX:
            return False
        rtt = self._filtered(name, rtt)
        self._move(other, max(rtt, ZERO))
        self._adjust(other, rtt)
        self._pull_to_origin()
        if not self.coordinate.is_valid():
            self.resets += 1
            self.coordinate = Coordinate()
            self._adjustments.clear()
        return True

    def forget(self, name: str) -> None:
        """``name`` is gone."""
        self._latencies.pop(name, None)

    def _filtered(self, name: str, rtt: float) -> float:
        """The median of the last few measurements."""
        samples = self._latencies.setdefault(name, deque(maxlen=FILTER_SIZE))
        samples.append(rtt)
        return sorted(samples)[len(samples) // 2]

    def _move(self, other: Coordinate, rtt: float) -> None:
        own = self.coordinate
        distance = own.distance(other)
        wrongness = abs(distance - rtt) / rtt
        weight = own.error / max(own.error + other.error, ZERO)
        gain = ERROR_GAIN * weight
        error = min(gain * wrongness + own.error * (1.0 - gain), ERROR_MAX)
        force = FORCE_GAIN * weight * (rtt - distance)
        self.coordinate = msgspec.structs.replace(self._pushed(force, other), error=error)

    def _adjust(self, other: Coordinate, rtt: float) -> None:
        self._adjustments.append(rtt - self.coordinate.raw_distance(other))
        adjustment = sum(self._adjustments) / (2.0 * ADJUSTMENT_WINDOW)
        self.coordinate = msgspec.structs.replace(self.coordinate, adjustment=adjustment)

    def _pull_to_origin(self) -> None:
        """Keep the pool from drifting away as a whole."""
        origin = Coordinate()
        distance = origin.distance(self.coordinate)
        force = -1.0 * (distance / GRAVITY_RHO) ** 2
        self.coordinate = self._pushed(force, origin)

    def _pushed(self, force: float, other: Coordinate) -> Coordinate:
        """Our coordinate, ``force`` seconds further away from ``other``."""
        own = self.coordinate
        difference = [a - b for a, b in zip(own.vec, other.vec, strict=True)]
        length = sqrt(sum(each * each for each in difference))
        height = own.height
        if length > ZERO:
            unit = [each / length for each in difference]
            height = max((own.height + other.height) * force / length + own.height, HEIGHT_MIN)
        else:
            unit = self._random_direction()
        vec = tuple([a + each * force for a, each in zip(own.vec, unit, strict=True)])
        return msgspec.structs.replace(own, vec=vec, height=height)

    def _random_direction(self) -> list[float]:
        direction = [self._rng.random() - 0.5 for _ in range(DIMENSIONS)]
        length = sqrt(sum(each * each for each in direction))
        if length <= ZERO:
            return [1.0] + [0.0] * (DIMENSIONS - 1)
        return [each / length for each in direction]
