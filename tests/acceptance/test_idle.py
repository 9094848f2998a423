"""What an agent costs that has nothing to do."""

from __future__ import annotations

from acceptance.processes import Agent

IDLE_MEMORY = 80_000_000
"""Bytes of resident memory that an idle agent stays below."""


def test_an_idle_agent_is_small(make_agent):
    agent: Agent = make_agent()
    agent.start()
    assert agent.resident_bytes() < IDLE_MEMORY
