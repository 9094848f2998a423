"""Who begins a cluster, who comes in, who goes: decisions alone."""

from __future__ import annotations

import msgspec
import pytest

from lictor.raft.membership import Change, ChangeKind, ChangeSet, Configuration
from lictor.registry.cluster.decisions import Founders, founders, joining, leaving, promotable
from lictor.registry.cluster.tags import ServerInfo, server_info


def server(raft_id, **changes):
    plain = ServerInfo(
        name=f"s{raft_id}", node_id="", datacenter="dc1", address=f"10.0.0.{raft_id}", port=8300,
        raft_id=raft_id, expect=3, bootstrap=False, version="1.8.7",
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def test_all_that_wait_for_each_other_begin_with_the_same_configuration():
    everybody = [server(3), server(1), server(2)]
    found = [founders(me, everybody) for me in everybody]
    assert len({str(each) for each in found}) == 1
    assert isinstance(found[0], Founders)
    assert found[0].configuration == Configuration(
        voters=(1, 2, 3),
        addresses=((1, "10.0.0.1:8300"), (2, "10.0.0.2:8300"), (3, "10.0.0.3:8300")),
    )


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([], "1 of 3 expected servers are here"),
        ([server(2)], "2 of 3 expected servers are here"),
        ([server(2), server(3, datacenter="dc2")], "2 of 3 expected servers are here"),
        ([server(2), server(3, expect=5)], "s3 expects another number of servers"),
        (
            [server(2), server(3, bootstrap=True)],
            "a server of this data centre is in bootstrap mode",
        ),
    ],
)
def test_until_then_they_wait_and_say_for_whom(others, reason):
    assert founders(server(1), others) == reason


def test_more_than_expected_wait_to_be_brought_in():
    everybody = [server(number) for number in (1, 2, 3, 4)]
    assert isinstance(founders(everybody[0], everybody), Founders)
    assert founders(everybody[3], everybody) == "others begin the cluster"


def test_servers_come_in_one_at_a_time_as_learners_and_move_with_their_address():
    now = Configuration(voters=(1,), addresses=((1, "10.0.0.1:8300"),))
    change = joining(now, [server(1), server(3), server(2)], datacenter="dc1")
    assert change == ChangeSet((Change(ChangeKind.ADD_LEARNER, 2, "10.0.0.2:8300"),))
    moved = joining(now, [server(1, address="10.0.0.9")], datacenter="dc1")
    assert moved == ChangeSet((Change(ChangeKind.UPDATE, 1, "10.0.0.9:8300"),))
    assert joining(now, [server(1), server(2, datacenter="dc2")], datacenter="dc1") is None


@pytest.mark.parametrize(
    ("matched", "since", "promoted"),
    [(760, 0.0, 2), (749, 0.0, None), (1000, 1.0, None), (1000, None, None)],
)
def test_a_learner_votes_once_it_caught_up_and_was_healthy_long_enough(matched, since, promoted):
    found = promotable(
        Configuration(voters=(1,), learners=(2,)),
        matched={2: matched},
        commit_index=1000,
        stable_since={} if since is None else {2: since},
        now=10.0,
        max_trailing=250,
        stabilization=10.0,
    )
    assert found == promoted


def test_the_last_voter_never_leaves():
    three = Configuration(voters=(1, 2, 3))
    assert leaving(three, 2) == ChangeSet((Change(ChangeKind.REMOVE, 2),))
    assert leaving(three, 9) is None
    assert leaving(Configuration(voters=(1,)), 1) is None


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"role": "node"},
        {"role": "consul", "port": "8300"},
        {"role": "consul", "port": "many", "raft_id": "1"},
        {"role": "consul", "port": "0", "raft_id": "1"},
        {"role": "consul", "port": "8300", "raft_id": "-1"},
        {"role": "consul", "port": "8300", "raft_id": "1", "expect": "x"},
    ],
)
def test_tags_that_nobody_can_use_are_no_server(tags):
    assert server_info("a", "10.0.0.1", tags) is None
