"""The filter language against answers recorded from a real Consul 1.8.7.

``filter_cases/catalog.json`` is what was registered, ``rows.json`` what each endpoint then listed,
``answers.jsonl`` what it answered to each filter: names of rows, or the error after its prefix.
``tests/acceptance/test_filter_oracle.py`` asks again.
"""

import json
from pathlib import Path

import msgspec
import pytest

from lictor.registry.errors import Refused
from lictor.registry.filter import (
    CATALOG_SERVICE_FIELDS,
    CHECK_FIELDS,
    HEALTH_FIELDS,
    NODE_FIELDS,
    PREFIX,
    SERVICE_FIELDS,
    SERVICE_SELECTORS,
    apply_filter,
    compile_filter,
    fields_of,
)
from lictor.registry.filter.parsing import MAX_DEPTH, MAX_SIZE_BYTES
from lictor.registry.records import (
    CheckServiceNode,
    Connect,
    HealthCheck,
    Node,
    NodeService,
    Proxy,
    Record,
    ServiceAddress,
    Weights,
)
from lictor.registry.shapes import CatalogService

CASES = Path(__file__).with_name("filter_cases")

KINDS = {
    "nodes": (Node, NODE_FIELDS, lambda row: row.name),
    "checks": (HealthCheck, CHECK_FIELDS, lambda row: row.check_id),
    "services": (NodeService, SERVICE_FIELDS, lambda row: row.id),
    "catalog services": (CatalogService, CATALOG_SERVICE_FIELDS, lambda row: row.service_id),
    "health": (CheckServiceNode, HEALTH_FIELDS, lambda row: row.service.id),
}

ROWS = {
    kind: msgspec.convert(rows, list[KINDS[kind][0]])
    for kind, rows in json.loads((CASES / "rows.json").read_text()).items()
}
ANSWERS = [json.loads(line) for line in (CASES / "answers.jsonl").read_text().splitlines()]


def answer(kind, text):
    """Ours, in the form of ``answers.jsonl``."""
    _, fields, name = KINDS[kind]
    try:
        return [name(row) for row in apply_filter(ROWS[kind], text, fields)]
    except Refused as error:
        return str(error).removeprefix(PREFIX)


@pytest.mark.parametrize(("kind", "text", "expected"), ANSWERS)
def test_answers_as_recorded(kind, text, expected):
    assert answer(kind, text) == expected


def test_the_recording_has_every_kind_and_both_outcomes():
    for kind in KINDS:
        outcomes = {type(expected) for named, _, expected in ANSWERS if named == kind}
        assert outcomes == {list, str}, kind


def test_the_recording_selects_everything_that_can_be_selected():
    asked = " ".join(text for kind, text, _ in ANSWERS if kind in {"health", "checks"})
    later = {"Proxy.Mode"}
    assert [
        one for one in SERVICE_SELECTORS if one not in later and one not in rewritten(asked)
    ] == []


def rewritten(asked):
    """``asked`` with the keys of address maps left out, as selectors are declared."""
    for key in (".lan", ".x", '["wan"]'):
        asked = asked.replace(f"TaggedAddresses{key}", "TaggedAddresses")
    return asked


def test_no_filter_keeps_everything():
    assert apply_filter(ROWS["nodes"], "", NODE_FIELDS) == ROWS["nodes"]


def test_a_wrong_filter_is_refused_without_rows():
    with pytest.raises(Refused, match=r'^Failed to create .*: Selector "Nope" is not valid$'):
        apply_filter([], "Nope == x", NODE_FIELDS)


def test_the_mode_of_a_proxy_can_be_selected():
    # Consul has it from 1.10 on.
    assert answer("services", "Proxy.Mode == transparent") == []


def test_a_named_group_may_be_written_as_later_versions_of_go_take_it():
    assert answer("nodes", "Node matches `(?<n>-b)`") == ["flt-b"]


def test_bytes_that_are_not_text_are_refused():
    assert answer("nodes", 'Node == "\udcff"') == "1:10 (9): invalid encoding"


def test_a_pattern_that_is_not_text_is_refused():
    assert answer("nodes", r'Node matches "a\xffb["') == (
        r'Failed to compile regular expression "a\xffb[": '
        r"error parsing regexp: invalid UTF-8: `\xffb[`"
    )


