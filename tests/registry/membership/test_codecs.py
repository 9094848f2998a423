"""What goes over the wire, and what happens to what should never have come."""

from functools import partial
from random import Random

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.registry.membership import lzw, messages, serf_messages, wire
from lictor.registry.membership.errors import KeyringError, MalformedMessage
from lictor.registry.membership.keyring import Keyring
from lictor.registry.membership.messages import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    MemberState,
    Nack,
    Ping,
    PushPull,
    Suspect,
)
from lictor.registry.membership.packets import PacketCodec, compound
from lictor.registry.membership.streams import (
    StreamReader,
    UserMessage,
    seal_stream,
    stream_prefix,
)

KEYS = (b"a" * 16, b"b" * 24, b"c" * 32)
VSN = bytes((1, 5, 2, 2, 5, 4))
number = st.integers(0, 2**32 - 1)
port = st.integers(0, 2**16 - 1)
text = st.text(max_size=60)
short = st.binary(max_size=300)
gossip = st.one_of(
    st.builds(Ping, number, text, short, port, text),
    st.builds(IndirectPing, number, short, port, text, st.booleans()),
    st.builds(Ack, number, short),
    st.builds(Nack, number),
    st.builds(Suspect, number, text, text),
    st.builds(Alive, number, text, short, port, short, short),
    st.builds(Dead, number, text, text),
)
state = st.builds(MemberState, text, short, port, short, number, st.integers(0, 255), short)
ltime = st.integers(0, 2**64 - 1)
serf_message = st.one_of(
    st.builds(serf_messages.LeaveIntent, ltime, text, st.booleans()),
    st.builds(serf_messages.JoinIntent, ltime, text),
    st.builds(serf_messages.UserEventMessage, ltime, text, short, st.booleans()),
    st.builds(serf_messages.QueryResponse, ltime, number, text, number, short),
    st.builds(serf_messages.KeyResponse, st.booleans(), text, st.tuples(text, text), text),
    st.builds(
        serf_messages.SerfState,
        ltime,
        st.dictionaries(text, ltime, max_size=3),
        st.tuples(text),
        ltime,
        st.tuples(
            st.none(),
            st.builds(
                serf_messages.EventsAt,
                ltime,
                st.tuples(st.builds(serf_messages.BufferedEvent, text, short)),
            ),
        ),
        ltime,
    ),
)


def reason_of(use):
    """Why ``use`` was refused; ``None`` if it was not."""
    try:
        use()
    except MalformedMessage as error:
        return error.reason
    return None


def codec(*, keys=(), label="", compress=True, verify_incoming=True):
    rng = Random(7)
    return PacketCodec(
        keyring=Keyring(keys) if keys else None,
        nonce=lambda: rng.randbytes(12),
        label=label,
        compress=compress,
        verify_incoming=verify_incoming,
    )


@given(message=gossip)
def test_gossip_comes_back_as_it_went(message):
    assert messages.decode(messages.encode(message)) == message


@given(message=serf_message)
def test_serf_messages_come_back_as_they_went(message):
    assert serf_messages.decode(serf_messages.encode(message)) == message


@given(message=gossip)
def test_what_we_write_has_no_types_that_old_readers_do_not_know(message):
    fields = msgpack.unpackb(messages.encode(message)[1:], raw=True)
    assert all(isinstance(each, bytes | int | bool) for each in fields.values())
    assert msgpack.packb(fields, use_bin_type=False) == messages.encode(message)[1:]


def test_a_ping_is_written_as_memberlist_writes_it():
    expected = b"\x00\x82\xa5SeqNo\x05\xa4Node\xa1n"
    assert messages.encode(Ping(5, "n")) == expected


@given(content=st.binary(max_size=5000))
def test_compression_loses_nothing(content):
    assert lzw.decompress(lzw.compress(content), limit=5000) == content


def test_compression_survives_a_full_table():
    content = Random(1).randbytes(40_000)
    assert lzw.decompress(lzw.compress(content), limit=40_000) == content


def test_a_bomb_is_not_unfolded():
    with pytest.raises(MalformedMessage, match="oversized"):
        lzw.decompress(lzw.compress(bytes(100_000)), limit=99_999)


@given(content=st.binary(max_size=400))
def test_any_bytes_are_decompressed_or_refused(content):
    refused = reason_of(lambda: lzw.decompress(content, limit=10_000))
    assert refused in (None, "wrong compression", "oversized")


