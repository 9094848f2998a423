"""State machines and nodes for the tests."""

import asyncio
import struct
from random import Random

from lictor.raft.config import RaftConfig
from lictor.raft.membership import Configuration
from lictor.raft.memory import MemoryStorage
from lictor.raft.messages import EntryKind, make_entry
from lictor.raft.node import Node
from lictor.raft.runtime import Runtime
from lictor.raft.system import system_runtime

ONE = Configuration(voters=(1,))


def entries(first, terms, *, data=b"x"):
    return [
        make_entry(index, term, EntryKind.COMMAND, data) for index, term in enumerate(terms, first)
    ]


class Ledger:
    """Keeps every command in order. A command that starts with ``!`` is refused."""

    def __init__(self):
        self.commands: list[tuple[int, bytes]] = []
        self.restored = 0

    def apply(self, given):
        self.commands.extend(given)
        return [ValueError(data.decode()) if data[:1] == b"!" else index for index, data in given]

    def snapshot(self):
        copied = list(self.commands)

        def encode(write):
            for index, data in copied:
                write(struct.pack(">QI", index, len(data)) + data)

        return encode

    def restore(self, chunks):
        content = b"".join(chunks)
        self.commands = []
        self.restored += 1
        at = 0
        while at < len(content):
            index, size = struct.unpack_from(">QI", content, at)
            self.commands.append((index, content[at + 12 : at + 12 + size]))
            at += 12 + size


def make_node(storage=None, machine=None, *, runtime=None, **config):
    real = runtime or system_runtime()
    return Node(
        config=RaftConfig(bootstrap=True, **config),
        runtime=Runtime(clock=real.clock, rng=Random(7), disk=real.disk, network=real.network),
        storage=storage if storage is not None else MemoryStorage(),
        machine=machine if machine is not None else Ledger(),
    )


async def outcomes(futures):
    return await asyncio.gather(*futures, return_exceptions=True)


async def until(condition):
    """Give the loop back until ``condition`` holds."""
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")
