"""Rules of the paper that random runs and traces seldom reach, one by one."""

from random import Random

import pytest

from lictor.raft.config import CoreConfig
from lictor.raft.core import Core, Role
from lictor.raft.errors import Busy, ChangeRefused, NotLeader
from lictor.raft.log import Log
from lictor.raft.membership import Change, ChangeKind, ChangeSet, Configuration, encode
from lictor.raft.messages import (
    Append,
    AppendReply,
    EntryKind,
    Goodbye,
    HardState,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    SnapshotHeader,
    SnapshotOffer,
    TimeoutNow,
    Vote,
    VoteReply,
    make_entry,
)

from .machines import entries

THREE = Configuration(voters=(1, 2, 3))


def make_core(me=1, *, log=None, hard=None, configuration=THREE, **config):
    settings = {"pre_vote": False, "check_quorum": False, "boot_ticks": 0, **config}
    return Core(
        CoreConfig(node_id=me, election_ticks=10, heartbeat_ticks=2, **settings),
        log=log or Log(),
        hard=hard or HardState(),
        configuration=configuration,
        rng=Random(me),
    )


def turn(core):
    """Do what there is to do; the messages that left."""
    sent = []
    while (ready := core.ready()) is not None:
        sent += ready.messages + ready.after_persist
        for entry in ready.committed:
            if entry.kind == EntryKind.CHANGE:
                core.apply_change(entry)
        core.advance(ready)
    return sent


def elect(core):
    core.campaign()
    turn(core)
    for voter in core.configuration.all_voters:
        if voter != core.id:
            core.step(VoteReply(voter, core.id, core.term))
    sent = turn(core)
    assert core.role is Role.LEADER
    return sent


def pick(messages, kind, to=None):
    return [each for each in messages if isinstance(each, kind) and to in (None, each.to)]


def test_figure_8_an_old_entry_on_a_majority_is_not_yet_committed():
    """Raft paper, section 5.4.2 and figure 8."""
    core = make_core(log=Log(entries=entries(1, [1, 2])), hard=HardState(3, 0, 1))
    elect(core)
    core.step(AppendReply(2, 1, core.term, 2))  # the entry of term 2 is on a majority now
    assert core.log.committed == 1
    core.step(AppendReply(2, 1, core.term, 3))
    assert core.log.committed == 3


def test_a_follower_commits_no_further_than_the_matched_prefix():
    core = make_core(2, log=Log(entries=entries(1, [1, 1, 1, 1])), hard=HardState(1))
    core.step(Append(1, 2, 2, 1, 1, 4, ()))  # entries 2 to 4 may be others on the leader
    assert core.log.committed == 1


@pytest.mark.parametrize(
    ("vote", "candidate", "last", "granted"),
    [
        (0, 2, (3, 2), True),
        (0, 2, (9, 1), False),  # longer, but of an older term
        (0, 2, (1, 3), True),
        (0, 2, (2, 2), False),
        (2, 2, (3, 2), True),  # the same candidate asks again
        (3, 2, (3, 2), False),
    ],
)
def test_who_gets_a_vote(vote, candidate, last, granted):
    """Raft paper, sections 5.2 and 5.4.1."""
    core = make_core(log=Log(entries=entries(1, [1, 2, 2])), hard=HardState(4, vote, 0))
    core.step(Vote(candidate, 1, 4, *last))
    (reply,) = pick(turn(core), VoteReply)
    assert reply.reject is not granted
    assert core.vote == (candidate if granted else vote)


def test_a_vote_and_its_term_are_on_disk_before_it_leaves():
    core = make_core()
    core.step(Vote(2, 1, 5, 0, 0))
    assert core.take_messages() == []
    ready = core.ready()
    assert (ready.hard, ready.must_sync) == (HardState(5, 2, 0), True)
    assert pick(ready.after_persist, VoteReply)


