"""The group that all ACL commands hang on."""

from __future__ import annotations

from typing import Final

from lictor.cli.command import Group

acl: Final = Group(
    "acl",
    help="""
    Says who may do what: tokens are handed to people and programs, policies say
    what a token may do, roles bundle policies.

    Make the first token of a cluster, then a policy and a token that has it:

    $ lictor acl bootstrap
    $ lictor acl policy create -name=web-read -rules='service "web" { policy = "read" }'
    $ lictor acl token create -policy-name=web-read
    """,
)
