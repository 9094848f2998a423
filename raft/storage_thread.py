"""Where the calls to a storage run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .runtime import Disk
from .storage import Storage

T = TypeVar("T")


class StorageThread:
    """Runs calls on the disk's storage thread, or at once where they do not block."""

    def __init__(self, storage: Storage, disk: Disk) -> None:
        self._inline = storage.inline
        self._disk = disk

    async def run(self, action: Callable[[], T]) -> T:
        """Run ``action``; calls run in the order made."""
        return action() if self._inline else await self._disk.run(action)

    async def aside(self, action: Callable[[], T]) -> T:
        """Run ``action``, which takes long, beside the others."""
        return action() if self._inline else await self._disk.run_aside(action)
