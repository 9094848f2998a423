"""Calls between agents: frames, outcomes, lost connections and hostile peers."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.raft.simulation import World
from lictor.registry.commands import SERVER, SetKey
from lictor.registry.errors import NotFound, Overloaded, Refused, Unavailable
from lictor.registry.queries import Filtered, ReadKey, ServiceHealth
from lictor.registry.records import KVEntry
from lictor.registry.rpc import connection
from lictor.registry.rpc.connection import Callee, Callers
from lictor.registry.rpc.port import Gate
from lictor.registry.rpc.wire import (
    FRAME_LIMIT,
    PREFACE,
    Elsewhere,
    Failed,
    MalformedFrame,
    Reading,
    Renew,
    Returned,
    Status,
    Write,
    decode_call,
    encoded,
    failed,
    frame,
    question_of,
    raised,
    reading_call,
    result_of,
    returned,
    split,
    value_of,
)

PORT = 8300


class Raft(asyncio.Protocol):
    """What takes the streams that are Raft's."""

    def __init__(self):
        self.received = b""

    def data_received(self, data):
        self.received += data


def served(world, handle):
    """A host that answers calls with ``handle``; returns its address and Raft's protocols."""
    host = world.host("server")
    streams = []

    def raft():
        streams.append(Raft())
        return streams[-1]

    gate = Gate()
    gate.open(raft=raft, calls=lambda: Callee(handle))
    world.run(host.runtime.network.serve_stream(gate, host.address, PORT))
    return f"{host.address}:{PORT}", streams


def test_frames_are_taken_off_the_front_wherever_they_were_cut():
    sent = b"".join(frame(number, Renew(f"s{number}")) for number in range(5))
    buffer, found = bytearray(), []
    for at in range(0, len(sent), 3):
        buffer += sent[at : at + 3]
        found += split(buffer)
    assert [(number, decode_call(payload)) for number, payload in found] == [
        (number, Renew(f"s{number}")) for number in range(5)
    ]
    assert not buffer


@pytest.mark.parametrize("length", [0, 3, FRAME_LIMIT + 1])
def test_a_frame_of_an_impossible_length_is_refused(length):
    with pytest.raises(MalformedFrame):
        split(bytearray(length.to_bytes(4, "big") + bytes(8)))


@given(st.binary(max_size=200))
@settings(derandomize=True)
def test_noise_is_a_malformed_frame_or_a_call(noise):
    with suppress(MalformedFrame):
        decode_call(noise)


def test_a_question_crosses_the_wire_with_its_filter_and_its_answer_with_its_type():
    asked = Filtered(ServiceHealth("web", tags=("a",)), "Service.Port == 80")
    call = reading_call(asked, mode="stale", index=7, wait=1.5)
    [(_, payload)] = split(bytearray(frame(1, call)))
    assert question_of(decode_call(payload)) == asked
    entry = KVEntry(lock_index=0, key="a", flags=0, value=b"\x00", create_index=1, modify_index=2)
    reading = Reading(3, True, 0.0, encoded(entry))
    assert value_of(ReadKey("a"), result_of(returned(reading), Reading)) == entry


def test_errors_come_back_as_themselves_and_say_that_they_come_from_afar():
    error = raised(failed(NotFound("Session id 'x' not found")))
    assert isinstance(error, NotFound)
    assert str(error) == "rpc error making call: Session id 'x' not found"
    assert str(raised(failed(ValueError("a secret")))) == "rpc error making call: internal error"


def test_many_calls_share_a_connection_and_come_back_in_any_order():
    async def handle(call):
        await asyncio.sleep(1.0 / int(call.session))
        return returned(call.session)

    async def story(world, address):
        callers = Callers(world.host("client").runtime.network)
        outcomes = await asyncio.gather(
            *(callers.call(address, Renew(str(number))) for number in range(1, 50))
        )
        await callers.close()
        return [result_of(outcome) for outcome in outcomes]

    with World(seed=1) as world:
        address, _ = served(world, handle)
        assert world.run(story(world, address)) == [str(number) for number in range(1, 50)]


