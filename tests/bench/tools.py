"""wrk and dnsperf, where they are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.load import Measured

PUT_SCRIPT = """
local value = string.rep("v", 64)
local number = 0
request = function()
  number = (number + 1) % 1000
  return wrk.format("PUT", wrk.path .. number, nil, value)
end
"""

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class ToolFailed(Exception):
    """A load generator did not do its work. The message has what it printed."""


def available() -> bool:
    return shutil.which("wrk") is not None and shutil.which("dnsperf") is not None


def run(command: list[str], *, seconds: float) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 30, check=False
    )
    if done.returncode != 0:
        raise ToolFailed(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def wrk(url: str, *, connections: int, seconds: float, put: bool) -> Measured:
    """One wrk run with a single thread. wrk takes whole seconds."""
    duration = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}s", "--latency"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(PUT_SCRIPT)
        script.flush()
        text = run([*command, *(["-s", script.name] if put else []), url], seconds=duration)
    return read_wrk(text)


def read_wrk(text: str) -> Measured:
    """The numbers in what wrk printed."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    shares = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+\w+)$", text, re.MULTILINE))
    if rate is None or len(shares) < 2:
        raise ToolFailed(text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", text)
    errors = int(refused[1]) if refused else 0
    errors += sum(int(number) for number in broken.groups()) if broken else 0
    return Measured(float(rate[1]), to_seconds(shares["50"]), to_seconds(shares["99"]), errors)


def to_seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def dnsperf(port: int, question: str, *, window: int, seconds: float) -> Measured:
    """One quiet run for the rate, then a shorter one that prints each latency."""
    with tempfile.TemporaryDirectory() as directory:
        queries = Path(directory) / "queries"
        queries.write_text(f"{question}\n")
        command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(queries)]
        command += ["-c", "4", "-T", "1", "-q", str(window)]
        quiet = run([*command, "-l", f"{seconds:g}"], seconds=seconds)
        latency = max(0.5, seconds / 3)
        talking = run([*command, "-v", "-l", f"{latency:g}"], seconds=latency)
    return read_dnsperf(quiet, talking)


def read_dnsperf(quiet: str, talking: str) -> Measured:
    """The rate in what the quiet run printed, the latencies in what the other one did."""
    rate = re.search(r"Queries per second:\s+([\d.]+)", quiet)
    lost = re.search(r"Queries lost:\s+(\d+)", quiet)
    codes = re.search(r"Response codes:\s+(.*)", quiet)
    if rate is None or lost is None or codes is None:
        raise ToolFailed(quiet)
    counts = dict(re.findall(r"(\w+) (\d+) \(", codes[1]))
    errors = int(lost[1]) + sum(int(n) for code, n in counts.items() if code != "NOERROR")
    answered = re.findall(r"^> \w+ \S+ \S+ ([\d.]+)$", talking, re.MULTILINE)
    latencies = [float(each) for each in answered]
    measured = Measured.of(latencies, 1.0, errors)
    return Measured(float(rate[1]), measured.p50, measured.p99, errors)
