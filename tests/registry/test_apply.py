"""Commands applied to a state: what they store, refuse and touch."""

import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictor.registry import commands
from lictor.registry.answers import Answers
from lictor.registry.apply import APPLY, apply
from lictor.registry.commands import (
    SERVER,
    CompareAndDeleteKey,
    CompareAndSetKey,
    CreateSession,
    DeleteIntention,
    DeleteKey,
    DeleteTree,
    DeregisterEntity,
    DestroySession,
    Entry,
    LockKey,
    RegisterEntity,
    SetIntention,
    SetKey,
    UnlockKey,
    encode,
)
from lictor.registry.errors import Refused
from lictor.registry.queries import ListKeys, NameServices, ReadKey, ServiceHealth
from lictor.registry.records import (
    DEFAULT_WEIGHTS,
    NO_CONNECT,
    NO_DEFINITION,
    NO_PROXY,
    HealthCheck,
    Node,
    NodeService,
    Session,
    SourceIntention,
)
from lictor.registry.state.store import State

SECOND = 1_000_000_000


class Log:
    """A state, and commands applied to it one by one."""

    def __init__(self):
        self.state = State()
        self.answers = Answers(self.state)
        self.index = 0
        self.time = 0

    def do(self, command):
        self.index += 1
        result, topics = apply(self.state, encode(Entry(self.time, SERVER, command)), self.index)
        self.answers.touch(topics)
        self.touched = topics
        return result