@pytest.mark.parametrize("keys", [(), KEYS[:1], KEYS[1:2], KEYS[2:]])
@pytest.mark.parametrize("label", ["", "blue"])
@settings(max_examples=10)
@given(sent=st.lists(gossip, min_size=1, max_size=30), checksum=st.booleans())
def test_packets_come_back_as_they_went(keys, label, sent, checksum):
    there = codec(keys=keys, label=label)
    parts = [messages.encode(message) for message in sent]
    (content,) = compound(parts)
    assert there.open(there.seal(content, checksum=checksum)) == parts


@pytest.mark.parametrize("keys", [(), KEYS[2:]])
@settings(max_examples=15)
@given(states=st.lists(state, max_size=20), user=short, step=st.integers(1, 700))
def test_streams_come_back_as_they_went_however_they_are_cut(keys, states, user, step):
    there = codec(keys=keys, label="blue")
    for sent in (PushPull(tuple(states), user, join=True), UserMessage(user), Ping(3, "n")):
        content = stream_prefix(there) + seal_stream(there, sent)
        reader = StreamReader(there, accepted=True)
        results = [reader.feed(content[at : at + step]) for at in range(0, len(content), step)]
        assert results[-1] == sent
        assert results[:-1] == [None] * (len(results) - 1)


@pytest.mark.parametrize("keys", [(), KEYS[2:]])
@given(content=st.binary(max_size=300))
def test_any_bytes_are_opened_or_refused(keys, content):
    there = codec(keys=keys)
    reader = StreamReader(there, limit=1000, accepted=True)
    for use in (there.open, reader.feed):
        refused = reason_of(partial(use, content))
        assert refused is None or len(refused) < 40


@given(message=gossip, at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_an_encrypted_packet_with_one_bit_changed_is_refused(message, at, bit):
    there = codec(keys=KEYS)
    packet = bytearray(there.seal(messages.encode(message), checksum=False))
    packet[at % len(packet)] ^= 1 << bit
    with pytest.raises(MalformedMessage):
        there.open(bytes(packet))


def test_a_packet_of_another_key_is_refused_and_of_any_own_key_taken():
    packet = codec(keys=KEYS[:1]).seal(b"\x0b\x80", checksum=False)
    assert codec(keys=(KEYS[2], KEYS[0])).open(packet) == [b"\x0b\x80"]
    with pytest.raises(MalformedMessage, match="no key fits"):
        codec(keys=KEYS[1:]).open(packet)


def test_a_plain_packet_passes_only_while_encryption_is_rolled_out():
    packet = codec().seal(b"\x0b\x80", checksum=False)
    with pytest.raises(MalformedMessage):
        codec(keys=KEYS).open(packet)
    assert codec(keys=KEYS, verify_incoming=False).open(packet) == [b"\x0b\x80"]


def test_compounds_in_compounds_end_somewhere():
    content = b"\x0b\x80"
    for _ in range(6):
        (content,) = compound([content, b"\x0b\x80"])
    with pytest.raises(MalformedMessage, match="too deep"):
        codec().open(content)


@given(content=st.recursive(st.none() | st.integers() | short, st.lists, max_leaves=8))
def test_a_message_with_wrong_fields_is_refused(content):
    try:
        packed = msgpack.packb({"Node": content, "Incarnation": content}, use_bin_type=False)
    except OverflowError:
        return
    refused = reason_of(lambda: messages.decode(b"\x03" + packed))
    assert refused in (None, "wrong fields", "not msgpack")


def test_strings_of_newer_writers_are_read():
    packed = msgpack.packb({"Node": "n" * 40, "From": b"m" * 40}, use_bin_type=True)
    assert wire.unpack(Dead, packed) == Dead(0, "n" * 40, "m" * 40)


def test_a_keyring_rotates_and_keeps_its_primary():
    keyring = Keyring(KEYS[:1])
    keyring.install(KEYS[2])
    keyring.use(KEYS[2])
    assert keyring.keys == (KEYS[2], KEYS[0])
    with pytest.raises(KeyringError, match="Removing the primary key is not allowed"):
        keyring.remove(KEYS[2])
    keyring.remove(KEYS[0])
    assert Keyring.load(keyring.dump()).keys == (KEYS[2],)
    with pytest.raises(KeyringError, match="16, 24 or 32"):
        keyring.install(b"short")