def test_a_candidate_asks_for_votes_only_after_its_own_is_on_disk():
    core = make_core()
    core.campaign()
    ready = core.ready()
    assert (ready.messages, len(pick(ready.after_persist, Vote))) == ([], 2)


def test_a_fresh_pre_vote_changes_nobodys_term_or_timer():
    core = make_core(hard=HardState(3))
    for _ in range(5):
        core.tick()
    core.step(PreVote(2, 1, 9, 0, 0))
    (reply,) = pick(turn(core), PreVoteReply)
    assert (reply.reject, reply.term) == (False, 9)
    assert (core.term, core.vote, core.election_elapsed) == (3, 0, 5)


def test_pre_votes_are_no_votes():
    core = make_core(pre_vote=True)
    core.campaign()
    turn(core)
    core.step(PreVoteReply(2, 1, core.term + 1))
    assert core.role is Role.CANDIDATE
    turn(core)
    core.step(PreVoteReply(3, 1, core.term))
    assert core.role is Role.CANDIDATE


def test_votes_are_counted_by_sender_and_the_first_answer_stands():
    core = make_core(configuration=Configuration(voters=(1, 2, 3, 4, 5)))
    core.campaign()
    turn(core)
    for reject in (False, False, False):
        core.step(VoteReply(2, 1, core.term, reject))
    assert core.role is Role.CANDIDATE
    core.step(VoteReply(3, 1, core.term))
    assert core.role is Role.LEADER


def test_who_hears_a_leader_elects_nobody_else_unless_it_is_a_transfer():
    core = make_core(check_quorum=True)
    core.step(Heartbeat(2, 1, 1, 0))
    turn(core)
    core.step(Vote(3, 1, 2, 9, 9))
    assert (core.term, pick(turn(core), VoteReply)) == (1, [])
    core.step(Vote(3, 1, 2, 9, 9, transfer=True))
    assert (core.term, len(pick(turn(core), VoteReply))) == (2, 1)


def test_a_restarted_voter_grants_nothing_for_one_election_timeout():
    core = make_core(check_quorum=True, boot_ticks=10)
    core.step(Vote(3, 1, 2, 9, 9))
    assert pick(turn(core), VoteReply) == []
    for _ in range(10):
        core.tick()
    core.step(Vote(3, 1, 2, 9, 9))
    assert [reply.reject for reply in pick(turn(core), VoteReply)] == [False]


def test_a_leader_that_hears_no_quorum_steps_down():
    core = make_core(check_quorum=True)
    elect(core)
    for _ in range(20):
        core.tick()
    assert core.role is Role.FOLLOWER


def test_a_sole_voter_leads_on_its_own():
    core = make_core(configuration=Configuration(voters=(1,)), check_quorum=True, pre_vote=True)
    core.campaign()
    turn(core)
    assert core.role is Role.LEADER
    for _ in range(50):
        core.tick()
    assert core.role is Role.LEADER
    core.read_index(7)
    assert [(read.context, read.index) for read in core.take_reads()] == [(7, 1)]


@pytest.mark.parametrize("configuration", [Configuration((2,), (), (1,)), Configuration((2,))])
def test_who_is_no_voter_and_has_nothing_to_hand_over_never_stands(configuration):
    core = make_core(
        log=Log(entries=entries(1, [1])), hard=HardState(1, 0, 1), configuration=configuration
    )
    turn(core)
    for _ in range(200):
        core.tick()
    core.step(TimeoutNow(2, 1, 1))
    assert (core.role, core.term) == (Role.FOLLOWER, 1)


def test_nobody_stands_while_a_committed_change_is_not_applied():
    change = ChangeSet((Change(ChangeKind.REMOVE, 1),))
    entry = make_entry(1, 1, EntryKind.CHANGE, encode(change))
    core = make_core(log=Log(entries=[entry]), hard=HardState(1, 0, 1))
    core.campaign()
    assert core.role is Role.FOLLOWER