def node(name, **changes):
    plain = Node(
        id="", name=name, address="10.0.0.1", datacenter="dc1", tagged_addresses=None, meta=None,
        create_index=0, modify_index=0,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def service(name, **changes):
    plain = NodeService(
        id=name, name=name, tags=None, address="", meta=None, port=80, weights=DEFAULT_WEIGHTS,
        enable_tag_override=False, proxy=NO_PROXY, connect=NO_CONNECT,
        create_index=0, modify_index=0,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def check(node_name, check_id, **changes):
    plain = HealthCheck(
        node=node_name, check_id=check_id, name=check_id, status="passing", notes="", output="",
        service_id="", service_name="", service_tags=None, type="", definition=NO_DEFINITION,
        create_index=0, modify_index=0,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def session(session_id, node_name, **changes):
    plain = Session(
        id=session_id, name="", node=node_name, lock_delay=15 * SECOND, behavior="release", ttl="",
        node_checks=("serfHealth",), service_checks=None, create_index=0, modify_index=0,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


SESSION = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def live(log):
    """A log with one live node, ``n1``."""
    log.do(RegisterEntity(node("n1"), checks=(check("n1", "serfHealth"),)))
    return log


def test_every_command_has_a_row():
    assert set(APPLY) == set(typing.get_args(commands.AnyCommand))


def test_tags_are_unique():
    tags = [command.__struct_config__.tag for command in APPLY]
    assert len(set(tags)) == len(tags)


def test_a_write_of_the_same_content_moves_nothing(log):
    log.do(SetKey("a", b"1", 7))
    log.do(SetKey("a", b"1", 7))
    assert log.touched == set()
    assert log.state.kv.rows["a"].modify_index == 1


def test_create_index_stays_and_modify_index_moves(log):
    log.do(SetKey("a", b"1"))
    log.do(SetKey("b", b"1"))
    log.do(SetKey("a", b"2"))
    entry = log.state.kv.rows["a"]
    assert (entry.create_index, entry.modify_index) == (1, 3)


def test_cas_writes_only_at_the_index_seen(log):
    assert log.do(CompareAndSetKey("a", b"1", 0)) is True
    assert log.do(CompareAndSetKey("a", b"2", 0)) is False
    assert log.do(CompareAndSetKey("a", b"2", 1)) is True
    assert log.do(CompareAndSetKey("missing", b"2", 9)) is False
    assert log.do(CompareAndDeleteKey("a", 1)) is False
    assert log.do(CompareAndDeleteKey("a", 3)) is True
    assert log.do(CompareAndDeleteKey("a", 3)) is True


def test_delete_tree_takes_every_key_with_the_prefix(log):
    for key in ("m", "m0", "m/x", "n"):
        log.do(SetKey(key, b""))
    log.do(DeleteTree("m"))
    assert list(log.state.kv.rows) == ["n"]


def test_a_lock_has_one_holder(live):
    live.do(CreateSession(session(SESSION, "n1")))
    live.do(CreateSession(session(OTHER, "n1")))
    assert live.do(LockKey("k", b"1", SESSION)) is True
    assert live.do(LockKey("k", b"2", SESSION)) is True
    assert live.do(LockKey("k", b"3", OTHER)) is False
    assert live.state.kv.rows["k"].lock_index == 1
    assert live.do(UnlockKey("k", b"4", OTHER)) is False
    assert live.do(UnlockKey("k", b"4", SESSION)) is True
    assert live.do(LockKey("k", b"5", OTHER)) is True
    assert live.state.kv.rows["k"].lock_index == 2


def test_a_plain_write_keeps_the_holder_and_resets_the_lock_index(live):
    live.do(CreateSession(session(SESSION, "n1")))
    live.do(LockKey("k", b"1", SESSION))
    live.do(SetKey("k", b"2"))
    entry = live.state.kv.rows["k"]
    assert (entry.session, entry.lock_index) == (SESSION, 0)


def test_the_lock_delay_follows_an_invalidation_by_the_logs_own_time(live):
    live.do(CreateSession(session(SESSION, "n1")))
    live.do(LockKey("k", b"1", SESSION))
    live.do(DestroySession(SESSION))
    live.do(CreateSession(session(OTHER, "n1")))
    live.time = 14 * SECOND
    assert live.do(LockKey("k", b"1", OTHER)) is False
    live.time = 15 * SECOND
    assert live.do(LockKey("k", b"1", OTHER)) is True


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "failed session lookup: index error: UUID must be 36 characters"),
        (SESSION, f'invalid session "{SESSION}"'),
    ],
)
def test_locking_for_nobody_is_refused(log, text, sentence):
    result = log.do(LockKey("k", b"", text))
    assert isinstance(result, Refused)
    assert str(result) == sentence
    assert not log.state.kv.rows


@pytest.mark.parametrize("behavior", ["release", "delete"])
def test_a_critical_check_ends_the_session_and_frees_its_keys(live, behavior):
    live.do(CreateSession(session(SESSION, "n1", behavior=behavior)))
    live.do(LockKey("k", b"1", SESSION))
    live.do(
        RegisterEntity(
            node("n1"),
            checks=(check("n1", "serfHealth", status="critical"),),
            skip_node_update=True,
        )
    )
    assert not live.state.sessions.rows
    if behavior == "delete":
        assert not live.state.kv.rows
    else:
        assert live.state.kv.rows["k"].session == ""


def test_a_session_needs_its_node_and_living_checks(live):
    missing = live.do(CreateSession(session(SESSION, "nowhere")))
    assert str(missing) == "Missing node registration"
    unknown = live.do(CreateSession(session(SESSION, "n1", node_checks=("x",))))
    assert str(unknown) == "Missing check 'x' registration"


def test_a_registration_stands_or_falls_as_a_whole(log):
    bad = check("n2", "c", service_id="nosuch")
    result = log.do(RegisterEntity(node("n2"), service=service("web"), checks=(bad,)))
    assert str(result) == ('failed inserting check: Missing service registration on node "n2"')
    assert not log.state.nodes.rows
    assert not log.state.services.rows
    assert log.touched == set()


def test_a_check_learns_its_service(live):
    live.do(
        RegisterEntity(
            node("n1"),
            service=service("web", id="web1", tags=("a",)),
            checks=(check("n1", "c", service_id="web1"),),
            skip_node_update=True,
        )
    )
    stored = live.state.checks.rows["n1", "c"]
    assert (stored.service_name, stored.service_tags) == ("web", ("a",))


def test_deregistering_a_service_takes_its_checks(live):
    live.do(
        RegisterEntity(
            node("n1"), service=service("web"), checks=(check("n1", "c", service_id="web"),)
        )
    )
    live.do(DeregisterEntity("N1", service_id="web", check_id="serfHealth"))
    assert list(live.state.checks.rows) == [("n1", "serfHealth")]
    assert not live.state.services.rows


def test_deregistering_a_node_takes_everything_on_it(live):
    live.do(CreateSession(session(SESSION, "n1")))
    live.do(RegisterEntity(node("n1"), service=service("web")))
    live.do(DeregisterEntity("n1"))
    for table in (live.state.nodes, live.state.services, live.state.checks, live.state.sessions):
        assert not table.rows


def test_a_living_node_keeps_its_name(live):
    live.do(RegisterEntity(node("n1", id=SESSION)))
    result = live.do(RegisterEntity(node("n1", id=OTHER, address="10.9.9.9")))
    assert str(result) == (
        f'failed inserting node: Error while renaming Node ID: "{OTHER}": '
        f"Node name n1 is reserved by node {SESSION} with name n1 (10.0.0.1)"
    )


def test_a_known_node_cannot_take_a_living_nodes_name(live):
    live.do(RegisterEntity(node("n1", id=SESSION)))
    live.do(RegisterEntity(node("n2", id=OTHER)))
    result = live.do(RegisterEntity(node("n1", id=OTHER, address="10.9.9.9")))
    assert f'renaming Node ID: "{OTHER}" (10.9.9.9): Node name n1 is reserved' in str(result)


def test_a_node_id_moves_with_its_new_name(log):
    log.do(RegisterEntity(node("old", id=SESSION)))
    log.do(RegisterEntity(node("new", id=SESSION)))
    assert list(log.state.nodes.rows) == ["new"]


def test_intentions_keep_one_rule_a_source(log):
    allow = SourceIntention(name="web", action="allow", precedence=9, type="consul")
    wide = SourceIntention(name="*", action="deny", precedence=8, type="consul")
    log.do(SetIntention("db", wide))
    log.do(SetIntention("db", allow))
    log.do(SetIntention("db", msgspec.structs.replace(allow, action="deny")))
    entry = log.state.intentions.rows["db"]
    assert [(s.name, s.action) for s in entry.sources] == [("web", "deny"), ("*", "deny")]
    refused = log.do(SetIntention("db", allow, only_new=True))
    assert str(refused).startswith("duplicate intention found: DENY default/web => default/db")
    log.do(DeleteIntention("db", "web"))
    log.do(DeleteIntention("db", "*"))
    assert not log.state.intentions.rows


def test_only_answers_that_rest_on_a_change_are_dropped(live):
    live.do(RegisterEntity(node("n1"), service=service("web")))
    live.do(RegisterEntity(node("n2"), service=service("db")))
    web, db = (live.answers.get(ServiceHealth(name)) for name in ("web", "db"))
    live.do(RegisterEntity(node("n1"), checks=(check("n1", "extra"),)))
    assert (web.live, db.live) == (False, True)
    assert live.answers.get(ServiceHealth("db")) is db


@given(
    st.lists(st.tuples(st.sampled_from("sd"), st.text("ab/", min_size=1, max_size=3)), max_size=12),
    st.text("ab/", max_size=2),
)
@settings(derandomize=True)
def test_a_live_answer_is_what_asking_anew_would_give(steps, prefix):
    log = Log()
    questions = [ListKeys(prefix), ReadKey(prefix), NameServices()]
    for kind, key in steps:
        kept = [log.answers.get(question) for question in questions]
        log.do(SetKey(key, key.encode()) if kind == "s" else DeleteKey(key))
        for answer in kept:
            if answer.live:
                assert answer.value == Answers(log.state).get(answer.question).value


def test_a_prefix_index_never_goes_back_on_delete(log):
    log.do(SetKey("a/1", b""))
    log.do(SetKey("a/2", b""))
    log.do(SetKey("z", b""))
    log.do(DeleteKey("a/2"))
    assert log.answers.get(ListKeys("a/")).index == 4


def test_a_snapshot_holds_the_whole_state(live):
    live.do(RegisterEntity(node("n1"), service=service("web")))
    live.do(SetKey("a", b"\x00\xff"))
    live.do(SetKey("b", b""))
    live.do(DeleteKey("b"))
    live.do(CreateSession(session(SESSION, "n1")))
    live.do(LockKey("k", b"1", SESSION))
    live.do(DestroySession(SESSION))
    chunks = []
    write_to = live.state.snapshot()
    live.do(SetKey("later", b""))
    write_to(chunks.append)
    restored = State.restored(chunks)
    again = []
    restored.snapshot()(again.append)
    assert again == chunks
    assert "later" not in restored.kv.rows
    assert restored.kv.key_index("b") == live.state.kv.key_index("b")
    assert restored.lock_delays == live.state.lock_delays


@pytest.mark.parametrize("size", [1, 7, 100, 1_000_000])
def test_a_snapshot_may_be_cut_anywhere(live, size):
    live.do(RegisterEntity(node("n1"), service=service("web")))
    live.do(SetKey("a", b"\x00\xff" * 50))
    written = []
    live.state.snapshot()(written.append)
    stream = b"".join(written)
    cut = [stream[start : start + size] for start in range(0, len(stream), size)]
    again = []
    State.restored(cut).snapshot()(again.append)
    assert again == written
    with pytest.raises(ValueError, match="ends early"):
        State.restored([stream[:-1]])


def test_half_a_snapshot_is_refused(live):
    chunks = []
    live.state.snapshot()(chunks.append)
    with pytest.raises(ValueError, match="ends early"):
        State.restored(chunks[:-1])


def test_an_unknown_command_stops_the_process(log):
    newer = msgspec.msgpack.encode([0, ["", "", ""], {"type": "from-the-future"}])
    with pytest.raises(msgspec.DecodeError):
        apply(log.state, newer, 1)


def test_history_keeps_what_was_superseded(log):
    log.do(SetKey("a", b"1"))
    log.do(SetKey("a", b"2"))
    log.do(DeleteKey("a"))
    kept = log.state.history.of("kv", "a")
    assert [(item.record.value, item.index) for item in kept] == [(b"1", 2), (b"2", 3)]
