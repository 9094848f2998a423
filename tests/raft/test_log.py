import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.raft.log import Log
from lictor.raft.membership import Configuration
from lictor.raft.messages import SnapshotHeader

from .machines import entries

EVERYTHING = {"max_bytes": 2**60, "max_entries": 2**60}


def terms(log):
    return [log.term(index) for index in range(log.first_index, log.last_index + 1)]


@pytest.mark.parametrize(
    ("prev", "sent", "expected"),
    [
        ((3, 3), [], [1, 2, 3]),  # nothing new
        ((1, 1), [2, 3], [1, 2, 3]),  # a duplicate
        ((1, 1), [2], [1, 2, 3]),  # a shorter duplicate must not shorten the log
        ((3, 3), [3, 3], [1, 2, 3, 3, 3]),
        ((1, 1), [4], [1, 4]),  # a conflict replaces what follows it
        ((2, 2), [4, 4], [1, 2, 4, 4]),
    ],
)
def test_only_a_conflict_truncates(prev, sent, expected):
    log = Log(entries=entries(1, [1, 2, 3]))
    proven = log.maybe_append(*prev, entries(prev[0] + 1, sent), 0)
    assert proven == prev[0] + len(sent)
    assert terms(log) == expected


def test_an_append_that_does_not_match_changes_nothing():
    log = Log(entries=entries(1, [1, 2, 3]))
    assert log.maybe_append(3, 4, entries(4, [4]), 4) is None
    assert log.maybe_append(9, 4, entries(10, [4]), 4) is None
    assert (terms(log), log.committed) == ([1, 2, 3], 0)


def test_commits_no_further_than_what_the_append_proved():
    log = Log(entries=entries(1, [1, 1, 1, 1, 1]))
    log.maybe_append(1, 1, entries(2, [1]), 5)
    assert log.committed == 2


def test_replacing_a_committed_entry_is_a_contradiction():
    log = Log(entries=entries(1, [1, 1, 1]))
    log.commit_to(2)
    with pytest.raises(AssertionError):
        log.maybe_append(1, 1, entries(2, [2]), 2)


def test_only_entries_of_the_own_term_are_committed_by_counting():
    """Raft paper, section 5.4.2."""
    log = Log(entries=entries(1, [1, 2, 4]))
    assert not log.maybe_commit(2, 4)
    assert log.maybe_commit(3, 4)
    assert log.committed == 3


@pytest.mark.parametrize(
    ("candidate", "granted"),
    [((3, 3), True), ((9, 2), False), ((1, 4), True), ((2, 3), False), ((4, 3), True)],
)
def test_who_is_up_to_date(candidate, granted):
    """Raft paper, section 5.4.1: the later term wins, then the longer log."""
    assert Log(entries=entries(1, [1, 2, 3])).is_up_to_date(*candidate) is granted


def test_a_write_proves_nothing_about_what_was_replaced_meanwhile():
    log = Log()
    log.append(entries(1, [1, 1, 1]))
    log.start_write()
    log.maybe_append(1, 1, entries(2, [2, 2]), 0)
    log.finish_write()
    assert log.stable == 1
    assert [entry.term for entry in log.unstable()] == [2, 2]


def test_a_slice_has_at_least_one_entry():
    log = Log(entries=entries(1, [1, 1, 1], data=b"x" * 100))
    assert len(log.slice(1, 4, max_bytes=1, max_entries=9)) == 1
    assert len(log.slice(1, 4, max_bytes=300, max_entries=9)) == 2
    assert len(log.slice(1, 4, max_bytes=2**30, max_entries=3)) == 3


def test_a_slice_of_what_is_compacted_is_refused():
    log = Log(entries=entries(1, [1, 1, 1]))
    log.commit_to(3)
    log.apply_to(3)
    log.compact(2)
    assert (log.first_index, log.term(2), log.term(1)) == (3, 1, None)
    with pytest.raises(IndexError):
        log.slice(2, 4, **EVERYTHING)


def test_compaction_keeps_what_is_not_applied_or_not_written():
    log = Log(entries=entries(1, [1, 1]))
    log.append(entries(3, [1]))
    log.commit_to(3)
    log.apply_to(3)
    log.compact(3)
    assert log.base_index == 2


def test_a_restored_log_waits_for_its_snapshot():
    log = Log(entries=entries(1, [1, 1]))
    log.restore(SnapshotHeader(9, 3, Configuration(voters=(1,))))
    assert (log.last_index, log.last_term, log.committed, log.applied) == (9, 3, 9, 0)
    assert log.next_committed(**EVERYTHING) == []


def test_trailing_entries_are_bounded_in_number_and_in_bytes():
    log = Log(entries=entries(1, [1] * 10, data=b"x" * 68))
    assert log.trailing(8, entries=3, size_bytes=2**20) == 5
    assert log.trailing(8, entries=9, size_bytes=250) == 6


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(1, 3), max_size=4)), max_size=8))
def test_sizes_and_terms_agree_with_a_list(steps):
    log, model, term = Log(), [], 1
    for after, grown in steps:
        after = min(after, len(model))
        new = []
        for step in grown:
            term += step
            new.append(term)
        log.append(entries(after + 1, new, data=b"x" * after))
        if new:
            model[after:] = [(each, after) for each in new]
        assert terms(log) == [each for each, _ in model]
        assert log.size_bytes == sum(32 + size for _, size in model)
        assert log.stable == 0
