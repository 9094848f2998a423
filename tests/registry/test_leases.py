"""Leases against a model that is only a dict."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lictor.registry.leases import LEASE_FACTOR, Leases

sessions = st.sampled_from("abcd")
seconds = st.integers(0, 30)


class LeasesMatchADict(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.leases = Leases()
        self.model = {}
        self.now = 0.0

    @rule(session=sessions, ttl=seconds)
    def renew(self, session, ttl):
        self.leases.renew(session, ttl=ttl, now=self.now)
        self.model[session] = self.now + ttl * LEASE_FACTOR

    @rule(session=sessions)
    def cancel(self, session):
        self.leases.cancel(session)
        self.model.pop(session, None)

    @rule(step=seconds)
    def time_passes(self, step):
        self.now += step
        due = sorted(s for s, deadline in self.model.items() if deadline <= self.now)
        assert sorted(self.leases.expire(now=self.now)) == due
        for session in due:
            del self.model[session]

    @invariant()
    def wakes_for_the_earliest(self):
        assert self.leases.next_deadline() == min(self.model.values(), default=None)

    @invariant()
    def holds_exactly_the_living(self):
        assert len(self.leases) == len(self.model)
        assert all(self.leases.holds(session) for session in self.model)


TestLeases = LeasesMatchADict.TestCase
TestLeases.settings = settings(derandomize=True, max_examples=60, stateful_step_count=30)