def test_what_breaks_at_the_far_end_is_told_and_breaks_nothing_else():
    async def handle(call):
        if isinstance(call, Write):
            raise Refused("not this")
        if isinstance(call, Status):
            return Elsewhere("10.0.0.9:8300")
        raise ZeroDivisionError

    async def story(world, address):
        callers = Callers(world.host("client").runtime.network)
        calls = (Write(SetKey("a", b""), SERVER), Status(), Renew("x"))
        outcomes = [await callers.call(address, call) for call in calls]
        await callers.close()
        return outcomes

    with World(seed=1) as world:
        address, _ = served(world, handle)
        assert world.run(story(world, address)) == [
            Failed("Refused", "not this"),
            Elsewhere("10.0.0.9:8300"),
            Failed("RegistryError", "internal error"),
        ]


def test_a_connection_that_is_lost_leaves_the_outcome_open_and_is_made_again():
    async def handle(call):
        if call == Renew("never"):
            await asyncio.get_running_loop().create_future()
        return returned("done")

    async def story(world, address):
        callers = Callers(world.host("client").runtime.network)
        waiting = asyncio.ensure_future(callers.call(address, Renew("never")))
        await asyncio.sleep(1.0)
        for caller in callers._callers.values():
            caller.abort()
        with pytest.raises(Unavailable, match="rpc error making call: EOF"):
            await waiting
        assert isinstance(await callers.call(address, Renew("x")), Returned)
        with pytest.raises(TimeoutError):
            await callers.call("10.0.0.77:1", Renew("x"))
        await callers.close()

    with World(seed=1) as world:
        address, _ = served(world, handle)
        world.run(story(world, address))


def test_too_many_calls_are_refused_before_they_are_sent(monkeypatch):
    monkeypatch.setattr(connection, "MAX_CALLS", 2)

    async def handle(call):
        await asyncio.sleep(10.0)
        return returned("done")

    async def story(world, address):
        callers = Callers(world.host("client").runtime.network)
        await callers.call(address, Renew("opens the connection"))
        running = [asyncio.ensure_future(callers.call(address, Renew("x"))) for _ in range(2)]
        await asyncio.sleep(1.0)
        with pytest.raises(Overloaded):
            await callers.call(address, Renew("one too many"))
        await asyncio.gather(*running)
        await callers.close()

    with World(seed=1) as world:
        address, _ = served(world, handle)
        world.run(story(world, address))


class Stranger(asyncio.Protocol):
    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc):
        self.ended.set_result(None)


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\n\r\n", b"LRPC\x09", PREFACE + b"\xff\xff\xff\xff" + bytes(9), b""],
    ids=["http", "version", "giant", "silence"],
)
def test_strangers_on_the_port_are_sent_away(said):
    async def handle(call):
        raise AssertionError(call)

    async def story(world):
        host = world.host("server")
        transport, stranger = await world.host("client").runtime.network.connect_stream(
            Stranger, host.address, PORT, timeout=1.0
        )
        transport.write(said)
        await asyncio.wait_for(stranger.ended, 10.0)

    with World(seed=1) as world:
        served(world, handle)
        world.run(story(world))


def test_what_begins_with_a_zero_is_rafts():
    async def story(world):
        host = world.host("server")
        transport, _ = await world.host("client").runtime.network.connect_stream(
            Stranger, host.address, PORT, timeout=1.0
        )
        transport.write(b"\x00\x00")
        await asyncio.sleep(1.0)
        transport.write(b"\x01rest")
        await asyncio.sleep(1.0)
        transport.close()

    with World(seed=1) as world:
        _, streams = served(world, None)
        world.run(story(world))
        assert [stream.received for stream in streams] == [b"\x00\x00\x01rest"]
