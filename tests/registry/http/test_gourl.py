"""Paths, queries and numbers as Go reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictor.registry.http.gourl import (
    BadEscape,
    BadNumber,
    clean_path,
    decode_path,
    encode_path,
    is_printable,
    parse_bool,
    parse_query,
    parse_uint,
    quoted,
    uuid_problem,
)


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("/", "/"),
        ("/v1/kv/a", "/v1/kv/a"),
        ("/v1/kv/a/", "/v1/kv/a/"),
        ("/v1/kv//lead", "/v1/kv/lead"),
        ("//v1/kv/x", "/v1/kv/x"),
        ("/v1/kv/a/../b", "/v1/kv/b"),
        ("/v1/kv/x/./", "/v1/kv/x/"),
        ("/v1/kv/../../../x", "/x"),
        ("/..", "/"),
        ("/v1/kv/a..", "/v1/kv/a.."),
        ("/v1/kv/.hidden", "/v1/kv/.hidden"),
    ],
)
def test_paths_are_cleaned_as_go_does(path, cleaned):
    assert clean_path(path) == cleaned


@given(st.text(alphabet="/.a", max_size=12))
def test_a_cleaned_path_is_clean(text):
    cleaned = clean_path(f"/{text}")
    assert clean_path(cleaned) == cleaned
    assert "//" not in cleaned


def test_queries_keep_every_value_in_order():
    query = parse_query("tag=a&tag=b;c&d=%20x+y&=z")
    assert query.all("tag") == ["a", "b"]
    assert query.get("d") == " x y"
    assert "c" in query
    assert query.get("c") == ""
    assert query.encoded() == "=z&c=&d=+x+y&tag=a&tag=b"


@pytest.mark.parametrize("raw", ["a=%zz", "%z=1", "a=%", "a=%4"])
def test_a_broken_escape_is_an_error(raw):
    with pytest.raises(BadEscape):
        parse_query(raw)


@given(st.binary(max_size=20))
def test_any_bytes_survive_a_path(data):
    raw = "".join(f"%{byte:02x}" for byte in data)
    assert decode_path(raw).encode("utf-8", "surrogateescape") == data
    assert decode_path(encode_path(decode_path(raw))) == decode_path(raw)


def test_control_characters_cannot_be_printed_and_bad_utf8_can():
    assert not is_printable("/v1/kv/\n")
    assert not is_printable("/v1/kv/\xa0")
    assert is_printable("/v1/kv/é\udcff")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("abc", 'strconv.ParseUint: parsing "abc": invalid syntax'),
        ("", 'strconv.ParseUint: parsing "": invalid syntax'),
        ("-1", 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("+1", 'strconv.ParseUint: parsing "+1": invalid syntax'),
        ("٣", 'strconv.ParseUint: parsing "٣": invalid syntax'),
        (str(2**64), f'strconv.ParseUint: parsing "{2**64}": value out of range'),
        ("9" * 5000, f'strconv.ParseUint: parsing "{"9" * 5000}": value out of range'),
    ],
)
def test_numbers_are_refused_in_gos_words(text, error):
    with pytest.raises(BadNumber) as raised:
        parse_uint(text)
    assert str(raised.value) == error


def test_numbers_have_64_bits():
    assert parse_uint(str(2**64 - 1)) == 2**64 - 1
    assert parse_uint("0" * 40 + "7") == 7


def test_booleans_are_gos():
    assert [parse_bool(text) for text in ("1", "t", "True", "0", "F", "no", "")] == [
        True, True, True, False, False, None, None,
    ]  # fmt: skip


def test_quoting_is_gos():
    assert quoted('a"\\\n\x01é\u200b') == '"a\\"\\\\\\n\\x01é\\u200b"'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "UUID must be 36 characters"),
        ("0-000000-0000-0000-0000-000000000000", 'UUID should have maximum of 4 "-"; got 5'),
        (
            "00000000-0000-0000-0000-00000000000g",
            "Invalid UUID: encoding/hex: invalid byte: U+0067 'g'",
        ),
        ("0" * 36, ""),
        ("6F0A3B52-0000-4000-8000-000000000001", ""),
    ],
)
def test_what_is_no_uuid_is_told_in_consuls_words(text, problem):
    assert uuid_problem(text) == problem
