import subprocess
import sys

import click
import pytest

from lictor.cli import main
from lictor.cli.command import Command, Group


@pytest.mark.parametrize("words", [[], ["bogus"], ["help"], ["-bogus"]])
def test_without_a_command_the_usage_goes_to_stderr(lictor, words):
    outcome = lictor(*words)
    assert outcome.code == 127
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("Usage: lictor [--version] [--help] <command> [<args>]\n")


@pytest.mark.parametrize("word", ["-h", "-help", "--help"])
def test_help_goes_to_stdout(lictor, word):
    outcome = lictor(word)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "\n    kv " in outcome.stdout


@pytest.mark.parametrize("word", ["-v", "-version", "--version"])
def test_version_wins_over_the_command_behind_it(lictor, word):
    outcome = lictor(word, "kv")
    assert outcome.code == 0
    assert outcome.stdout.startswith("Lictor v")


def test_flags_before_the_command_are_refused(lictor):
    outcome = lictor("-bogus", "kv", "get")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("Invalid flags before the subcommand.")


@pytest.mark.parametrize("words", [["kv"], ["kv", "bogus"], ["kv", "-x", "get"]])
def test_a_group_without_a_subcommand_helps_on_stderr(lictor, words):
    outcome = lictor(*words)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("Usage: lictor kv <subcommand> [options] [args]\n")
    assert "\n    delete    Remove a key, or many\n" in outcome.stderr


@pytest.mark.parametrize(
    "words", [["-h", "kv", "get"], ["kv", "get", "-h"], ["kv", "get", "a", "--help"]]
)
def test_help_may_stand_anywhere(lictor, words):
    outcome = lictor(*words)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("Usage: lictor kv get [options] [KEY_OR_PREFIX]\n")


def test_help_behind_two_dashes_is_an_argument(lictor, agent):
    assert lictor("kv", "get", "--", "-h").stderr == "Error! No key exists at: -h\n"


def test_a_wrong_flag_shows_the_flags_there_are(lictor):
    outcome = lictor("kv", "get", "-bogus")
    assert (outcome.code, outcome.stdout) == (1, "")
    lines = outcome.stderr.splitlines()
    assert lines[:2] == ["flag provided but not defined: -bogus", "Usage:"]
    assert "  -separator string" in lines


def leaves(command, path):
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, [*path, name])
    yield path, command


BUILT = sorted(name for name in main.COMMANDS if main._is_built(name))
OURS = [
    (path, command)
    for name in BUILT
    for path, command in leaves(main.load(name), [name])
    if isinstance(command, Command | Group)
]


@pytest.mark.parametrize(("path", "command"), OURS, ids=[" ".join(path) for path, _ in OURS])
def test_every_command_teaches(lictor, path, command):
    shown = lictor(*path, "-h").stdout
    assert f"\n      $ lictor {path[0]}" in shown, "an example"
    assert max(map(len, shown.splitlines())) <= 100
    if len(path) > 1 and isinstance(command, Command):
        assert command.summary, "a line in its group's help"


def test_a_command_of_another_making_runs_too(lictor, monkeypatch):
    @click.command()
    @click.option("-dev", is_flag=True)
    def foreign(dev):
        click.echo(f"dev={dev}")

    monkeypatch.setitem(main.COMMANDS, "foreign", ("kv", "A test."))
    monkeypatch.setattr("lictor.cli.kv.foreign", foreign, raising=False)
    assert lictor("foreign", "-dev").stdout == "dev=True\n"
    assert lictor("foreign", "-nope").code == 2


@pytest.mark.slow
def test_a_read_imports_only_what_it_needs():
    code = (
        "import sys; from lictor.cli.main import run;"
        "run(['kv', 'get', '-http-addr=127.0.0.1:1', 'x']);"
        "heavy = {'rich', 'hcl2', 'lark', 'aiohttp', 'asyncio', 'cryptography'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
