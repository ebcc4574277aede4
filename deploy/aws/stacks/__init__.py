"""The account's own part, by CloudFormation: one stack a bucket, brought to infra/aws/template.yaml.

What would change is asked of CloudFormation first, as a change set, and shown before it is carried out.
The functions are those of `deploy.infrastructure.Infrastructure`.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from deploy.aws import accounts, clients
from deploy.aws.clients import told as _told
from deploy.aws.stacks import states
from deploy.aws.stacks.parameters import check as _check_settings
from deploy.aws.stacks.parameters import parameters, stack_name
from deploy.aws.stacks.states import DEAD, DONE, GONE, UNBORN, Stack
from deploy.config import Config
from deploy.infrastructure import Draft, Wish
from deploy.plan import Action, Change, Resource
from deploy.target import CloudError, Say

TEMPLATE = "template.yaml"
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
# CloudFormation's two sentences for a change set without changes.
UNCHANGED = ("didn't contain changes", "No updates are to be performed")
TAKEN = "name another in deploy.toml, or delete what has that name"
ACTIONS: Mapping[str, Action] = {"Add": "create", "Modify": "update", "Remove": "delete"}


def check(config: Config, wish: Wish) -> None:
    """Fail now if a setting is not the template's, or the credentials are not of deploy.toml's account."""
    _check_settings(wish.settings)
    accounts.check(config)


@_told()
def settle(config: Config, say: Say) -> None:
    """Return once the stack is not changing; one that failed at its first creation is deleted."""
    stack = states.settled(config, say)
    if stack["StackStatus"] in DEAD:
        clients.cloudformation(config.aws.region).delete_stack(StackName=stack["StackId"])
        left = states.settled(config, say, lambda found: found["StackStatus"] == GONE)
        if left["StackStatus"] != GONE:
            raise CloudError(f"stack {stack_name(config)} cannot be deleted: {states.why(config, left)}")


@_told()
def draft(config: Config, wish: Wish, say: Say) -> Draft:
    """A change set, which waits for `carry_out` or `discard`; none where nothing would change."""
    stack = states.described(config)
    _check_can_change(config, stack)
    before = {one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", [])}
    chosen = parameters(config, wish.settings, before)
    asked = clients.cloudformation(config.aws.region).create_change_set(
        StackName=stack_name(config),
        ChangeSetName=f"slipway-{uuid.uuid4()}",
        ChangeSetType="CREATE" if stack["StackStatus"] in {GONE, UNBORN} else "UPDATE",
        TemplateBody=(wish.folder / TEMPLATE).read_text("utf-8"),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in chosen.items()],
        Capabilities=CAPABILITIES,
    )
    begun = Draft(stack_name(config), id=asked["Id"])
    with _discarded_where_stopped(config, begun):
        return _compared(config, begun, say)


def _check_can_change(config: Config, stack: Stack) -> None:
    if stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
        name = stack_name(config)
        raise CloudError(
            f"stack {name} is UPDATE_ROLLBACK_FAILED: {states.why(config, stack)}. Mend that, then "
            f"`aws cloudformation continue-update-rollback --stack-name {name}`"
        )


@contextmanager
def _discarded_where_stopped(config: Config, draft: Draft) -> Iterator[None]:
    try:
        yield
    except BaseException:
        discard(config, draft)
        raise


def _compared(config: Config, begun: Draft, say: Say) -> Draft:
    found = _computed(config, begun, say)
    if found["Status"] != "FAILED":
        pages = clients.cloudformation(config.aws.region).get_paginator("describe_change_set")
        changes = [one for page in pages.paginate(ChangeSetName=begun.id) for one in page["Changes"]]
        return Draft(begun.name, tuple(_change(one["ResourceChange"]) for one in changes), begun.id)
    reason = found.get("StatusReason", "")
    if any(sentence in reason for sentence in UNCHANGED):
        discard(config, begun)
        return Draft(begun.name)
    raise CloudError(f"CloudFormation does not take infra/aws/{TEMPLATE}: {reason}")


def _computed(config: Config, begun: Draft, say: Say) -> Mapping[str, Any]:
    while True:
        found = clients.cloudformation(config.aws.region).describe_change_set(ChangeSetName=begun.id)
        say(found["Status"])
        if found["Status"] not in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}:
            return dict(found)
        time.sleep(1)


def _change(found: Mapping[str, Any]) -> Change:
    """A change as the plan shows it: what kind, which, and of one that is changed, what of it."""
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found["ResourceType"].rpartition("::")[2]).lower()
    targets = [detail.get("Target", {}) for detail in found.get("Details", [])]
    which = sorted({target.get("Name") or target.get("Attribute", "") for target in targets} - {""})
    made_anew = found.get("Replacement") in {"True", "Conditional"}
    how = f" ({', '.join(which)}{'; made anew' if made_anew else ''})" if which else ""
    return Change(ACTIONS[found["Action"]], Resource(kind, f"{found['LogicalResourceId']}{how}"))


@_told()
def discard(config: Config, draft: Draft) -> None:
    """Delete the change set, and the stack that has nothing but it."""
    client = clients.cloudformation(config.aws.region)
    client.delete_change_set(ChangeSetName=draft.id)
    stack = states.described(config)
    if stack["StackStatus"] == UNBORN:
        client.delete_stack(StackName=stack["StackId"])


@_told()
def carry_out(config: Config, draft: Draft, say: Say) -> None:
    """Execute the change set and return when the stack has all of it. Raises CloudError with the reasons."""
    before = states.described(config)
    clients.cloudformation(config.aws.region).execute_change_set(ChangeSetName=draft.id)
    stack = {**before, **states.settled(config, say, lambda found: _has_moved(found, before))}
    if not _has_moved(stack, before):
        raise CloudError(f"stack {draft.name} has not begun to change: give the same command again")
    if stack["StackStatus"] not in DONE:
        reasons = states.why(config, stack)
        mend = TAKEN if "already exists" in reasons.lower() else "mend that"
        raise CloudError(
            f"stack {draft.name} is {stack['StackStatus']}: {reasons}. What was made for it is taken back: "
            f"{mend}, and give the same command again"
        )


def when_stopped(draft: Draft) -> str:
    """CloudFormation goes on by itself."""
    return f"the cloud goes on with {draft.name}, and the same command again waits for it"


def _has_moved(found: Stack, before: Stack) -> bool:
    seen = ("StackStatus", "LastUpdatedTime")
    return any(found.get(one) != before.get(one) for one in seen)


@_told()
def told(config: Config, wish: Wish) -> list[str]:
    """The stack's outputs: those for deploy.toml as its lines, then who takes on what."""
    outputs = {one["OutputKey"]: one["OutputValue"] for one in states.described(config).get("Outputs", [])}
    if not outputs:
        return []
    # The image's tag is deploy.toml's to say; without an image, the kit's own is built and pushed there.
    lines = [
        "[aws]",
        f'bucket = "{outputs["Bucket"]}"',
        f'role = "{outputs["ExecutionRole"]}"',
        f'scheduler_role = "{outputs["ExpiryRole"]}"',
        f'# image = "{outputs["Repository"]}:<tag>"; without it, the kit\'s own is built',
        "",
        f"run the verbs as      {outputs['DeployerRole']}",
        f"invoke the endpoint as {outputs['InvokerRole']}",
    ]
    if "Budget" not in outputs:
        lines.append("nobody is told when costs rise: SET='Email=me@example.org Amount=50' makes a budget")
    return lines
