"""What can go wrong in this room, and who can mend it."""

from __future__ import annotations


class RaftError(Exception):
    """Base of every error that Raft raises on purpose."""


class NotLeader(RaftError):
    """Ask the leader instead: this member cannot take the request, and surely has not.

    ``leader`` is its id, or ``None`` while there is none; then try again soon.
    """

    def __init__(self, leader: int | None) -> None:
        super().__init__("not the leader" if leader is not None else "no leader is known")
        self.leader = leader


class Busy(RaftError):
    """Too much is waiting, or leadership is moving: the caller should slow down and try again."""


class EntryTooLarge(RaftError):
    """The caller must send less: ``size`` bytes were proposed, ``limit`` are allowed."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the entry has {size} bytes; at most {limit} are allowed")
        self.size = size
        self.limit = limit


class OutcomeUnknown(RaftError):
    """The proposal may or may not be committed; the caller must look before it repeats it."""


class ChangeRefused(RaftError):
    """The membership change cannot be made now; the sentence tells the operator why."""


class InvalidChange(RaftError):
    """A membership change that no configuration of that kind can take."""


class MalformedMessage(RaftError):
    """A peer sent bytes that are none of our messages. Close the stream to it."""


class StorageError(RaftError):
    """The disk refused or failed. The member must end; the sentence is for the operator."""


class DataDirectoryInUse(StorageError):
    """Another process has this data directory open. Stop it, or choose another directory."""


class CorruptStorage(StorageError):
    """What is on disk is not what was written. Two ways out, and both are the operator's.

    Wipe the directory and join as a new member, or recover the cluster from a backup.
    """

    def __init__(self, fact: str) -> None:
        super().__init__(
            f"{fact}; wipe this data directory and join as a new member, "
            "or recover from a backup of it"
        )
