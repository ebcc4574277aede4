"""The SageMaker SDK v3, unmodified, from an archive to an answer, a new version and the end.

Run in `.venv-sagemaker` by test_sagemaker_sdk.py: `python journey.py FIRST_URL SECOND_URL`, the archives of
two versions of a handler that multiplies. Prints what was answered, as JSON. A connection to anything but
this machine fails it.
"""

import json
import sys
from typing import Any

from offline import AWAY  # first: it watches what the SDK connects to

# isort: split
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"
ROLE = "arn:aws:iam::123456789012:role/slipway-execution"


def make_version(name: str, url: str) -> Model:
    """A model and an endpoint configuration of that name."""
    container = ContainerDefinition(image=IMAGE, model_data_url=url)
    model = Model.create(model_name=name, primary_container=container, execution_role_arn=ROLE)
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name=name, instance_type="ml.m7i.large", initial_instance_count=1
    )
    EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])
    return model


def answer(endpoint: Endpoint) -> Any:
    """What the endpoint answers to [1, 2]."""
    result = endpoint.invoke(body="[1, 2]", content_type="application/json", accept="application/json")
    return json.loads(result.body.read())


def main(first: str, second: str) -> None:
    models = [make_version("sdk-1", first), make_version("sdk-2", second)]
    endpoint = Endpoint.create(endpoint_name="sdk", endpoint_config_name="sdk-1")
    endpoint.wait_for_status("InService", poll=1, timeout=60)
    answers = [answer(endpoint)]
    endpoint.endpoint_config_name = "sdk-2"
    endpoint.update()
    endpoint.wait_for_status("InService", poll=1, timeout=60)
    answers.append(answer(endpoint))
    served = Endpoint.get("sdk").endpoint_config_name
    listed = [each.endpoint_name for each in Endpoint.get_all(name_contains="sdk")]
    endpoint.delete()
    endpoint.wait_for_delete(poll=1, timeout=60)
    for model in models:
        EndpointConfig.get(model.model_name).delete()
        model.delete()
    left = [
        each.get_name()
        for kind in (Endpoint, EndpointConfig, Model)
        for each in kind.get_all(name_contains="sdk")
    ]
    print()  # the SDK's progress ends without a newline
    print(json.dumps({"answers": answers, "served": served, "listed": listed, "left": left, "away": AWAY}))


if __name__ == "__main__":
    main(*sys.argv[1:])
