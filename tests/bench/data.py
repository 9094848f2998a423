"""The data that both agents hold while they are measured."""

from __future__ import annotations

import json

from acceptance.processes import Agent

VALUE = "v" * 64
OTHER_SERVICES = 100
OTHER_KEYS = 200


def fill(agent: Agent) -> None:
    """A service with 3 instances, one with 50, a hundred others, and some keys."""
    agent.put("/v1/kv/bench/key", VALUE)
    for number in range(OTHER_KEYS):
        agent.put(f"/v1/kv/bench/other/{number}", VALUE)
    for service, instances in (("bench-3", 3), ("bench-50", 50)):
        for number in range(instances):
            register(agent, service, number)
    for number in range(OTHER_SERVICES):
        register(agent, f"other-{number}", number)


def register(agent: Agent, service: str, number: int) -> None:
    """One instance on a node of its own, with a node check and a service check."""
    node = f"bench-node-{number}"
    agent.put(
        "/v1/catalog/register",
        json.dumps(
            {
                "Node": node,
                "Address": f"10.9.0.{number + 1}",
                "Service": {
                    "ID": f"{service}-{number}",
                    "Service": service,
                    "Port": 8000 + number,
                    "Tags": ["bench", f"n{number}"],
                    "Meta": {"version": "1"},
                },
                "Checks": [
                    {"Node": node, "CheckID": "alive", "Name": "alive", "Status": "passing"},
                    {
                        "Node": node,
                        "CheckID": f"service:{service}-{number}",
                        "Name": "service",
                        "Status": "passing",
                        "Output": "HTTP GET http://10.9.0.1:8000/health: 200 OK Output: ok",
                        "ServiceID": f"{service}-{number}",
                    },
                ],
            }
        ),
    )