class Address(Record, frozen=True, kw_only=True):
    address: str
    port: int


class LocalService(Record, frozen=True, kw_only=True):
    """A service in another shape: other attribute names, objects that may be absent."""

    kind: str = ""
    id: str
    service: str
    tags: list[str]
    meta: dict[str, str]
    port: int
    address: str
    tagged_addresses: dict[str, Address] | None = None
    weights: Weights
    enable_tag_override: bool
    proxy: Proxy | None = None
    connect: Connect | None = None


def test_another_record_has_the_same_selectors_and_absent_objects_are_zero():
    fields = fields_of(LocalService, SERVICE_SELECTORS)
    row = LocalService(
        id="w1",
        service="web",
        tags=["a"],
        meta={},
        port=0,
        address="",
        weights=Weights(passing=1, warning=1),
        enable_tag_override=False,
    )
    holds = [
        "Service == web",
        "a in Tags",
        "Connect.Native == false",
        'Proxy.DestinationServiceName == ""',
        "Proxy.LocalServicePort == 0",
        'Proxy.MeshGateway.Mode == ""',
        "Proxy.Upstreams is empty",
        "TaggedAddresses is empty",
    ]
    assert [text for text in holds if not compile_filter(text, fields)(row)] == []


def test_a_selector_that_the_record_lacks_is_an_error_where_it_is_declared():
    with pytest.raises(KeyError, match="Nope"):
        fields_of(ServiceAddress, ["Address", "Nope"])


def test_the_same_filter_is_compiled_once():
    assert compile_filter("Node == kept", NODE_FIELDS) is compile_filter(
        "Node == kept", NODE_FIELDS
    )
    assert compile_filter("Node == kept", CHECK_FIELDS) is not compile_filter(
        "Node == kept", NODE_FIELDS
    )


# Bounds.


def test_the_longest_expression_is_taken_and_one_byte_more_is_not():
    frame = len('Node == ""')
    assert answer("nodes", f'Node == "{"x" * (MAX_SIZE_BYTES - frame)}"') == []
    assert answer("nodes", f'Node == "{"x" * (MAX_SIZE_BYTES - frame + 1)}"') == (
        f"the expression is longer than {MAX_SIZE_BYTES} bytes"
    )


@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("not ", "")])
def test_the_deepest_nesting_is_taken_and_one_more_is_not(before, after):
    def nested(depth):
        return answer("nodes", f'{before * depth}Node == "flt-b"{after * depth}')

    assert nested(MAX_DEPTH) == ["flt-b"]
    assert nested(MAX_DEPTH + 1) == f"the expression nests deeper than {MAX_DEPTH} levels"
    assert nested(1000) == nested(MAX_DEPTH + 1)


def test_a_broken_expression_in_deep_nesting_takes_no_longer():
    # With one retry per level this would not end: 2**60.
    assert answer("nodes", "(" * 60 + "Node ==").startswith("1:68 (67): no match found")


def test_many_terms_do_not_nest():
    assert answer("nodes", " or ".join(['Node == "flt-b"'] * 400)) == ["flt-b"]
    assert answer("nodes", " and ".join(['Node == "flt-b"'] * 400)) == ["flt-b"]


def test_an_evil_pattern_is_linear():
    keep = compile_filter("Output matches `^(a|a|aa)+$`", CHECK_FIELDS)
    check = msgspec.structs.replace(ROWS["checks"][0], output="a" * 5_000 + "!")
    # With backtracking this would not end.
    assert not keep(check)


def test_an_integer_of_thousands_of_digits_is_out_of_range():
    assert answer("services", f"Port == {'9' * 5000}").endswith("value out of range")
    assert answer("services", f'Port == "{"0" * 5000}12471"') == ["flt-1"]


def test_a_pattern_that_would_take_much_memory_is_refused():
    assert answer("nodes", r"Node matches `(\pL{30}){30}`").endswith("expression too large")


def test_half_a_surrogate_pair_in_a_record_breaks_no_pattern():
    keep = compile_filter("Output matches `x$`", CHECK_FIELDS)
    check = ROWS["checks"][0]
    assert keep(msgspec.structs.replace(check, output="\ud800x"))
    assert not keep(msgspec.structs.replace(check, output="x\ud800"))
