"""What of [endpoint] a cloud does not have: refused by name, with what to use there.

Pure; every sentence is one mistake, and begins where it stands in deploy.toml.
"""

from deploy.sections.clouds import Aws, Gcp
from deploy.sections.endpoint import Endpoint, Scaling

_SAGEMAKERS = {
    "alarms": "Vertex AI puts nothing back by an alarm; a canary's samples are asked between its parts",
    "serverless": "Vertex AI runs no container without a machine; batch-transform costs nothing between jobs",
    "asynchronous": "Vertex AI keeps no requests waiting; batch-transform answers files",
    "capture": "Vertex AI logs requests into BigQuery, which is set on the endpoint and not by Slipway",
}


def on_aws(endpoint: Endpoint, aws: Aws) -> list[str]:
    """What SageMaker does not have of what is asked."""
    wrong = []
    scaling = endpoint.scaling
    if scaling and not (scaling.invocations or scaling.concurrency or scaling.backlog):
        word = "backlog" if endpoint.asynchronous else "invocations or concurrency"
        wrong.append(
            f"[endpoint.scaling]: says not by what, expected {word}: SageMaker counts CPU over all cores"
        )
    if endpoint.serverless and aws.instance_count != 1:
        wrong.append(
            f"[aws]: instance_count is {aws.instance_count}, expected none with [endpoint.serverless]"
        )
    return wrong


def on_gcp(endpoint: Endpoint, gcp: Gcp) -> list[str]:
    """What Vertex AI does not have of what is asked."""
    wrong = [f"[endpoint.{part}]: {why}" for part, why in _SAGEMAKERS.items() if getattr(endpoint, part)]
    return wrong + (_wrong_scaling(endpoint.scaling, gcp) if endpoint.scaling else [])


def _wrong_scaling(scaling: Scaling, gcp: Gcp) -> list[str]:
    wrong = []
    if scaling.min == 0:
        wrong.append(
            "[endpoint.scaling]: min is 0, expected at least 1: Vertex AI goes to zero in v1beta1 alone; "
            "`destroy`, or batch-transform, costs nothing while nobody asks"
        )
    others = [name for name in ("invocations", "concurrency", "backlog") if getattr(scaling, name)]
    if others and not (scaling.cpu or scaling.accelerator):
        wrong.append(
            f"[endpoint.scaling]: {others[0]} is SageMaker's, expected cpu or accelerator on Vertex AI"
        )
    if scaling.accelerator and not gcp.accelerator_type:
        wrong.append("[endpoint.scaling]: accelerator goes with [gcp] accelerator_type")
    twice = [name for name in ("min_replicas", "max_replicas") if name in gcp.model_fields_set]
    wrong += [f"[gcp]: {name} is there beside [endpoint.scaling], expected one of the two" for name in twice]
    return wrong
