"""Live answers: evaluated once, served until something they rest on changes.

Whoever asks an equal question gets the same :class:`Answer`. When a command touches a topic that
the answer rests on, the answer is dropped and whoever waits on it is woken; ten thousand watchers
of one service cost one evaluation and one encoding.

Invariants
    I1  ``_answers[q].live`` for every question held, and only for those.
    I2  ``_by_topic[t]`` has exactly the live answers that rest on ``t``.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from typing import Any, Final

import msgspec

from .queries import Question, ask
from .state.store import State
from .state.table import Topic
from .state.view import View

MAX_ANSWERS: Final = 20_000
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of encoded bodies and topics, as reckoned by ``_cost``."""

MAX_PASSED_OVER: Final = 32
"""Watched answers that one eviction skips before it lets the bound be exceeded."""

TOPIC_COST: Final = 150
"""Bytes reckoned for one topic of one answer."""

_encoder = msgspec.json.Encoder(order="deterministic")


def encode_json(value: object) -> bytes:
    """``value`` as Go's encoder prints it: compact, maps sorted, ``<``, ``>`` and ``&`` escaped."""
    body = _encoder.encode(value)
    if b"<" in body or b">" in body or b"&" in body:
        body = body.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    if b"\xe2\x80" in body:
        body = body.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return body


class Answer:
    """The answer to one question at one state. Read-only for everybody but :class:`Answers`."""

    __slots__ = (
        "_body", "_changed", "_owner", "index", "live", "question", "topics", "value", "watchers",
    )  # fmt: skip

    def __init__(
        self, question: Question, value: Any, index: int, topics: set[Topic], owner: Answers
    ) -> None:
        self.question = question
        self.value = value
        self.index = index
        """The highest index among what was read."""
        self.topics = topics
        self.live = True
        """False once something it rests on has changed."""
        self.watchers = 0
        """How many wait for it to change; they count themselves in and out."""
        self._owner = owner
        self._body: bytes | None = None
        self._changed: asyncio.Event | None = None

    @property
    def body(self) -> bytes:
        """The value as JSON, encoded once."""
        if self._body is None:
            self._body = encode_json(self.value)
            self._owner.encodings += 1
            if self.live:
                self._owner.grew(self, len(self._body))
        return self._body

    @property
    def cost(self) -> int:
        """Bytes it is reckoned to hold."""
        return TOPIC_COST * len(self.topics) + (len(self._body) if self._body else 0)

    def changed(self) -> asyncio.Event:
        """An event that is set when the answer is no longer live."""
        if self._changed is None:
            self._changed = asyncio.Event()
            if not self.live:
                self._changed.set()
        return self._changed

    def drop(self) -> None:
        """Mark it untrue and wake its watchers. :class:`Answers` calls this."""
        self.live = False
        if self._changed is not None:
            self._changed.set()


class Answers:
    """The live answers over one state."""

    def __init__(
        self, state: State, *, max_answers: int = MAX_ANSWERS, max_bytes: int = MAX_BYTES
    ) -> None:
        self.state = state
        self.evaluations = 0
        self.encodings = 0
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._answers: OrderedDict[Question, Answer] = OrderedDict()
        self._by_topic: dict[Topic, set[Answer]] = {}
        self._prefix_lengths: dict[str, Counter[int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, question: Question) -> Answer:
        """The live answer to ``question``, evaluated now if there is none."""
        answer = self._answers.get(question)
        if answer is not None:
            self._answers.move_to_end(question)
            return answer
        view = View(self.state)
        value = ask(view, question)
        self.evaluations += 1
        answer = Answer(question, value, view.index, view.topics, self)
        self._answers[question] = answer
        for topic in answer.topics:
            self._by_topic.setdefault(topic, set()).add(answer)
            if len(topic) == 3 and topic[1] == "prefix":
                lengths = self._prefix_lengths.setdefault(str(topic[0]), Counter())
                lengths[len(str(topic[2]))] += 1
        self._bytes += answer.cost
        self._evict()
        return answer

    def touch(self, topics: set[Topic]) -> None:
        """Drop every answer that rests on one of ``topics``; wake its watchers."""
        by_topic = self._by_topic
        if not by_topic:
            return
        for topic in topics:
            for answer in tuple(by_topic.get(topic, ())):
                self._forget(answer)
            if len(topic) == 3 and topic[1] == "key" and topic[0] in self._prefix_lengths:
                self._touch_prefixes(str(topic[0]), str(topic[2]))

    def reset(self, state: State) -> None:
        """Answer from ``state``, another one, from here on; everybody is woken."""
        self.state = state
        for answer in tuple(self._answers.values()):
            self._forget(answer)

    def grew(self, answer: Answer, size: int) -> None:
        """Account for a body that was encoded after the answer was kept."""
        self._bytes += size
        self._evict(keep=answer)

    def _touch_prefixes(self, table: str, key: str) -> None:
        for length in tuple(self._prefix_lengths[table]):
            if length <= len(key):
                watched = self._by_topic.get((table, "prefix", key[:length]), ())
                for answer in tuple(watched):
                    self._forget(answer)

    def _forget(self, answer: Answer) -> None:
        if self._answers.pop(answer.question, None) is None:
            return
        self._bytes -= answer.cost
        for topic in answer.topics:
            holders = self._by_topic[topic]
            holders.discard(answer)
            if not holders:
                del self._by_topic[topic]
            if len(topic) == 3 and topic[1] == "prefix":
                lengths = self._prefix_lengths[str(topic[0])]
                length = len(str(topic[2]))
                lengths[length] -= 1
                if not lengths[length]:
                    del lengths[length]
        answer.drop()

    def _evict(self, keep: Answer | None = None) -> None:
        """Let the longest unasked answers go while the bounds are exceeded; watched ones stay."""
        if len(self._answers) <= self._max_answers and self._bytes <= self._max_bytes:
            return
        passed_over = 0
        while passed_over < MAX_PASSED_OVER and self._answers:
            if len(self._answers) <= self._max_answers and self._bytes <= self._max_bytes:
                return
            question, oldest = next(iter(self._answers.items()))
            if oldest is keep or oldest.watchers:
                self._answers.move_to_end(question)
                passed_over += 1
            else:
                self._forget(oldest)