def test_a_member_whose_term_ran_ahead_is_freed():
    """A message of an older term is answered, so that the leader learns of the newer one."""
    core = make_core(hard=HardState(9), check_quorum=True)
    core.step(Heartbeat(2, 1, 3, 0))
    (reply,) = pick(turn(core), AppendReply)
    assert (reply.to, reply.term) == (2, 9)
    leader = make_core(2, hard=HardState(3))
    leader.step(reply)
    assert leader.term == 9


def test_a_replayed_snapshot_changes_nothing():
    core = make_core(2, log=Log(entries=entries(1, [1] * 5)), hard=HardState(1, 0, 5))
    turn(core)
    core.step(SnapshotOffer(1, 2, 1, SnapshotHeader(3, 1, THREE)))
    assert (core.log.last_index, core.log.pending_snapshot) == (5, None)
    assert [reply.index for reply in pick(turn(core), AppendReply)] == [5]


def test_a_snapshot_that_the_log_holds_only_commits():
    core = make_core(2, log=Log(entries=entries(1, [1] * 5)), hard=HardState(1, 0, 1))
    turn(core)
    core.step(SnapshotOffer(1, 2, 1, SnapshotHeader(4, 1, THREE)))
    assert (core.log.last_index, core.log.committed) == (5, 4)


def test_a_snapshots_configuration_waits_for_its_installation():
    """A write in flight may still hand out changes that the snapshot covers."""
    add = encode(ChangeSet((Change(ChangeKind.ADD_LEARNER, 4),)))
    core = make_core(2, hard=HardState(1))
    core.step(Append(1, 2, 1, 0, 0, 1, (make_entry(1, 1, EntryKind.CHANGE, add),)))
    ready = core.ready()
    later = Configuration(voters=(1, 2))
    core.step(SnapshotOffer(1, 2, 1, SnapshotHeader(9, 1, later)))
    assert core.configuration == THREE
    assert core.apply_change(ready.committed[0]).learners == (4,)
    core.advance(ready)
    turn(core)
    assert (core.configuration, core.log.applied) == (later, 9)


def test_only_one_change_may_be_pending():
    core = make_core()
    elect(core)
    core.step(AppendReply(2, 1, core.term, 1))
    turn(core)
    core.propose_change(ChangeSet((Change(ChangeKind.ADD_LEARNER, 4),)))
    with pytest.raises(ChangeRefused, match="pending at index 2"):
        core.propose_change(ChangeSet((Change(ChangeKind.ADD_LEARNER, 5),)))


def test_a_new_leader_takes_its_whole_log_for_a_pending_change():
    core = make_core(log=Log(entries=entries(1, [1, 1])), hard=HardState(1))
    elect(core)
    with pytest.raises(ChangeRefused, match="pending at index 2"):
        core.propose_change(ChangeSet((Change(ChangeKind.ADD_LEARNER, 4),)))


def test_a_change_that_leaves_no_voter_is_refused():
    core = make_core(configuration=Configuration(voters=(1,)))
    core.campaign()
    turn(core)
    with pytest.raises(ChangeRefused, match="removed all voters"):
        core.propose_change(ChangeSet((Change(ChangeKind.REMOVE, 1),)))


def test_in_a_joint_configuration_both_halves_must_hold_an_entry():
    joint = Configuration(voters=(1, 2, 3), outgoing=(1, 4, 5))
    core = make_core(configuration=joint)
    elect(core)
    for member in (2, 3):
        core.step(AppendReply(member, 1, core.term, 1))
    assert core.log.committed == 0
    core.step(AppendReply(4, 1, core.term, 1))
    assert core.log.committed == 1


def test_nothing_is_proposed_during_a_transfer_and_it_ends_by_itself():
    core = make_core()
    elect(core)
    core.step(AppendReply(2, 1, core.term, 1))
    core.transfer(2)
    assert pick(core.take_messages(), TimeoutNow, to=2)
    with pytest.raises(Busy):
        core.propose([b"x"])
    for _ in range(10):
        core.tick()
    core.propose([b"x"])


