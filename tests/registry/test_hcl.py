"""HCL as Consul 1.8.7 reads it: every error text below is one it printed."""

import hcl2
import pytest
from hcl2.utils import SerializationOptions
from hypothesis import given
from hypothesis import strategies as st

from lictor.registry import hcl
from lictor.registry.hcl import MalformedHCL


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", {}),
        ("# nothing\n// here /* */\n/* nor\nhere */", {}),
        ('a = 1 b = "x", c = true', {"a": 1, "b": "x", "c": True}),
        ('"a b" = -1', {"a b": -1}),
        (
            "a = 0x1F b = 010 c = 1.5 d = 1e3 e = -.5 f = 08",
            {"a": 31, "b": 8, "c": 1.5, "d": 1e3, "e": -0.5, "f": 8},
        ),
        ("a.b = 1", {"a.b": 1}),
        ("a = 1\na = 2", {"a": 2}),
        ("a =", {}),
        ("l = [1, [2.5,], { x = 1 },]", {"l": [1, [2.5], {"x": 1}]}),
        ('o = { "k" = "v" }', {"o": [{"k": "v"}]}),
        ("o { x = 1 } o { x = 2 }", {"o": [{"x": 1}, {"x": 2}]}),
        ('s "web" { p = 1 } s "db" {}', {"s": [{"web": [{"p": 1}]}, {"db": [{}]}]}),
        (r'a = "q\" \\ \n \t \u00e9 \x41 \101"', {"a": 'q" \\ \n \t é A A'}),
        (r'a = "${"x" + {}}\n"', {"a": '${"x" + {}}\n'}),
        ("a = <<EOF\nx\n  y\nEOF\nb = 1", {"a": "x\n  y\n", "b": 1}),
        ("a = <<-EOF\n   x\n     y\n   EOF\n", {"a": "x\n  y\n"}),
        ("a = <<-EOF\n x\n   y\n   EOF\n", {"a": " x\n   y\n"}),
        ("a = <<EOF\nEOF\n", {"a": ""}),
    ],
)
def test_reads(text, items):
    assert hcl.parse(text) == items


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('data_dir = "x', "At 1:14: literal not terminated"),
        ('a = "a\nb"', "At 2:3: literal not terminated"),
        (r'a = "\x"', "At 1:9: literal not terminated"),
        ("a = 1\nports { http = }", "At 2:17: object expected closing RBRACE got: EOF"),
        ("server = yes", "At 1:10: Unknown token: 1:10 IDENT yes"),
        ("a = -", "At 1:5: Unknown token: 1:5 SUB -"),
        ('r = ["1" "x"]', "At 1:10: error parsing list, expected comma or list end, got: STRING"),
        ('r = ["1", ', "At 1:11: unexpected token while parsing list: EOF"),
        ('r = ["1"', "At 1:9: error parsing list, expected comma or list end, got: EOF"),
        ("a = <<EOF\nfoo\n", "At 3:1: heredoc not terminated"),
        (" } ", "At 1:2: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE"),
        (" /* x", "At 1:6: comment not terminated"),
        ("a ! b", "At 1:3: illegal char"),
        (' "foo', "At 1:6: literal not terminated"),
        ('f "b"', "At 1:6: key 'f \"b\"' expected start of object ('{') or assignment ('=')"),
        ("= 1", "At 1:1: no object keys found!"),
        ("{}", "At 1:1: expected: IDENT | STRING got: LBRACE"),
    ],
)
def test_refuses_in_the_words_of_consul(text, error):
    with pytest.raises(MalformedHCL) as caught:
        hcl.parse(text)
    assert str(caught.value) == error


@pytest.mark.parametrize("text", ["a {" * 5000, "a = " + "[" * 5000, "a = " + "9" * 5000])
def test_what_is_too_deep_or_too_long_is_refused(text):
    with pytest.raises(MalformedHCL):
        hcl.parse(text)


@given(st.text(alphabet='ab1 -.="\\${}[],<>\n#/*xu', max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        items = hcl.parse(text)
    except MalformedHCL:
        return
    assert all(isinstance(key, str) for key in items)


def test_an_independent_reader_agrees_where_the_two_languages_do():
    text = """
        data_dir = "/tmp/x"
        server = true
        retry_join = ["a", "b:8301"]
        ports { http = 8500 }
        service {
          name = "web"
          check { id = "a" }
          check { id = "b" }
        }
        service { name = "db" }
    """
    options = SerializationOptions(
        strip_string_quotes=True, explicit_blocks=False, with_comments=False
    )
    assert hcl.parse(text) == hcl2.loads(text, serialization_options=options)
