import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.raft.errors import MalformedMessage
from lictor.raft.membership import Configuration
from lictor.raft.messages import (
    AnyMessage,
    Append,
    EntryKind,
    Heartbeat,
    SnapshotHeader,
    SnapshotOffer,
    Vote,
    decode,
    encode,
    make_entry,
)

from .machines import entries

SAMPLES = [
    Vote(1, 2, 3, 9, 2, True),
    Append(1, 2, 3, 8, 2, 7, tuple(entries(9, [2, 3]))),
    Heartbeat(1, 2, 3, 7, 41),
    SnapshotOffer(1, 2, 3, SnapshotHeader(9, 2, Configuration((1, 2)), 100, b"x" * 32)),
]


@pytest.mark.parametrize("message", SAMPLES)
def test_a_message_survives_its_encoding(message):
    assert decode(encode(message)) == message


def test_every_message_has_its_own_tag():
    tags = [kind.__struct_config__.tag for kind in AnyMessage.__args__]
    assert len(set(tags)) == len(tags) == 13


def test_a_damaged_entry_is_refused():
    entry = make_entry(9, 3, EntryKind.COMMAND, b"payload")
    frame = encode(Append(1, 2, 3, 8, 2, 7, (entry,)))
    with pytest.raises(MalformedMessage, match="entry 9 is damaged"):
        decode(frame.replace(b"payload", b"pAyload"))


def test_entries_out_of_order_are_refused():
    with pytest.raises(MalformedMessage, match="stands where 9 belongs"):
        decode(encode(Append(1, 2, 3, 8, 2, 7, tuple(entries(10, [3])))))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 200), st.binary(max_size=3))
def test_bytes_of_a_peer_raise_one_error_only(message, at, junk):
    frame = encode(message)
    frame = frame[:at] + junk + frame[at + 1 :]
    try:
        decoded = decode(frame)
    except MalformedMessage:
        return
    assert isinstance(decoded, msgspec.Struct)
