"""Tables against a model that is only a dict."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lictor.registry.state.table import Table


class Row(msgspec.Struct, frozen=True):
    key: str
    colours: tuple[str, ...]
    create_index: int = 0
    modify_index: int = 0


def make_table():
    return Table(
        "rows",
        record=Row,
        key_of=lambda row: row.key,
        created=lambda row: row.create_index,
        modified=lambda row: row.modify_index,
        stamped=lambda row, c, m: msgspec.structs.replace(row, create_index=c, modify_index=m),
        indexes={"colour": lambda row: row.colours},
        ordered=True,
    )


keys = st.text("ab/\u00e9\U0010ffff", max_size=4)
colours = st.lists(st.sampled_from(["red", "blue", "green"]), max_size=2).map(tuple)


class TableMatchesADict(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.table = make_table()
        self.model = {}
        self.index = 0
        self.seen = {}

    @rule(key=keys, colours=colours)
    def put(self, key, colours):
        self.index += 1
        old = self.model.get(key)
        row = Row(key, colours, self.index, self.index)
        touched = self.table.put(row, index=self.index)
        self.model[key] = row
        expected = {("rows",), ("rows", "key", key)}
        expected |= {("rows", "colour", c) for c in (*colours, *(old.colours if old else ()))}
        assert set(touched) == expected

    @rule(key=keys)
    def delete(self, key):
        self.index += 1
        old = self.model.pop(key, None)
        touched = self.table.delete(key, index=self.index)
        assert bool(touched) == (old is not None)

    @rule(prefix=keys)
    def read_prefix(self, prefix):
        expected = sorted(k for k in self.model if k.startswith(prefix))
        assert list(self.table.prefix_keys(prefix)) == expected

    @invariant()
    def indexes_hold_what_the_rows_say(self):
        assert self.table.rows == self.model
        for colour in ("red", "blue", "green"):
            got = {row.key for row in self.table.by("colour", colour)}
            assert got == {k for k, row in self.model.items() if colour in row.colours}

    @invariant()
    def no_index_goes_backwards(self):
        for key in ("a", "b", "ab", "/"):
            now = self.table.key_index(key)
            assert now >= self.seen.get(key, 0)
            self.seen[key] = now


TestTable = TableMatchesADict.TestCase
TestTable.settings = settings(derandomize=True, max_examples=60, stateful_step_count=30)


@given(st.text(max_size=6), st.text(max_size=6))
@settings(derandomize=True)
def test_prefix_scan_finds_exactly_the_keys_that_begin_with_it(prefix, rest):
    table = make_table()
    key = prefix + rest
    table.put(Row(key, (), 1, 1), index=1)
    assert list(table.prefix_keys(prefix)) == [key]


def test_an_entry_left_empty_remembers_when():
    table = make_table()
    table.put(Row("a", ("red",), 3, 3), index=3)
    table.delete("a", index=7)
    assert table.entry_index("colour", "red") == 7
    assert table.key_index("a") == 7
    assert list(table.entries("colour")) == []
