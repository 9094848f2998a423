"""Five hundred agents in virtual time: how fast are failures seen everywhere, and are any invented?

``PYTHONPATH=tests python -m bench.gossip --out DIR`` writes ``gossip.json`` and, where matplotlib
is installed, ``gossip.png``. An hour of 500 agents takes about ten minutes of one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec

from lictor.registry.membership import suspicion
from lictor.registry.membership.events import MemberChange, MemberEvent

sys.path.insert(0, str(Path(__file__).parent.parent / "registry" / "membership"))
from pools import SimulatedPool

PROBE_CYCLES = 10.0
"""Seconds until, with N - 1 others probing at random, nobody has overlooked a dead member."""


class Outcome(msgspec.Struct):
    """What one run has shown. Durations are in seconds of virtual time."""

    members: int
    loss: float
    simulated: float
    failures: int
    false_deaths: int
    first_seen: list[float]
    """For each failure, until the first member declared it."""

    seen_everywhere: list[float]
    detections: list[float]
    """For each failure and each living member, until it knew."""

    packets: int
    cpu: float
    bound: float


def simulate(members: int, failures: int, loss: float, duration: float, seed: int) -> Outcome:
    """Let ``failures`` of ``members`` fail at one time, then watch for the rest of ``duration``."""
    began = time.process_time()
    pool = SimulatedPool(members, seed=seed, loss=loss)
    start = pool.now
    pool.run(10)
    killed = set(pool.rng.sample(sorted(pool.nodes), failures))
    for name in killed:
        pool.kill(name)
    killed_at = pool.now
    pool.run(duration - 10)
    known: dict[str, list[float]] = {name: [] for name in killed}
    false_deaths = 0
    living = [node for node in pool.nodes.values() if node.alive]
    for node in living:
        for at, event in node.events:
            if isinstance(event, MemberEvent) and event.change is MemberChange.FAILED:
                if event.member.name in killed:
                    known[event.member.name].append(at - killed_at)
                else:
                    false_deaths += 1
    missed = {name for name, times in known.items() if len(times) < len(living)}
    if missed:
        raise SystemExit(f"not seen by everybody: {sorted(missed)}")
    config = pool.config
    least = suspicion.shortest(config.suspicion_mult, members, config.probe_interval)
    return Outcome(
        members=members,
        loss=loss,
        simulated=pool.now - start,
        failures=failures,
        false_deaths=false_deaths,
        first_seen=sorted(min(times) for times in known.values()),
        seen_everywhere=sorted(max(times) for times in known.values()),
        detections=sorted(each for times in known.values() for each in times),
        packets=pool.packets,
        cpu=time.process_time() - began,
        bound=PROBE_CYCLES + least * config.suspicion_max_timeout_mult,
    )


def plot(outcome: Outcome, path: Path) -> bool:
    """Draw how knowledge of the failures spread; whether there is anything to draw with."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5))
    for label, times in (
        ("declared by the first member", outcome.first_seen),
        ("known to a member (all pairs)", outcome.detections),
        ("known to every member", outcome.seen_everywhere),
    ):
        share = [(number + 1) / len(times) for number in range(len(times))]
        axes.step(times, share, where="post", label=label)
    axes.set_xlabel("seconds since the failure")
    axes.set_ylabel("share of failures")
    axes.set_title(
        f"{outcome.failures} of {outcome.members} agents fail, {outcome.loss:.0%} loss: "
        f"{outcome.false_deaths} false deaths in {outcome.simulated:.0f} s"
    )
    axes.set_xlim(left=0)
    axes.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    return True


def main() -> None:
    """Run, write, and fail if a death was invented or one was seen too late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=500)
    parser.add_argument("--failures", type=int, default=20)
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--duration", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(".bench"))
    given = parser.parse_args()
    outcome = simulate(given.members, given.failures, given.loss, given.duration, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "gossip.json").write_bytes(msgspec.json.encode(outcome))
    drawn = plot(outcome, given.out / "gossip.png")
    print(
        f"{outcome.members} members, {outcome.simulated:.0f} s: {outcome.failures} failures seen "
        f"everywhere after {outcome.seen_everywhere[0]:.1f} to {outcome.seen_everywhere[-1]:.1f} s "
        f"(bound {outcome.bound:.1f} s), {outcome.false_deaths} false deaths, "
        f"{outcome.packets} packets, {outcome.cpu:.0f} s CPU"
        + ("" if drawn else "; matplotlib is not installed: no picture")
    )
    if outcome.false_deaths or outcome.seen_everywhere[-1] > outcome.bound:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
