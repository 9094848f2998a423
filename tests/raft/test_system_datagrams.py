"""Datagrams by the batch keep to the contract of any network's."""

import asyncio
import socket

import pytest
from dnsworld.loopback import LoopbackNetwork

from lictor.raft.system_datagrams import _MMSG, BATCH, PACKET_SIZE, BatchedNetwork, BatchedTransport

pytestmark = pytest.mark.skipif(_MMSG is None, reason="batches are for 64-bit Linux")


class Echo(asyncio.DatagramProtocol):
    """Sends every packet back, ``copies`` times, at once or later."""

    def __init__(self, *, copies=1, later=False):
        self.copies = copies
        self.later = later
        self.peers = set()
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.lost.set()

    def datagram_received(self, data, addr):
        self.peers.add(addr)
        if self.later:
            asyncio.get_running_loop().call_soon(self.transport.sendto, data, addr)
            return
        for _ in range(self.copies):
            self.transport.sendto(data, addr)


class Collect(asyncio.DatagramProtocol):
    def __init__(self):
        self.packets = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.packets.put_nowait(data)


async def echoing(host="127.0.0.1", **settings):
    return await BatchedNetwork(LoopbackNetwork()).serve_datagrams(
        lambda: Echo(**settings), host, 0
    )


async def talk(address, packets, expected):
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(Collect, remote_addr=address)
    for packet in packets:
        transport.sendto(packet)
    got = [await client.packets.get() for _ in range(expected)]
    name = transport.get_extra_info("sockname")
    transport.close()
    return got, name


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_packets_and_peers_are_told_apart(host):
    listener, transport, echo = await echoing(host)
    assert isinstance(transport, BatchedTransport)
    packets = [bytes((n,)) * (n + 1) for n in range(BATCH * 2 + 5)]
    got, name = await talk(listener.address, packets, len(packets))
    assert got == packets
    assert echo.peers == {name}
    other, second = await talk(listener.address, [b"x"], 1)
    assert other == [b"x"]
    assert echo.peers == {name, second}
    await listener.close()


async def test_more_replies_than_a_batch_holds():
    listener, _, _ = await echoing(copies=3)
    packets = [bytes((n,)) * 100 for n in range(30)]
    got, _ = await talk(listener.address, packets, 90)
    assert sorted(got) == sorted(packets * 3)
    await listener.close()


async def test_a_reply_may_leave_later():
    listener, _, _ = await echoing(later=True)
    assert (await talk(listener.address, [b"a", b"b"], 2))[0] == [b"a", b"b"]
    await listener.close()


async def test_the_longest_packet_fits():
    listener, _, _ = await echoing()
    packet = b"z" * 65507
    assert len(packet) < PACKET_SIZE
    assert (await talk(listener.address, [packet], 1))[0] == [packet]
    await listener.close()


async def test_a_peer_that_went_away_does_not_stop_the_others():
    listener, transport, _ = await echoing()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.sendto(b"lost", listener.address)
    assert (await talk(listener.address, [b"kept"], 1))[0] == [b"kept"]
    transport.sendto(b"x" * 70000, ("127.0.0.1", 9))
    assert transport.lost == 1
    await listener.close()


async def test_closing_tells_the_protocol_once_and_frees_the_port():
    listener, transport, echo = await echoing()
    address = listener.address
    await listener.close()
    transport.close()
    await echo.lost.wait()
    assert transport.is_closing()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)


async def test_an_address_that_is_taken_is_an_error():
    listener, _, _ = await echoing()
    with pytest.raises(OSError, match="in use"):
        await BatchedNetwork(LoopbackNetwork()).serve_datagrams(
            Echo, "127.0.0.1", listener.address[1]
        )
    await listener.close()


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("written_to", ["127.0.0.1", "127.0.0.2", "127.9.8.7"])
async def test_a_reply_comes_from_the_address_that_was_written_to(written_to, later):
    """A connected socket, as every resolver's, takes replies from no other."""
    listener, _, _ = await echoing("0.0.0.0", later=later)
    packets = [bytes((n,)) for n in range(BATCH + 3)]
    got, _ = await talk((written_to, listener.address[1]), packets, len(packets))
    assert got == packets
    await listener.close()


@pytest.mark.parametrize("later", [False, True])
async def test_so_it_does_over_ipv6(later):
    listener, _, _ = await echoing("::", later=later)
    assert (await talk(("::1", listener.address[1]), [b"a", b"b"], 2))[0] == [b"a", b"b"]
    await listener.close()


async def test_a_protocol_that_breaks_loses_its_packet_only():
    class Brittle(Echo):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"break":
                raise ValueError(data)

    broken = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: broken.append(context["exception"]))
    listener, _, _ = await BatchedNetwork(LoopbackNetwork()).serve_datagrams(
        Brittle, "127.0.0.1", 0
    )
    assert (await talk(listener.address, [b"break"], 1))[0] == [b"break"]
    assert (await talk(listener.address, [b"whole"], 1))[0] == [b"whole"]
    assert [str(error) for error in broken] == ["b'break'"]
    await listener.close()
