"""What a call needs: which actions on which resources, and what the conditions may ask of it. Pure.

Several where AWS asks for several: CreateModel needs sagemaker:CreateModel, iam:PassRole on the role that it
hands over, and sagemaker:AddTags where it gives tags.
"""

from __future__ import annotations

from infra.local.iam.calls import Call
from infra.local.iam.demands import context, further, resources
from infra.local.iam.policies import Demand


def of_call(call: Call) -> tuple[Demand, ...]:
    """All that the call needs; every one must be allowed. Of a call that needs nothing, none."""
    if (call.service, call.operation) in resources.FREE:
        return ()
    about = context.of_call(call)
    action = resources.action_of(call)
    needed = [Demand(action, resource, about) for resource in resources.of_call(call)]
    return (*needed, *further.of_call(call, about))
