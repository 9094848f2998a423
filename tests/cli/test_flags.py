import pytest

from lictor.cli.errors import BadFlag
from lictor.cli.flags import BOOL, DURATION, INT, PAIR, SWITCH, TEXT, UINT, Flag, go_dump, parse

FLAGS = [
    Flag("-name", TEXT, "A name."),
    Flag("-cas", BOOL, "A boolean."),
    Flag("-shell", BOOL, "A boolean.", default=True),
    Flag("-stale", SWITCH, "A boolean."),
    Flag("-n", INT, "A number.", default=1),
    Flag("-flags", UINT, "A number."),
    Flag("-wait", DURATION, "A duration."),
    Flag("-tag", TEXT, "Tags.", multiple=True),
    Flag("-meta", PAIR, "Pairs.", multiple=True),
    Flag("-import", TEXT, "A keyword of Python."),
]


@pytest.mark.parametrize(
    ("line", "expected", "rest"),
    [
        ("", {"name": None, "cas": False, "shell": True, "n": 1, "tag": ()}, ""),
        ("-name web", {"name": "web"}, ""),
        ("--name=web", {"name": "web"}, ""),
        ("-name= x", {"name": ""}, "x"),
        ("-name=a=b", {"name": "a=b"}, ""),
        ("-cas x -name y", {"cas": True, "name": None}, "x -name y"),
        ("-cas=false", {"cas": False}, ""),
        ("-cas=T -shell=0", {"cas": True, "shell": False}, ""),
        ("-name a -name b", {"name": "b"}, ""),
        ("-tag a -tag b", {"tag": ("a", "b")}, ""),
        ("-meta a=b=c -meta d=", {"meta": (("a", "b=c"), ("d", ""))}, ""),
        ("-n 0x10", {"n": 16}, ""),
        ("-n -0b11", {"n": -3}, ""),
        ("-n=017", {"n": 15}, ""),
        ("-n=1_000", {"n": 1000}, ""),
        ("-flags 18446744073709551615", {"flags": 2**64 - 1}, ""),
        ("-wait 1h2m3.5s", {"wait": 3723.5}, ""),
        ("-wait 100ms", {"wait": 0.1}, ""),
        ("-wait -1s", {"wait": -1.0}, ""),
        ("-wait 0", {"wait": 0.0}, ""),
        ("-- -name x", {"name": None}, "-name x"),
        ("- -name x", {"name": None}, "- -name x"),
        ("-import x", {"import_": "x"}, ""),
    ],
)
def test_flags_are_read_until_the_first_word(line, expected, rest):
    values, words = parse(FLAGS, line.split())
    assert {name: values[name] for name in expected} == expected
    assert words == tuple(rest.split())


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("-bogus", "flag provided but not defined: -bogus"),
        ("-name", "flag needs an argument: -name"),
        ("---name", "bad flag syntax: ---name"),
        ("-=x", "bad flag syntax: -=x"),
        ("-n x", 'invalid value "x" for flag -n: parse error'),
        ("-n 1_", 'invalid value "1_" for flag -n: parse error'),
        ("-n 08", 'invalid value "08" for flag -n: parse error'),
        ("-flags -1", 'invalid value "-1" for flag -flags: parse error'),
        (
            "-flags 18446744073709551616",
            'invalid value "18446744073709551616" for flag -flags: value out of range',
        ),
        ("-wait 5", 'invalid value "5" for flag -wait: parse error'),
        ("-wait s", 'invalid value "s" for flag -wait: parse error'),
        ("-wait 5x", 'invalid value "5x" for flag -wait: parse error'),
        ("-cas=maybe", 'invalid boolean value "maybe" for -cas: parse error'),
        (
            "-stale=2",
            'invalid boolean value "2" for -stale: strconv.ParseBool: parsing "2": invalid syntax',
        ),
        ("-meta a", 'invalid value "a" for flag -meta: Missing "=" value in argument: a'),
    ],
)
def test_a_mistake_is_told_in_the_words_of_go(line, complaint):
    with pytest.raises(BadFlag) as caught:
        parse(FLAGS, line.split())
    assert caught.value.message == complaint


def test_the_dump_lists_flags_by_name():
    assert go_dump(FLAGS[:2]) == "Usage:\n  -cas\n    \tA boolean.\n  -name string\n    \tA name."
