"""A process with one member on real storage: it prints each index once it is acknowledged."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lictor.raft.config import RaftConfig
from lictor.raft.node import Node
from lictor.raft.storage import SqliteStorage
from lictor.raft.system import system_runtime


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
        self.values = b"".join(chunks).split(b"\n")


async def main(directory: str, label: str) -> None:
    values = Values()
    node = Node(
        config=RaftConfig(bootstrap=True, snapshot_threshold=200, trailing_logs=50),
        runtime=system_runtime(),
        storage=SqliteStorage(Path(directory)),
        machine=values,
    )
    await node.start()
    print("found", *[value.decode() for value in values.values], flush=True)

    async def write(writer: int) -> None:
        number = 0
        while True:
            number += 1
            print("acked", await node.propose(f"{label}.{writer}.{number}".encode()), flush=True)

    await asyncio.gather(*[write(writer) for writer in range(8)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
