"""Durations are Go's, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictor.registry import durations
from lictor.registry.durations import InvalidDuration

LONGEST_NS = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("+5s", 5_000_000_000),
        ("-1.5h", -5_400_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("300ms", 300_000_000),
        (".5s", 500_000_000),
        ("5.s", 5_000_000_000),
        ("1us1µs1μs", 3_000),
        ("0.3333333333333333333h", 1_199_999_999_999),
        ("9223372036854775807ns", LONGEST_NS),
        ("1m1m", 120_000_000_000),
    ],
)
def test_reads_what_go_reads(text, nanoseconds):
    assert durations.parse_ns(text) == nanoseconds
    assert durations.parse(text) == nanoseconds / 1e9


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("xx", 'time: invalid duration "xx"'),
        (".s", 'time: invalid duration ".s"'),
        ("15", 'time: missing unit in duration "15"'),
        ("1h15", 'time: missing unit in duration "1h15"'),
        ("3 s", 'time: unknown unit " s" in duration "3 s"'),
        ("3d", 'time: unknown unit "d" in duration "3d"'),
        ('3"', 'time: unknown unit "\\"" in duration "3\\""'),
        ("1é", 'time: unknown unit "\\xc3\\xa9" in duration "1\\xc3\\xa9"'),
        ("1e3s", 'time: unknown unit "e" in duration "1e3s"'),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("3000000h", 'time: invalid duration "3000000h"'),
        ("\N{ARABIC-INDIC DIGIT ONE}s", 'time: invalid duration "\\xd9\\xa1s"'),
    ],
)
def test_refuses_in_the_words_of_go(text, error):
    with pytest.raises(InvalidDuration) as caught:
        durations.parse_ns(text)
    assert str(caught.value) == error


def test_a_number_of_a_million_digits_is_refused_without_reading_it():
    with pytest.raises(InvalidDuration):
        durations.parse_ns("9" * 1_000_000 + "s")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (65_001_000_000, "1m5.001s"),
        (18_367_001_000_000, "5h6m7.001s"),
        (480_000_000_001, "8m0.000000001s"),
        (LONGEST_NS, "2562047h47m16.854775807s"),
        (-(2**63), "-2562047h47m16.854775808s"),
        (-90_000_000_000, "-1m30s"),
    ],
)
def test_prints_what_go_prints(nanoseconds, text):
    assert durations.format_ns(nanoseconds) == text


def test_seconds_print_without_the_noise_of_floats():
    assert durations.format(0.1 + 0.2) == "300ms"
    assert durations.format(315360000.0) == "87600h0m0s"


@given(st.integers(-LONGEST_NS, LONGEST_NS))
def test_what_is_printed_is_read_back(nanoseconds):
    assert durations.parse_ns(durations.format_ns(nanoseconds)) == nanoseconds


@given(st.text(alphabet="0123456789.hmsnuµ-+ x", max_size=12))
def test_any_text_is_read_or_refused(text):
    try:
        nanoseconds = durations.parse_ns(text)
    except InvalidDuration:
        return
    assert abs(nanoseconds) <= LONGEST_NS
