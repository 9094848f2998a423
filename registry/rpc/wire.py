"""What crosses the wire between agents: frames, calls and their outcomes.

    preface: b"LRPC" | u8 version          once, from who connects
    frame:   u32 length | u32 call id | payload (MessagePack)

Raft's streams share the port; their first byte is never ``L``.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final, TypeAlias, Union

import msgspec

from lictor.registry import errors
from lictor.registry.commands import AnyCommand, Origin
from lictor.registry.errors import RegistryError, Unavailable
from lictor.registry.queries import RESULTS, Filtered, Mode, Question

PREFACE: Final = b"LRPC\x01"
FRAME_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of one frame; a longer one ends the connection."""

HEAD: Final = Struct(">II")


class Write(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Have the leader replicate a command."""

    command: AnyCommand
    origin: Origin


class Renew(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Have the leader start a session's lease again."""

    session: str


class Status(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Ask a server who it is and where it stands; the result is a :class:`Standing`."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """A server's answer to :class:`Status`."""

    raft_id: int
    members: tuple[int, ...]
    """Raft ids of its configuration; empty while it belongs to no cluster."""

    founders: tuple[int, ...]
    """With whom it would begin a cluster; empty while it would not."""

    leader: str = ""
    """``host:port`` of the leader; empty while none is known."""

    peers: tuple[str, ...] = ()
    """``host:port`` of every member."""


AnyQuestion: Any = Union[tuple(RESULTS)]  # noqa: UP007 - known only when the table is


class Read(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Ask a server a question; the result is a :class:`Reading`."""

    question: AnyQuestion
    expression: str
    """A filter over the answer; empty for none."""

    mode: Mode
    index: int
    wait: float


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """An answer from afar."""

    index: int
    known_leader: bool
    last_contact: float
    """Seconds."""

    value: msgspec.Raw
    """Of the type that ``RESULTS`` has for the question."""


Call: TypeAlias = Write | Renew | Status | Read


class Returned(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The call's result: of plain types, or a record as the caller knows to decode it."""

    value: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The call failed with an error of ``registry/errors.py``, or one that nobody expected."""

    kind: str
    message: str


class Elsewhere(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Surely not done: only the leader can, and this server is not it."""

    leader: str
    """``host:port`` of the leader; empty while none is known."""


Outcome: TypeAlias = Returned | Failed | Elsewhere

_encoder = msgspec.msgpack.Encoder()
_calls: msgspec.msgpack.Decoder[Call] = msgspec.msgpack.Decoder(Call)
_outcomes: msgspec.msgpack.Decoder[Outcome] = msgspec.msgpack.Decoder(Outcome)

KINDS: Final[dict[str, type[RegistryError]]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, RegistryError)
}
"""Errors that cross the wire as themselves."""


class MalformedFrame(RegistryError):
    """A peer sent what is no frame of ours; the connection ends."""


def frame(call_id: int, message: Call | Outcome) -> bytes:
    """The bytes of one message."""
    payload = _encoder.encode(message)
    return HEAD.pack(len(payload) + 4, call_id) + payload


def split(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take every whole frame off the front of ``buffer``: (call id, payload).

    Raises:
        MalformedFrame: a frame is longer than allowed.
    """
    found: list[tuple[int, bytes]] = []
    at = 0
    while len(buffer) - at >= HEAD.size:
        length, call_id = HEAD.unpack_from(buffer, at)
        if not 4 <= length <= FRAME_LIMIT:
            message = f"a frame of {length} bytes"
            raise MalformedFrame(message)
        if len(buffer) - at < 4 + length:
            break
        found.append((call_id, bytes(buffer[at + HEAD.size : at + 4 + length])))
        at += 4 + length
    del buffer[:at]
    return found


def decode_call(payload: bytes) -> Call:
    """The call in ``payload``.

    Raises:
        MalformedFrame: it is none.
    """
    try:
        return _calls.decode(payload)
    except msgspec.DecodeError as error:
        raise MalformedFrame(str(error)) from error


def decode_outcome(payload: bytes) -> Outcome:
    """The outcome in ``payload``.

    Raises:
        MalformedFrame: it is none.
    """
    try:
        return _outcomes.decode(payload)
    except msgspec.DecodeError as error:
        raise MalformedFrame(str(error)) from error


def reading_call(question: Question, *, mode: Mode, index: int, wait: float) -> Read:
    """The call that asks ``question``."""
    if isinstance(question, Filtered):
        return Read(question.question, question.expression, mode, index, wait)
    return Read(question, "", mode, index, wait)


def question_of(call: Read) -> Question:
    """The question that ``call`` asks."""
    asked: Question = call.question
    return Filtered(asked, call.expression) if call.expression else asked


def value_of(question: Question, reading: Reading) -> Any:
    """The answer's value, typed as the question promises."""
    plain = question.question if isinstance(question, Filtered) else question
    return msgspec.msgpack.decode(reading.value, type=RESULTS[type(plain)])


def encoded(value: object) -> msgspec.Raw:
    """``value`` as the wire carries it."""
    return msgspec.Raw(_encoder.encode(value))


def returned(value: object) -> Returned:
    """A result, encoded."""
    return Returned(msgspec.Raw(_encoder.encode(value)))


def failed(error: BaseException) -> Failed:
    """An error, so that the caller can raise its like."""
    name = type(error).__name__
    if name in KINDS:
        return Failed(name, str(error))
    if isinstance(error, RegistryError):
        return Failed("RegistryError", str(error))
    return Failed("RegistryError", "internal error")


def raised(failure: Failed) -> RegistryError:
    """The error that ``failure`` stands for, in the words of a caller far away.

    Source: observed; Consul marks whatever came back over RPC so.
    """
    kind = KINDS.get(failure.kind, RegistryError)
    return kind(f"rpc error making call: {failure.message}")


def result_of(outcome: Returned, kind: Any = Any) -> Any:
    """The value of a result, as ``kind``."""
    try:
        return msgspec.msgpack.decode(outcome.value, type=kind)
    except msgspec.DecodeError as error:
        raise Unavailable(f"rpc error making call: {error}") from error
