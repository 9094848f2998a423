"""Whatever a file says, it is read or refused: no other error comes out."""

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lictor.registry.config import InvalidConfig, debug_config, load
from lictor.registry.config.agent import AgentConfig
from lictor.registry.config.keys import table
from lictor.registry.config.legacy import LEGACY, put

from .configuring import ETH0, Files

TEXTS = (
    *("", "x", "1s", "1", "-1h", "127.0.0.1", "::", "0.0.0.0", "unix:///x", "10.0.0.0/8", "AAAA"),
    *("{{ GetPrivateIP }}", "{{ Foo }}", '{{ GetInterfaceIP "eth0" }}', "::1 127.0.0.1"),
    *("name", "id", "kind", "ttl", "port", "passing", "lan", "bootstrap"),
)
WORDS = st.sampled_from(TEXTS)
NUMBERS = st.sampled_from([0, 1, -1, 1.5, 99999, 2**40, 2**80, -(2**80), float("inf")])
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
OBJECT = st.dictionaries(WORDS, ANYTHING, max_size=2)
FITTING = {
    "string": WORDS,
    "bool": st.booleans(),
    "int": NUMBERS,
    "unsigned": NUMBERS,
    "float": NUMBERS,
    "duration": WORDS,
    "strings": st.lists(WORDS, max_size=2),
    "map": st.dictionaries(WORDS, WORDS, max_size=2),
    "durations": st.dictionaries(WORDS, WORDS, max_size=2),
    "any": OBJECT,
    "objects": st.lists(OBJECT, max_size=2),
}
KINDS = {row.path: row.kind for row in table(AgentConfig)}
KINDS |= {row.old: row.kind for row in LEGACY}
KINDS |= dict.fromkeys(("service", "check", "service.check", "service.weights"), "any")
KINDS |= dict.fromkeys(("services", "checks", "service.proxy.upstreams"), "objects")
SETTING = st.sampled_from(sorted(KINDS)).flatmap(
    lambda path: st.tuples(st.just(path), FITTING[KINDS[path]] | ANYTHING)
)


@pytest.mark.slow
@example([("config_entries.bootstrap", {"kind": []})], False)
@example([("limits.rpc_rate", 10**400)], False)
@given(st.lists(SETTING, max_size=3), st.booleans())
def test_any_json_is_read_or_refused(settings, dev):
    content = {"data_dir": "/d"}
    for path, value in settings:
        try:
            put(content, path, value)
        except (TypeError, ValueError, AttributeError):
            continue  # the path leads through a value that is no object
    files = Files({"/c.json": json.dumps(content)})
    try:
        found = load(
            files=[Path("/c.json")],
            dev=dev,
            read=files.read,
            names=files.names,
            hostname="host",
            rng=Random(1),
            interfaces=lambda: [ETH0],
        )
    except InvalidConfig as error:
        refused = str(error)
        assert refused
        return
    assert json.dumps(debug_config(found.config), allow_nan=False)
