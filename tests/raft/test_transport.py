"""Whatever a stranger sends, the members go on, and nothing of it is stepped."""

import asyncio
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.raft.messages import Append, Heartbeat, HeartbeatReply, encode
from lictor.raft.simulation import World
from lictor.raft.transport import (
    CONTROL,
    MESSAGE,
    UNGREETED_LIMIT,
    Hello,
    PeerTransport,
    Refused,
    Welcome,
    _decode_control,
    _frame,
    control_frame,
)

from .machines import entries

PORT = 8300
HELLO = Hello("test", 2, 1, "10.0.0.2:8300")


class Member:
    """What a transport tells."""

    def __init__(self, node_id, addresses):
        self.node_id = node_id
        self.addresses = addresses
        self.stepped = []
        self.lost = []
        self.content = b""

    def step(self, messages):
        self.stepped += messages

    def unreachable(self, member):
        self.lost.append(member)

    def introduce(self, member, address):
        self.addresses.setdefault(member, address)

    def address_of(self, member):
        return self.addresses.get(member)

    async def snapshot_piece(self, member, header, offset, size):
        return self.content[offset : offset + size]


class Stranger(asyncio.Protocol):
    def __init__(self):
        self.received = b""
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data

    def connection_lost(self, exc):
        self.lost.set()

    @property
    def answer(self):
        return _decode_control((self.received[5], self.received[6:])) if self.received else None


async def member(world, number, addresses):
    host = world.host(f"n{number}")
    me = Member(number, addresses)
    transport = PeerTransport(host.runtime, cluster="test", address=f"{host.address}:{PORT}")
    transport.attach(me)
    await transport.serve("0.0.0.0", PORT)
    return me, transport


async def stranger(world, *frames):
    host = world.host("stranger")
    _, protocol = await host.runtime.network.connect_stream(
        Stranger, world.host("n1").address, PORT, timeout=1.0
    )
    for frame in frames:
        protocol.transport.write(frame)
    await asyncio.sleep(0.1)
    return protocol


def play(story):
    with World(seed=1) as world:

        async def told():
            me, _ = await member(world, 1, {})
            await story(world, me)

        world.run(told())


def test_messages_arrive_in_order_and_answers_find_the_way_back():
    with World(seed=1) as world:

        async def story():
            for name in ("n1", "n2"):
                world.host(name)
            one, first = await member(world, 1, {2: f"{world.host('n2').address}:{PORT}"})
            two, second = await member(world, 2, {})
            sent = [Heartbeat(1, 2, 3, 4, number) for number in range(50)]
            first.send(sent[:1])
            await asyncio.sleep(0.1)
            first.send(sent[1:])
            await asyncio.sleep(0.1)
            assert two.stepped == sent
            second.send([HeartbeatReply(2, 1, 3, 49)])  # it was told our address
            await asyncio.sleep(0.1)
            assert one.stepped == [HeartbeatReply(2, 1, 3, 49)]

        world.run(story())


def test_what_cannot_leave_is_reported_and_only_news_is_kept():
    with World(seed=1) as world:

        async def story():
            world.host("n1")
            address = f"{world.host('n2').address}:{PORT}"
            one, first = await member(world, 1, {2: address})
            append = Append(1, 2, 3, 0, 0, 0, tuple(entries(1, [3])))
            first.send([append, Heartbeat(1, 2, 3, 0, 1), Heartbeat(1, 2, 3, 0, 2)])
            assert one.lost == [2]
            two, _ = await member(world, 2, {})
            await asyncio.sleep(5.0)
            assert two.stepped == [Heartbeat(1, 2, 3, 0, 2)]

        world.run(story())


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (Hello("other", 2, 1, ""), "another cluster"),
        (Hello("test", 2, 9, ""), "another member lives here"),
        (Welcome(), "a stream begins with a greeting"),
    ],
)
def test_strangers_are_refused_with_a_reason(hello, reason):
    async def story(world, me):
        there = await stranger(
            world, control_frame(hello), _frame(MESSAGE, encode(Heartbeat(2, 1, 3, 0, 1)))
        )
        assert (there.answer, me.stepped) == (Refused(reason), [])
        assert there.lost.is_set()

    play(story)


@pytest.mark.parametrize(
    "frames",
    [
        [struct.pack(">IBB", 2**31, 1, CONTROL)],  # a giant
        [struct.pack(">IBB", 70_000, 1, CONTROL)],  # too much before the greeting
        [struct.pack(">IBB", 1, 1, CONTROL)],  # less than a head
        [struct.pack(">IBB", 10, 9, CONTROL)],  # a version that is not ours
        [b"GET / HTTP/1.1\r\n\r\n"],
        [control_frame(HELLO), _frame(MESSAGE, b"\xff")],
        [control_frame(HELLO), _frame(7, b"")],
        [control_frame(HELLO), control_frame(HELLO)],
        [control_frame(HELLO), _frame(MESSAGE, encode(Heartbeat(3, 1, 3, 0, 1)))],  # not its own
    ],
)
def test_what_is_no_frame_of_ours_closes_the_stream(frames):
    async def story(world, me):
        there = await stranger(world, *frames)
        assert there.lost.is_set()
        assert me.stepped == []

    play(story)


def test_who_says_nothing_is_sent_away():
    async def story(world, me):
        there = await stranger(world)
        await asyncio.sleep(4.0)
        assert not there.lost.is_set()
        await asyncio.sleep(2.0)
        assert there.lost.is_set()

    play(story)


def test_only_so_many_may_say_nothing():
    async def story(world, me):
        there = await asyncio.gather(*[stranger(world) for _ in range(UNGREETED_LIMIT + 20)])
        await asyncio.sleep(1.0)
        assert sum(each.lost.is_set() for each in there) == 20

    play(story)


def test_a_newer_stream_of_a_peer_replaces_the_older():
    async def story(world, me):
        heartbeat = _frame(MESSAGE, encode(Heartbeat(2, 1, 3, 0, 1)))
        older = await stranger(world, control_frame(HELLO), heartbeat)
        newer = await stranger(world, control_frame(HELLO), heartbeat)
        assert (older.lost.is_set(), newer.lost.is_set()) == (True, False)
        assert len(me.stepped) == 2

    play(story)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 80), st.booleans())
def test_no_bytes_break_a_member(junk, at, greeted):
    async def story(world, me):
        frame = _frame(MESSAGE, encode(Append(2, 1, 3, 0, 0, 0, tuple(entries(1, [3])))))
        broken = frame[:at] + junk + frame[at + len(junk) :]
        await stranger(world, *([control_frame(HELLO)] if greeted else []), broken)
        there = await stranger(world, control_frame(HELLO))
        assert there.answer == Welcome()

    play(story)
