"""A process with one member on real storage and a real network, told by lines on its input.

add ID HOST:PORT    make that one a voter          -> added
load LABEL          propose for ever, while leader -> acked VALUE, each time
dump                -> dump VALUE VALUE ...
leader              -> leader yes|no

It prints ``failed REASON`` and exits with 3 when its storage fails.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lictor.raft.config import RaftConfig
from lictor.raft.errors import RaftError
from lictor.raft.membership import Change, ChangeKind, ChangeSet
from lictor.raft.node import Node
from lictor.raft.storage import SqliteStorage
from lictor.raft.system import system_runtime
from lictor.raft.transport import PeerTransport


class Values:
    """The applied commands, in order."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def apply(self, entries: Sequence[tuple[int, bytes]]) -> Sequence[object]:
        self.values.extend(data for _, data in entries)
        return [data.decode() for _, data in entries]

    def snapshot(self) -> Callable[[Callable[[bytes], None]], None]:
        content = b"\n".join(self.values)
        return lambda write: write(content)

    def restore(self, chunks: Iterable[bytes]) -> None:
        content = b"".join(chunks)
        self.values = content.split(b"\n") if content else []


async def load(node: Node, label: str) -> None:
    async def write(writer: int) -> None:
        number = 0
        while True:
            number += 1
            try:
                value = await node.propose(f"{label}.{writer}.{number}".encode())
            except RaftError:
                await asyncio.sleep(0.02)
            else:
                print("acked", value, flush=True)

    await asyncio.gather(*[write(writer) for writer in range(8)])


async def main(directory: str, port: str, *, first: bool) -> None:
    runtime = system_runtime()
    values = Values()
    address = f"127.0.0.1:{port}"
    transport = PeerTransport(runtime, cluster="acceptance", address=address)
    node = Node(
        config=RaftConfig(
            bootstrap=first,
            address=address,
            snapshot_threshold=200,
            trailing_logs=50,
            election_ticks=12,
            tick=0.025,
        ),
        runtime=runtime,
        storage=SqliteStorage(Path(directory)),
        machine=values,
        transport=transport,
    )
    await transport.serve("127.0.0.1", int(port))
    await node.start()
    print("up", node.node_id, flush=True)

    def end(failed: asyncio.Future[BaseException]) -> None:
        print("failed", failed.result(), flush=True)
        os._exit(3)

    node.failed.add_done_callback(end)
    tasks = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *words = line.split()
        if command == "add":
            node.introduce(int(words[0]), words[1])
            change = Change(ChangeKind.ADD_VOTER, int(words[0]), words[1])
            await node.propose_change(ChangeSet((change,)))
            print("added", flush=True)
        elif command == "load":
            tasks.append(asyncio.create_task(load(node, words[0])))
        elif command == "dump":
            for task in tasks:
                task.cancel()
            await node.read_index()
            print("dump", *[value.decode() for value in values.values], flush=True)
        elif command == "leader":
            print("leader", "yes" if node.is_leader else "no", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], first=sys.argv[3] == "first"))
