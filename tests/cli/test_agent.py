"""``lictor agent`` up to the point where the agent runs."""

import sys
from types import ModuleType

import pytest

from lictor.cli.agent_flags import SETTINGS, flags, settings
from lictor.registry.config.agent import AgentConfig
from lictor.registry.config.keys import table


@pytest.fixture
def started(monkeypatch):
    """What the agent was started with: one (config, warnings) for each start."""
    starts = []
    module = ModuleType("lictor.cli.run")

    def run_agent(config, warnings, read_config):
        starts.append((config, warnings))
        return 7

    module.run_agent = run_agent
    monkeypatch.setitem(sys.modules, "lictor.cli.run", module)
    return starts


def test_flags_become_the_configuration_and_the_agents_code_ours(lictor, started):
    outcome = lictor(
        *(
            "agent",
            "-dev",
            "--http-port=0",
            "-node",
            "n1",
            "-server=false",
            "-retry-interval",
            "5s",
        ),
        *("-retry-join", "a", "-retry-join=b", "-node-meta", "k:v:w", "-node-meta", "alone"),
        *("-ui-content-path", "/x/", "-bind", "127.0.0.2"),
    )
    assert (outcome.code, outcome.stderr) == (7, "")
    [(config, warnings)] = started
    assert warnings == ()
    assert (config.dev, config.ports.http, config.node_name, config.server) == (
        True,
        -1,
        "n1",
        False,
    )
    assert (config.retry_join, config.retry_interval) == (("a", "b"), 5.0)
    assert config.node_meta == {"k": "v:w", "alone": ""}
    assert (config.ui_config.content_path, config.bind_addr) == ("/x/", "127.0.0.2")


def test_files_and_directories_are_read_in_the_order_given(lictor, started, tmp_path):
    directory = tmp_path / "d"
    directory.mkdir()
    (directory / "a.json").write_text('{"domain": "from-directory", "datacenter": "d"}')
    (tmp_path / "first.hcl").write_text('domain = "from-first" log_level = "WARN"')
    (tmp_path / "last.hcl").write_text('datacenter = "last"')
    lictor(
        *("agent", "-dev", "-config-file", str(tmp_path / "first.hcl")),
        *("-config-dir", str(directory), "-config-file", str(tmp_path / "last.hcl")),
        *("-hcl", 'log_level = "ERR"', "-hcl", "enable_debug = false"),
    )
    [(config, _)] = started
    assert (config.domain, config.datacenter, config.log_level, config.enable_debug) == (
        "from-directory",
        "last",
        "ERR",
        False,
    )


def test_warnings_are_printed_and_handed_on(lictor, started):
    outcome = lictor("agent", "-dev", "-syslog")
    text = '"enable_syslog" is accepted but not acted on yet, it has no effect'
    assert outcome.stderr == f"==> {text}\n"
    assert started[0][1] == (text,)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["x", "y"], "==> Unexpected extra arguments: [x y]\n"),
        (["-dev", "x", "-server"], "==> Unexpected extra arguments: [x -server]\n"),
        (["-server"], "==> data_dir cannot be empty\n"),
        (
            ["-dev", "-log-level", "zzz"],
            "==> Invalid log level: zzz. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]\n",
        ),
        (
            ["-config-file", "nosuch.hcl"],
            "==> config: Open failed on nosuch.hcl. open nosuch.hcl: no such file or directory\n",
        ),
        (
            ["-dev", "-config-format", "yaml"],
            "==> config: -config-format must be either 'hcl' or 'json'\n",
        ),
        (
            ["-dev", "-hcl", "foo = 1"],
            "==> failed to parse flags-0.hcl: 1 error occurred:\n\t* invalid config key foo\n\n\n",
        ),
        (
            ["-dev", "-default-query-time", "xx"],
            "==> 1 error occurred:\n\t* default_query_time: invalid duration: "
            '"xx": time: invalid duration "xx"\n\n\n',
        ),
    ],
)
def test_what_cannot_run_is_said_and_ends_with_1(lictor, started, words, error):
    outcome = lictor("agent", *words)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (1, "", error)
    assert started == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-foo"], "flag provided but not defined: -foo\nUsage:\n"),
        (["-data-dir"], "flag needs an argument: -data-dir\nUsage:\n"),
        (
            ["-http-port", "abc"],
            'invalid value "abc" for flag -http-port: '
            'strconv.Atoi: parsing "abc": invalid syntax\nUsage:\n',
        ),
        (
            ["-dev=xx"],
            'invalid boolean value "xx" for -dev: '
            'strconv.ParseBool: parsing "xx": invalid syntax\nUsage:\n',
        ),
        (
            ["-retry-max", "9" * 19],
            f'invalid value "{"9" * 19}" for flag -retry-max: '
            f'strconv.Atoi: parsing "{"9" * 19}": value out of range\nUsage:\n',
        ),
    ],
)
def test_bad_flags_are_told_as_go_does(lictor, started, words, error):
    outcome = lictor("agent", *words)
    assert outcome.code == 1
    assert outcome.stderr.startswith(error)
    assert started == []


def test_help_names_every_flag(lictor):
    outcome = lictor("agent", "-h")
    assert outcome.code == 0
    assert all(f"\n  -{one.word}" in outcome.stdout for one in flags())


def test_every_flag_stands_for_a_setting_of_its_type():
    kinds = {row.path: row.kind for row in table(AgentConfig)}
    allowed = {
        "text": {"string", "duration"},
        "switch": {"bool"},
        "number": {"int"},
        "list": {"strings"},
        "pairs": {"map"},
    }
    assert all(kinds[path] in allowed[kind] for _, path, kind, _ in SETTINGS)


def test_flags_that_are_not_given_say_nothing():
    assert settings({one.variable: one.fallback for one in flags()}) == {}