def test_a_transfer_waits_until_the_other_has_everything():
    core = make_core()
    elect(core)
    core.transfer(2)
    assert not pick(core.take_messages(), TimeoutNow)
    core.step(AppendReply(2, 1, core.term, 1))
    assert pick(core.take_messages(), TimeoutNow, to=2)
    with pytest.raises(ChangeRefused, match="no voter"):
        core.transfer(9)


def test_a_read_needs_a_commit_of_this_term_and_a_round_that_began_after_it():
    core = make_core()
    elect(core)
    turn(core)
    core.tick()
    core.tick()  # round 1 leaves before the read is asked
    core.read_index(7)
    core.step(HeartbeatReply(2, 1, core.term, 1))
    core.step(AppendReply(2, 1, core.term, 1))  # the first commit of the term starts round 2
    assert core.take_reads() == []
    (heartbeat,) = [
        each for each in core.take_messages() if each == Heartbeat(1, 2, core.term, 1, 2)
    ]
    core.step(HeartbeatReply(2, 1, core.term, 1))  # an old answer proves nothing
    assert core.take_reads() == []
    core.step(HeartbeatReply(2, 1, core.term, heartbeat.round))
    assert [(read.context, read.index) for read in core.take_reads()] == [(7, 1)]


def test_reads_that_come_during_a_round_share_the_next():
    core = make_core()
    elect(core)
    core.step(AppendReply(2, 1, core.term, 1))
    turn(core)
    for context in (1, 2, 3):
        core.read_index(context)
    assert len(pick(core.take_messages(), Heartbeat, to=2)) == 1
    core.step(HeartbeatReply(2, 1, core.term, 1))
    assert [read.context for read in core.take_reads()] == [1]
    assert len(pick(core.take_messages(), Heartbeat, to=2)) == 1
    core.step(HeartbeatReply(2, 1, core.term, 2))
    assert [read.context for read in core.take_reads()] == [2, 3]


def test_a_followers_read_goes_through_the_leader():
    core = make_core(2)
    with pytest.raises(NotLeader):
        core.read_index(5)
    core.step(Heartbeat(1, 2, 1, 0))
    turn(core)
    core.read_index(5)
    assert core.take_messages() == [ReadIndex(2, 1, 1, 5)]
    core.step(ReadIndexReply(1, 2, 1, 5, 33))
    assert [(read.context, read.index) for read in core.take_reads()] == [(5, 33)]


def test_a_stranger_that_campaigns_is_told_goodbye():
    core = make_core(check_quorum=True)
    elect(core)
    turn(core)
    core.step(PreVote(9, 1, core.term + 1, 5, 5))
    assert [type(each) for each in core.take_messages()] == [Goodbye]


def test_a_leader_that_is_no_voter_any_more_hands_over():
    core = make_core(configuration=Configuration(voters=(1, 2)))
    elect(core)
    core.step(AppendReply(2, 1, core.term, 1))
    turn(core)
    core.propose_change(ChangeSet((Change(ChangeKind.REMOVE, 1),)))
    turn(core)
    core.step(AppendReply(2, 1, core.term, 2))
    turn(core)
    assert (core.configuration.voters, core.role) == ((2,), Role.LEADER)
    with pytest.raises(NotLeader):
        core.propose([b"x"])
    sent = []
    for _ in range(2):
        core.tick()
        sent += core.take_messages()
    assert pick(sent, TimeoutNow, to=2)


def test_who_was_removed_with_the_longest_log_stands_to_hand_over():
    two = Configuration(voters=(2,))
    core = make_core(
        log=Log(entries=entries(1, [1, 1, 1])), hard=HardState(1, 0, 1), configuration=two
    )
    turn(core)
    for _ in range(60):
        core.tick()
    assert core.role is Role.CANDIDATE
    turn(core)
    core.step(VoteReply(2, 1, core.term))
    assert core.role is Role.LEADER
