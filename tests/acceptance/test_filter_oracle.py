"""The recorded answers to filters, asked of a real Consul again."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from acceptance.processes import Agent

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

CASES = Path(__file__).parents[1] / "registry" / "filter_cases"
PREFIX = "Failed to create boolean expression evaluator: "

ENDPOINTS = {
    "nodes": ("/v1/catalog/nodes", lambda row: row["Node"]),
    "checks": ("/v1/health/node/flt-a", lambda row: row["CheckID"]),
    "services": ("/v1/catalog/node-services/flt-a", lambda row: row["ID"]),
    "catalog services": ("/v1/catalog/service/flt-web", lambda row: row["ServiceID"]),
    "health": ("/v1/health/service/flt-web", lambda row: row["Service"]["ID"]),
}


@pytest.fixture(scope="module")
def catalog(consul_agent: Agent):
    """A Consul that has the recorded catalogue."""
    registrations = json.loads((CASES / "catalog.json").read_text())
    for registration in registrations:
        consul_agent.put("/v1/catalog/register", registration)
    yield consul_agent
    for node in {registration["Node"] for registration in registrations}:
        consul_agent.put("/v1/catalog/deregister", {"Node": node})


def asked(agent: Agent, kind: str, text: str) -> object:
    path, name = ENDPOINTS[kind]
    response = agent.request("GET", f"{path}?filter={quote(text, safe='')}")
    if response.status == 500:
        return response.text.removeprefix(PREFIX)
    rows = response.json()
    named = map(name, rows["Services"] or () if kind == "services" else rows)
    return [one for one in named if one.startswith("flt-")]


def test_a_real_consul_answers_as_recorded(catalog):
    answers = [json.loads(line) for line in (CASES / "answers.jsonl").read_text().splitlines()]
    assert len(answers) > 700
    different = [
        (kind, text, recorded, now)
        for kind, text, recorded in answers
        if (now := asked(catalog, kind, text)) != recorded
    ]
    assert different == []
