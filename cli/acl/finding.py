"""From what a user types to the ID of what they mean: a whole ID, the start of one, or a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lictor.cli.client import Client
from lictor.cli.errors import AgentError, Failure, saying

from .layout import Object

ID_LENGTH: Final = 36
ANONYMOUS: Final = "00000000-0000-0000-0000-000000000002"
"""The token of those who have none; its name stands for its ID."""


@dataclass(frozen=True)
class Listed:
    """A kind of thing, and where all of its kind are listed."""

    noun: str
    path: str
    key: str = "ID"
    short: str = ""
    """What it is called where an ID matches nothing, if that is shorter."""

    def by_id(self, agent: Client, start: str) -> str:
        """The whole ID that begins with ``start``.

        Raises:
            AgentError: there is none, or more than one.
        """
        if len(start) == ID_LENGTH:
            return start
        noun = self.short or self.noun
        found = {one[self.key] for one in self._all(agent) if one[self.key].startswith(start)}
        if not found:
            raise AgentError(f"No such {noun} ID with prefix: {start}")
        if len(found) > 1:
            raise AgentError(f"Partial {noun} ID is not unique")
        return str(found.pop())

    def by_name(self, agent: Client, name: str) -> str:
        """The ID of the thing called ``name``.

        Raises:
            AgentError: there is none.
        """
        for one in self._all(agent):
            if one["Name"] == name:
                return str(one["ID"])
        raise AgentError(f"No such {self.noun} with name {name}")

    def chosen(self, agent: Client, identity: str, name: str = "") -> str:
        """The ID that ``-id`` or ``-name`` names.

        Raises:
            Failure: there is no such thing.
        """
        with saying(f"Error determining {self.noun} ID"):
            return self.by_id(agent, identity) if identity else self.by_name(agent, name)

    def _all(self, agent: Client) -> list[Object]:
        return agent.get(self.path).decode(list[Object])


POLICY: Final = Listed("policy", "/v1/acl/policies")
ROLE: Final = Listed("role", "/v1/acl/roles")
TOKEN: Final = Listed("token", "/v1/acl/tokens", key="AccessorID")
BINDING_RULE: Final = Listed("binding rule", "/v1/acl/binding-rules", short="rule")


def find_token(agent: Client, identity: str) -> str:
    """The accessor ID that ``-id`` names.

    Raises:
        Failure: there is no such token.
    """
    return ANONYMOUS if identity == "anonymous" else TOKEN.chosen(agent, identity)


def policy_links(agent: Client, ids: tuple[str, ...], names: tuple[str, ...]) -> list[Object]:
    """Links to policies. Names are the server's to resolve.

    Raises:
        Failure: an ID matches nothing.
    """
    return _links(agent, POLICY, ids, names)


def role_links(agent: Client, ids: tuple[str, ...], names: tuple[str, ...]) -> list[Object]:
    """Links to roles. Raises as :func:`policy_links`."""
    return _links(agent, ROLE, ids, names)


def _links(
    agent: Client, kind: Listed, ids: tuple[str, ...], names: tuple[str, ...]
) -> list[Object]:
    links: list[Object] = [{"Name": name} for name in names]
    for start in ids:
        # the blank before the colon is where Consul's tool forgets to name the ID
        with saying(f"Error resolving {kind.noun} ID "):
            links.append({"ID": kind.by_id(agent, start)})
    return links


def service_identities(texts: tuple[str, ...]) -> list[Object]:
    """Service identities from ``name`` or ``name:dc1,dc2``.

    Raises:
        Failure: a text has another form.
    """
    found: list[Object] = []
    for text in texts:
        name, *rest = text.split(":")
        if len(rest) > 1:
            raise Failure(f'Malformed -service-identity argument: "{text}"')
        identity: Object = {"ServiceName": name}
        if rest:
            identity["Datacenters"] = rest[0].split(",")
        found.append(identity)
    return found


def node_identities(texts: tuple[str, ...]) -> list[Object]:
    """Node identities from ``name:dc``.

    Raises:
        Failure: a text has another form.
    """
    found: list[Object] = []
    for text in texts:
        name, *rest = text.split(":")
        if len(rest) != 1:
            raise Failure(f'Malformed -node-identity argument: "{text}"')
        found.append({"NodeName": name, "Datacenter": rest[0]})
    return found


def merged(old: list[Object] | None, new: list[Object], keys: tuple[str, ...]) -> list[Object]:
    """``old`` and those of ``new`` that it does not have, by any of ``keys``."""
    result = list(old or ())
    for one in new:
        if not any(key in one and one[key] == had.get(key) for had in result for key in keys):
            result.append(one)
    return result
