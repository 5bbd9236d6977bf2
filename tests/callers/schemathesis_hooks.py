"""Gives the requests that schemathesis generates an existing workspace. With a random one, all of them would get 404.

With a workspace of the local run, what the schemas call a name and an address is what the service must take.
"""

import os

import schemathesis

WORKSPACE = os.environ["CONTACTS_WORKSPACE"]


@schemathesis.hook
def before_call(_context, case, _kwargs):
    positive = case.meta is None or case.meta.generation.mode.is_positive
    if positive and isinstance(case.body, dict) and "workspaceId" in case.body:
        case.body["workspaceId"] = WORKSPACE
