"""JSON as Go reads it. The texts are those that a Consul 1.8 answered."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lictor.registry.durations import InvalidDuration
from lictor.registry.http.gojson import LockDelay, Shape, Uint, declare, decode
from lictor.registry.http.gosyntax import MAX_DEPTH, InvalidJson, parse
from lictor.registry.records import Duration, Record


class Inner(Record, frozen=True, kw_only=True):
    passing: int = 0
    names: tuple[str, ...] | None = None


class Own(Record, frozen=True, kw_only=True):
    """Decodes itself: errors inside show the field that holds it."""

    port: int = 0
    max_size: int = 0
    inner: Inner | None = None


class Outer(Record, frozen=True, kw_only=True):
    name: str = ""
    id: str = "default"
    port: int = 0
    index: Uint = Uint(0)
    flag: bool = False
    every: Duration = Duration(0)
    delay: LockDelay = LockDelay(0)
    value: bytes = b""
    anything: Any = None
    tags: tuple[str, ...] | None = ("kept",)
    meta: dict[str, str] | None = None
    inner: Inner | None = None
    own: Own | None = None
    needed: Inner

    GO: ClassVar[str] = "Outer"


declare(Inner, Shape(name="Weights"))
declare(Own, Shape(name="", custom=True, strict=False, snake=True, whole="struct { Own }"))
declare(Outer, Shape(name="Outer", snake=True, member_types={"tags": "structs.Tags"}))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b"  ", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"a"', "unexpected EOF"),
        (b'{"a":"b\\', "unexpected EOF"),
        (b'"\\u12', "unexpected EOF"),
        (b"-", "unexpected EOF"),
        (b"1.", "unexpected EOF"),
        (b"1e", "unexpected EOF"),
        (b"tru", "unexpected EOF"),
        (b"{,", "invalid character ',' looking for beginning of object key string"),
        (b"{1:2}", "invalid character '1' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b'{"a":01}', "invalid character '1' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b'"\x01"', "invalid character '\\x01' in string literal"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b'"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        (b"-a", "invalid character 'a' in numeric literal"),
        (b"1.a", "invalid character 'a' after decimal point in numeric literal"),
        (b"1ea", "invalid character 'a' in exponent of numeric literal"),
        (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
        (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
        (b"'", "invalid character '\\'' looking for beginning of value"),
        (b"\xc3\xa9", "invalid character 'Ã' looking for beginning of value"),
        (b"\x7f", "invalid character '\\u007f' looking for beginning of value"),
        (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
        (b"NaN", "invalid character 'N' looking for beginning of value"),
        (b"[" * (MAX_DEPTH + 1), "exceeded max depth"),
    ],
)
def test_syntax_errors_have_gos_words(body, text):
    with pytest.raises(InvalidJson) as raised:
        parse(body)
    assert str(raised.value) == text


@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:0123tfn\\ue+-.\x00é', max_size=40))
def test_any_text_is_a_value_or_an_error(text):
    body = text if isinstance(text, bytes) else text.encode()
    with suppress(InvalidJson):
        parse(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_what_another_encoder_writes_is_read_back(value):
    body = msgspec.json.encode({"Anything": value})
    assert decode(body, Outer).anything == value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[]", "json: cannot unmarshal array into Go value of type structs.Outer"),
        (
            b'{"Name":5}',
            "json: cannot unmarshal number into Go struct field Outer.Name of type string",
        ),
        (
            b'{"Port":"x"}',
            "json: cannot unmarshal string into Go struct field Outer.Port of type int",
        ),
        (
            b'{"Port":1.5}',
            "json: cannot unmarshal number 1.5 into Go struct field Outer.Port of type int",
        ),
        (
            b'{"Port":99999999999999999999}',
            "json: cannot unmarshal number 99999999999999999999 into Go struct field Outer.Port"
            " of type int",
        ),
        (
            b'{"Index":-1}',
            "json: cannot unmarshal number -1 into Go struct field Outer.Index of type uint64",
        ),
        (
            b'{"Flag":"x"}',
            "json: cannot unmarshal string into Go struct field Outer.Flag of type bool",
        ),
        (
            b'{"Tags":{}}',
            "json: cannot unmarshal object into Go struct field Outer.Tags of type structs.Tags",
        ),
        (
            b'{"Tags":["a",5]}',
            "json: cannot unmarshal number into Go struct field Outer.Tags of type string",
        ),
        (
            b'{"Meta":[]}',
            "json: cannot unmarshal array into Go struct field Outer.Meta"
            " of type map[string]string",
        ),
        (
            b'{"Inner":{"Passing":"x"}}',
            "json: cannot unmarshal string into Go struct field Weights.Inner.Passing of type int",
        ),
        (
            b'{"Own":{"Inner":{"Passing":"x"}}}',
            "json: cannot unmarshal string into Go struct field Outer.Own of type int",
        ),
        (
            b'{"Own":5}',
            "json: cannot unmarshal number into Go struct field Outer.Own of type struct { Own }",
        ),
        (b'{"Bogus":1}', 'json: unknown field "Bogus"'),
        (b'{"Inner":{"Bo\\"gus":1}}', 'json: unknown field "Bo\\"gus"'),
        (b'{"Value":"a!"}', "illegal base64 data at input byte 1"),
        (
            b'{"Port":"x","Bogus":1}',
            "json: cannot unmarshal string into Go struct field Outer.Port of type int",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_gos_words(body, text):
    with pytest.raises(InvalidJson) as raised:
        decode(body, Outer)
    assert str(raised.value) == text


def test_names_match_in_any_letter_case_and_the_last_duplicate_wins():
    read = decode(b'{"NAME":"a","name":"b","iD":"c"} trailing', Outer)
    assert (read.name, read.id) == ("b", "c")


def test_null_leaves_scalars_as_they_are_and_empties_the_rest():
    read = decode(b'{"Name":null,"ID":null,"Tags":null,"Meta":{"a":null}}', Outer)
    assert (read.name, read.id, read.tags, read.meta) == ("", "default", None, {"a": ""})


def test_null_and_an_allowed_empty_body_are_an_empty_object():
    assert decode(b"null", Outer) == decode(b"{}", Outer) == decode(b" ", Outer, empty_is_null=True)
    assert decode(b"{}", Outer).needed == Inner()


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (b'{"max_size":5}', 5),
        (b'{"MAX_size":5}', 5),
        (b'{"max_size":5,"MaxSize":6}', 6),
        (b'{"MaxSize":6,"max_size":5}', 6),
        (b'{"MaxSize":0,"max_size":5}', 5),
    ],
)
def test_a_members_own_spelling_wins_over_its_alias_unless_it_says_nothing(said, size):
    assert decode(b'{"Own":%s}' % said, Outer).own == Own(max_size=size)


def test_an_error_in_an_alias_names_the_alias():
    with pytest.raises(InvalidJson, match=r"field \.max_size of type int"):
        decode(b'{"max_size":"x"}', Own)


def test_a_lenient_struct_passes_over_what_it_does_not_know():
    assert decode(b'{"Own":{"Bogus":1,"Port":2}}', Outer).own == Own(port=2)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("15", 15), ("1.5", 1), ('"10s"', 10_000_000_000), ("true", 0), ("[]", 0), ("null", 0)],
)
def test_durations_are_text_or_nanoseconds_and_anything_else_is_none(text, nanoseconds):
    assert decode(b'{"Every":%s}' % text.encode(), Outer).every == nanoseconds


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("15", 15_000_000_000), ("2000", 2000), ('"120s"', 120_000_000_000), ("0", 0)],
)
def test_a_small_lock_delay_counts_as_seconds(text, nanoseconds):
    assert decode(b'{"Delay":%s}' % text.encode(), Outer).delay == nanoseconds


def test_a_duration_without_a_unit_is_refused_in_gos_words():
    with pytest.raises(InvalidDuration, match='missing unit in duration "15"'):
        decode(b'{"Every":"15"}', Outer)


def test_bad_bytes_and_lone_surrogates_become_the_replacement_character():
    assert decode(b'{"Name":"\xff\\ud800x\\ud83d\\ude00"}', Outer).name == "\ufffd\ufffdx😀"


def test_values_are_base64():
    assert decode(b'{"Value":"aGk="}', Outer).value == b"hi"
