"""The filter language against a naive interpreter, and against noise."""

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lictor.registry.errors import Refused
from lictor.registry.filter import PREFIX, compile_filter, fields_of
from lictor.registry.filter.literals import quoted, string_value
from lictor.registry.records import Record

fixed = settings(derandomize=True, max_examples=100, deadline=None)


class Part(Record, frozen=True, kw_only=True):
    name: str
    size: int


class Row(Record, frozen=True, kw_only=True):
    name: str
    port: int
    up: bool
    tags: tuple[str, ...] | None
    meta: dict[str, str] | None
    parts: tuple[Part, ...]


FIELDS = fields_of(Row, ["Name", "Port", "Up", "Tags", "Meta", "Parts.Name", "Parts.Size"])

words = st.sampled_from(["", "a", "b", "ab", "ba", 'q"t', "é \n", "not"])
numbers = st.integers(-2, 2)
rows = st.builds(
    Row,
    name=words,
    port=numbers,
    up=st.booleans(),
    tags=st.none() | st.lists(words, max_size=3).map(tuple),
    meta=st.none() | st.dictionaries(words, words, max_size=3),
    parts=st.lists(st.builds(Part, name=words, size=numbers), max_size=3).map(tuple),
)
blanks = st.text(" \t\r\n", max_size=2)
gaps = st.text(" \t\r\n", min_size=1, max_size=2)


def written(word, raw):
    """``word`` as a literal; a double quote can stand between backquotes only."""
    return f"`{word}`" if raw or '"' in word else quoted(word)


# A term is (text, test of a row); the tests say what the reference says, in plain Python.


@st.composite
def equalities(draw):
    left, right, denied = draw(blanks), draw(blanks), draw(st.booleans())
    symbol = f"{left}{'!=' if denied else '=='}{right}"
    which = draw(st.sampled_from(["name", "port", "up", "meta", "part name", "part size"]))
    word, number, truth = draw(words), draw(numbers), draw(st.booleans())
    shown_word = symbol + written(word, draw(st.booleans()))
    match which:
        case "name":
            return f"Name{shown_word}", lambda row: (row.name == word) != denied
        case "port":
            return f"Port{symbol}{number}", lambda row: (row.port == number) != denied
        case "up":
            return f"Up{symbol}{str(truth).lower()}", lambda row: (row.up == truth) != denied
        case "meta":
            return f'Meta["a"]{shown_word}', (
                lambda row: ("a" in (row.meta or {}) and row.meta["a"] == word) != denied
            )
        case "part name":
            return f"Parts.Name{shown_word}", (
                lambda row: any((part.name == word) != denied for part in row.parts)
            )
        case _:
            return f"Parts.Size{symbol}{number}", (
                lambda row: any((part.size == number) != denied for part in row.parts)
            )


@st.composite
def memberships(draw):
    gap, denied, reverse = draw(gaps), draw(st.booleans()), draw(st.booleans())
    name, value = draw(
        st.sampled_from(
            [
                ("Name", lambda row: row.name),
                ("Tags", lambda row: row.tags or ()),
                ("Meta", lambda row: row.meta or {}),
                ("Meta.b", lambda row: (row.meta or {}).get("b", ())),
            ]
        )
    )
    word = draw(words)
    shown, negation = written(word, draw(st.booleans())), f"not{gap}" if denied else ""
    text = (
        f"{name}{gap}{negation}contains{gap}{shown}"
        if reverse
        else f"{shown}{gap}{negation}in{gap}{name}"
    )
    return text, lambda row: (word in value(row)) != denied


@st.composite
def emptiness(draw):
    gap, denied = draw(gaps), draw(st.booleans())
    name = draw(st.sampled_from(["Tags", "Meta", "Parts"]))
    text = f"{name}{gap}is{gap}{f'not{gap}' if denied else ''}empty"
    return text, lambda row: (not getattr(row, name.lower())) != denied


@st.composite
def patterns(draw):
    gap, denied, word = draw(gaps), draw(st.booleans()), draw(st.sampled_from("ab"))
    text = f"Name{gap}{f'not{gap}' if denied else ''}matches{gap}`^{word}`"
    return text, lambda row: row.name.startswith(word) != denied


def compounds(terms):
    return (
        st.builds(negated, terms, gaps)
        | st.builds(joined, st.lists(terms, min_size=2, max_size=3), gaps, st.just("and"))
        | st.builds(joined, st.lists(terms, min_size=2, max_size=3), gaps, st.just("or"))
    )


def negated(term, gap):
    text, test = term
    return f"not{gap}({gap}{text}{gap})", lambda row: not test(row)


def joined(terms, gap, word):
    text = f"{gap}{word}{gap}".join(f"({text})" for text, _ in terms)
    quantifier = all if word == "and" else any
    return text, lambda row: quantifier(test(row) for _, test in terms)


expressions = st.recursive(
    equalities() | memberships() | emptiness() | patterns(), compounds, max_leaves=6
)


@pytest.mark.slow
@given(expressions, st.lists(rows, min_size=1, max_size=4))
@fixed
def test_agrees_with_a_naive_interpreter(expression, some_rows):
    text, test = expression
    keep = compile_filter(text, FIELDS)
    assert [keep(row) for row in some_rows] == [test(row) for row in some_rows]


@pytest.mark.slow
@given(st.lists(equalities(), min_size=3, max_size=3), rows)
@fixed
def test_and_binds_more_tightly_than_or_and_not_more_than_and(terms, row):
    (a, is_a), (b, is_b), (c, is_c) = terms
    keep = compile_filter(f"not {a} and {b} or {c}", FIELDS)
    assert keep(row) == (((not is_a(row)) and is_b(row)) or is_c(row))


PIECES = [
    *("Name", "Port", "Meta", "Parts", "Nope", "x", "and", "or", "not", "in", "contains", "is"),
    *("empty", "matches", "==", "!=", "(", ")", "[", "]", ".", '"', "`", '"a"', "`a`", "0", "1"),
    *("-", "1.5", " ", " ", " ", "\n", "\\", "é", "\udc80", "\x00", '"\\q"', '"\\xff"', "*", "(?"),
]


@pytest.mark.slow
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20))
@example('Name matches "\\xff"')
@example('Meta["\\xff"].x == 1')
@settings(derandomize=True, max_examples=500, deadline=None)
def test_noise_is_an_expression_or_refused_in_one_sentence(text):
    try:
        keep = compile_filter(text, FIELDS)
    except Refused as error:
        sentence = str(error).removeprefix(PREFIX)
        outcome = sentence not in {"", str(error)}
    else:
        row = Row(name="a", port=1, up=True, tags=None, meta=None, parts=())
        outcome = keep(row) in {True, False}
    assert outcome


@given(st.text())
@settings(fixed, max_examples=50)
def test_what_is_quoted_reads_back(text):
    assert string_value(quoted(text)) == text


@given(rows)
@settings(fixed, max_examples=20)
def test_rows_are_left_as_they_were(row):
    before = msgspec.json.encode(row)
    compile_filter("Parts.Name != a and Meta.a matches `b`", FIELDS)(row)
    assert msgspec.json.encode(row) == before
