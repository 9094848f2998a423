"""The core: health over time against a model, aliases, thresholds, what is published when."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lictor.registry.agent.definitions import (
    CheckRules,
    ServiceDefinition,
    health_check,
    node_service,
)
from lictor.registry.agent.events import CheckUpdated, ServiceGivenUp
from lictor.registry.agent.local import Local, LocalService, aggregate
from lictor.registry.agent.validation import check_type

SECOND = 1_000_000_000
IDS = ("a", "b", "c")


def service(name):
    return LocalService(record=node_service(ServiceDefinition(name=name)))


def add(local, check_id, service_id="", now=0.0, **said):
    rules = msgspec.convert(said, CheckRules)
    found = local.services[service_id].record if service_id else None
    record = health_check(check_id, rules, check_type(rules), node="n1", service=found)
    return local.add_check(record, rules, now=now)


def status(local, check_id):
    return local.checks[check_id].record.status


def output(local, check_id):
    return local.checks[check_id].record.output


class LocalMatchesADict(RuleBasedStateMachine):
    """TTL checks with patience: the model keeps what each last said, and when it ends."""

    def __init__(self):
        super().__init__()
        self.local = Local("n1", output_deferral=7.0)
        self.now = 0.0
        self.model = {}
        for name in IDS:
            self.local.add_service(service(name), now=0.0)

    @rule(name=st.sampled_from(IDS), ttl=st.integers(1, 20), patience=st.sampled_from([0, 90]))
    def register(self, name, ttl, patience):
        add(
            self.local,
            f"check-{name}",
            name,
            self.now,
            TTL=ttl * SECOND,
            DeregisterCriticalServiceAfter=patience * SECOND,
        )
        old = self.model.get(name)
        self.model[name] = {
            "ttl": ttl,
            "ends": self.now + ttl,
            "patience": patience,
            "status": old["status"] if old else "critical",
            "since": (old["since"] if old else self.now),
            "told": bool(old and old["told"] and not patience),
        }

    @rule(name=st.sampled_from(IDS), said=st.sampled_from(["passing", "warning", "critical"]))
    def renew(self, name, said):
        if name not in self.model:
            with pytest.raises(KeyError):
                self.local.renew(f"check-{name}", said, "", now=self.now)
            return
        self.local.renew(f"check-{name}", said, f"said at {self.now}", now=self.now)
        known = self.model[name]
        known["ends"] = self.now + known["ttl"]
        if said != "critical":
            known.update(since=None, told=False)
        elif known["status"] != "critical":
            known["since"] = self.now
        known["status"] = said

    @rule(name=st.sampled_from(IDS))
    def deregister(self, name):
        self.local.remove_check(f"check-{name}", now=self.now)
        self.model.pop(name, None)

    @rule(step=st.sampled_from([0.5, 3.0, 11.0, 40.0]))
    def time_passes(self, step):
        end = self.now + step
        given_up = set()
        while (at := self.local.next_deadline()) is not None and at <= end:
            self.now = max(self.now, at)
            for event in self.local.expire(now=self.now):
                if isinstance(event, ServiceGivenUp):
                    given_up.add(event.service_id)
        self.now = end
        wanted = set()
        for name, known in self.model.items():
            if known["ends"] is not None and known["ends"] <= end:
                if known["status"] != "critical":
                    known["since"] = known["ends"]
                known.update(status="critical", ends=None)
            patient = known["patience"] and known["since"] is not None and not known["told"]
            if patient and known["since"] + known["patience"] <= end:
                wanted.add(name)
                known["told"] = True
        assert given_up == wanted

    @invariant()
    def statuses_agree(self):
        assert {name: known["status"] for name, known in self.model.items()} == {
            check_id.removeprefix("check-"): check.record.status
            for check_id, check in self.local.checks.items()
        }

    @invariant()
    def only_output_is_held_back(self):
        for check in self.local.checks.values():
            if check.publish_at is None:
                assert check.published == check.record
            else:
                kept = msgspec.structs.replace(check.published, output=check.record.output)
                assert kept == check.record

    @invariant()
    def sleeps_no_longer_than_it_may(self):
        deadlines = [
            at
            for check in self.local.checks.values()
            for at in (check.ttl_at, check.publish_at, check.give_up_at)
            if at is not None
        ]
        assert self.local.next_deadline() == min(deadlines, default=None)


LocalMatchesADict.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, derandomize=True, deadline=None
)
TestLocal = LocalMatchesADict.TestCase


def run(local, *results):
    """Report results one after the other; the status after each."""
    seen = []
    for result in results:
        local.report("c", result, result, now=0.0)
        seen.append(status(local, "c"))
    return seen


def test_the_first_result_counts_and_then_it_takes_several():
    local = Local("n1")
    add(local, "c", HTTP="u", Interval=1, SuccessBeforePassing=3, FailuresBeforeCritical=3)
    assert run(local, "passing", *["critical"] * 3) == ["passing"] * 3 + ["critical"]
    assert run(local, *["passing"] * 3) == ["critical", "critical", "passing"]


def test_a_first_failure_counts_too():
    local = Local("n1")
    add(local, "c", HTTP="u", Interval=1, Status="passing", FailuresBeforeCritical=3)
    assert run(local, "critical") == ["critical"]


def test_below_the_threshold_output_stays_too():
    local = Local("n1")
    add(local, "c", HTTP="u", Interval=1, FailuresBeforeCritical=2)
    run(local, "passing", "critical")
    assert output(local, "c") == "passing"


def test_a_success_between_starts_the_count_anew():
    local = Local("n1")
    add(local, "c", HTTP="u", Interval=1, FailuresBeforeCritical=2)
    assert run(local, "passing", "critical", "warning", "critical", "critical") == [
        "passing",
        "passing",
        "warning",
        "warning",
        "critical",
    ]


def test_failures_may_warn_before_they_are_critical():
    local = Local("n1")
    add(local, "c", HTTP="u", Interval=1, FailuresBeforeWarning=2, FailuresBeforeCritical=3)
    assert run(local, "passing", *["critical"] * 3) == ["passing", "passing", "warning", "critical"]


def test_a_check_registered_again_keeps_status_output_and_patience():
    local = Local("n1")
    local.add_service(service("a"), now=0.0)
    said = {"TTL": SECOND * 500, "DeregisterCriticalServiceAfter": SECOND * 60}
    add(local, "c", "a", 0.0, **said)
    local.renew("c", "critical", "bad", now=10.0)
    add(local, "c", "a", 50.0, **said, Status="passing", Name="new")
    assert (status(local, "c"), output(local, "c")) == ("critical", "bad")
    assert local.checks["c"].record.name == "new"
    assert local.expire(now=59.0) == []
    assert local.expire(now=60.0) == [ServiceGivenUp("a", "c")]


def test_a_check_may_move_to_another_service():
    local = Local("n1")
    for name in ("a", "b"):
        local.add_service(service(name), now=0.0)
    add(local, "c", "a", TTL=SECOND)
    add(local, "c", "b", TTL=SECOND)
    local.remove_service("a", now=0.0)
    assert [each.record.service_id for each in local.checks_of("b")] == ["b"]


def test_an_alias_follows_what_it_aliases_and_the_node():
    local = Local("n1")
    add(local, "alias", AliasService="a")
    assert output(local, "alias") == "Service a could not be found on node "
    local.add_service(service("a"), now=0.0)
    assert (status(local, "alias"), output(local, "alias")) == ("passing", "No checks found.")
    add(local, "c", "a", TTL=SECOND * 9, Name="c")
    assert output(local, "alias") == 'Aliased check "c" failing: '
    local.renew("c", "passing", "", now=0.0)
    assert output(local, "alias") == "All checks passing."
    local.renew("c", "warning", "hot", now=0.0)
    assert (status(local, "alias"), output(local, "alias")) == (
        "warning",
        'Aliased check "c" failing: hot',
    )
    local.renew("c", "passing", "", now=0.0)
    local.start_maintenance("", "", now=0.0)
    assert status(local, "alias") == "critical"
    local.stop_maintenance("", now=0.0)
    assert status(local, "alias") == "passing"
    local.remove_service("a", now=0.0)
    assert output(local, "alias") == "Service a could not be found on node "


def test_aliases_of_aliases_follow_in_one_step():
    local = Local("n1")
    for name in ("a", "b", "d"):
        local.add_service(service(name), now=0.0)
    add(local, "on-d", "d", AliasService="b")
    add(local, "on-b", "b", AliasService="a")
    add(local, "c", "a", TTL=SECOND, Name="c", Status="passing")
    assert status(local, "on-d") == "passing"
    events = local.renew("c", "critical", "x", now=0.0)
    assert [event.check_id for event in events] == ["c", "on-b", "on-d"]
    assert status(local, "on-d") == "critical"


def test_aliases_in_a_ring_come_to_rest():
    local = Local("n1")
    for name in ("a", "b"):
        local.add_service(service(name), now=0.0)
    add(local, "on-a", "a", AliasService="b")
    add(local, "on-b", "b", AliasService="a")
    for turn in range(200):
        local.start_maintenance("a", "", now=turn)
        local.stop_maintenance("a", now=turn)
    assert len(output(local, "on-a")) <= 4096
    assert len(output(local, "on-b")) <= 4096


def test_an_alias_does_not_follow_itself():
    local = Local("n1")
    local.add_service(service("a"), now=0.0)
    add(local, "alias", AliasService="a")
    assert status(local, "alias") == "passing"


def test_discarded_output_shows_nowhere():
    local = Local("n1", discard_output=True)
    add(local, "c", TTL=SECOND)
    assert local.renew("c", "passing", "secret", now=0.0) == [CheckUpdated("c", published=True)]
    assert output(local, "c") == ""
    assert local.renew("c", "passing", "other", now=0.0) == []


def test_without_deferral_output_is_published_at_once():
    local = Local("n1", output_deferral=0.0)
    add(local, "c", TTL=SECOND, Status="passing")
    assert local.renew("c", "passing", "x", now=0.0) == [CheckUpdated("c", published=True)]
    assert local.checks["c"].published.output == "x"


def test_maintenance_keeps_its_first_reason_and_has_a_default_one():
    local = Local("n1")
    local.add_service(service("a"), now=0.0)
    local.start_maintenance("a", "", now=0.0)
    assert local.start_maintenance("a", "again", now=0.0) == []
    record = local.checks["_service_maintenance:a"].record
    assert record.notes == (
        "Maintenance mode is enabled for this service, but no reason was provided. "
        "This is a default message."
    )
    assert (record.name, record.type) == ("Service Maintenance Mode", "maintenance")
    assert aggregate([record]) == "maintenance"


def test_results_of_what_is_gone_change_nothing():
    local = Local("n1")
    assert local.report("gone", "passing", "", now=0.0) == []
    assert local.restore("gone", "passing", "", remaining=9, now=0.0) == []
