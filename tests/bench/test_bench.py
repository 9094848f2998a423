"""The benchmark's own arithmetic: what it reads from tools, and how it judges."""

from __future__ import annotations

import asyncio
import math

import pytest

from bench import load, report, rows, tools
from bench.load import Measured
from bench.report import Line
from bench.rows import Row

WRK = """\
Running 1s test @ http://127.0.0.1:1/
  1 threads and 2 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   234.12us  567.15us   8.74ms   94.78%
  Latency Distribution
     50%  101.00us
     75%  142.00us
     90%  242.00us
     99%    3.07ms
  17590 requests in 1.10s, 2.48MB read
  Socket errors: connect 0, read 2, write 1, timeout 0
  Non-2xx or 3xx responses: 40
Requests/sec:  15988.70
Transfer/sec:      2.26MB
"""

DNSPERF = """\
> NOERROR a.service.consul A 0.000372
> NOERROR a.service.consul A 0.000500
> NOERROR a.service.consul A 0.000888
  Queries lost:         1 (0.00%)
  Response codes:       NOERROR 90 (90.00%), SERVFAIL 9 (9.00%)
  Queries per second:   1438.848921
"""


def test_wrk_is_read():
    assert tools.read_wrk(WRK) == Measured(15988.70, 101e-6, pytest.approx(3.07e-3), 43)


def test_dnsperf_is_read():
    assert tools.read_dnsperf(DNSPERF, DNSPERF) == Measured(1438.848921, 0.0005, 0.000888, 10)


def test_a_tool_that_printed_something_else_fails():
    with pytest.raises(tools.ToolFailed):
        tools.read_wrk("unable to connect")


def line(target: float | None, ours: float, theirs: float | None, kind: str = "http") -> Line:
    sides = {"lictor": Measured(ours, 0.001, 0.002)}
    if theirs is not None:
        sides["consul"] = Measured(theirs, 0.001, 0.002)
    return Line(Row(name="row", kind=kind, target=target), sides)


@pytest.mark.parametrize(
    ("judged", "ratio", "verdict"),
    [
        (line(1.5, 300, 200), 1.5, "ok"),
        (line(1.5, 299, 200), 1.495, "short"),
        (line(1.5, 300, None), None, "-"),
        (line(None, 100, 200), 0.5, "-"),
        (line(80e6, 70e6, 35e6, "memory"), 0.5, "ok"),
        (line(80e6, 81e6, None, "memory"), None, "short"),
        (line(None, 0.5, 1.0, "start"), 2.0, "-"),
    ],
)
def test_verdicts(judged, ratio, verdict):
    assert judged.ratio() == ratio
    assert judged.verdict() == verdict


def test_the_middle_is_the_median_and_errors_add_up():
    runs = [Measured(3.0, 1.0, 5.0), Measured(1.0, 3.0, 7.0, 2), Measured(2.0, 2.0, 9.0, 1)]
    assert report.middle(runs) == Measured(2.0, 2.0, 7.0, 3)


def test_tables_have_as_many_cells_in_every_row():
    lines = [line(1.5, 300, 200), line(80e6, 70e6, None, "memory"), line(None, 1.0, 2.0, "start")]
    assert {len(row) for row in report.table(lines)} == {len(report.HEAD)}
    assert report.as_text(lines).count("\n") == 3
    assert report.as_markdown(lines).splitlines()[1].startswith("| --- | ---: |")


def test_a_run_without_an_answer_has_no_latency():
    nothing = Measured.of([], 1.0, 3)
    assert nothing.rate == 0.0
    assert math.isnan(nothing.p50)


def test_rows_have_names_of_their_own():
    assert len({row.name for row in rows.ROWS}) == len(rows.ROWS)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_the_generator_asks_again_and_again(answer):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer[:20])  # in two pieces, as networks do
                writer.write(answer[20:])
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        measured = await load.http_load(
            server.sockets[0].getsockname()[1],
            load.get_requests("/"),
            connections=3,
            seconds=0.03,
        )
    assert measured.errors == 0
    assert measured.rate > 100
    assert 0 < measured.p50 <= measured.p99
