"""What SageMaker refuses and moto takes: each refusal's code and words, as boto3 shows them."""

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


def refusal(call, **request):
    """The message of the ValidationException that the call ends in."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


def model_refusal(cloud, **container):
    request = {"Image": cloud.image, **container}
    role = request.pop("role", cloud.role)
    create = cloud.sagemaker.create_model
    name = cloud.name("refused")
    message = refusal(create, ModelName=name, ExecutionRoleArn=role, PrimaryContainer=request)
    with pytest.raises(ClientError):
        cloud.sagemaker.describe_model(ModelName=name)
    return message


def config_refusal(cloud, *variants):
    name = cloud.name("refused")
    create = cloud.client("sagemaker", checks=False).create_endpoint_config
    message = refusal(create, EndpointConfigName=name, ProductionVariants=list(variants))
    with pytest.raises(ClientError):
        cloud.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    return message


def test_a_taken_model_name_is_refused(cloud):
    name = cloud.model()
    with pytest.raises(ClientError, match=f'Cannot create already existing model "{ARN}model/{name}"'):
        cloud.model(name=name)


def test_a_taken_configuration_name_is_refused(cloud):
    model = cloud.model()
    name = cloud.config(model)
    variants = [cloud.variant(model)]
    message = refusal(
        cloud.sagemaker.create_endpoint_config, EndpointConfigName=name, ProductionVariants=variants
    )
    assert message == f'Cannot create already existing endpoint configuration "{ARN}endpoint-config/{name}".'


def test_a_taken_endpoint_name_is_refused(cloud):
    config = cloud.config(cloud.model())
    name = cloud.endpoint(config)
    message = refusal(cloud.sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=config)
    assert message == f'Cannot create already existing endpoint "{ARN}endpoint/{name}".'


@pytest.mark.parametrize(
    ("operation", "member", "noun", "kind"),
    [
        ("describe_model", "ModelName", "model", "model"),
        ("delete_model", "ModelName", "model", "model"),
        ("describe_endpoint_config", "EndpointConfigName", "endpoint configuration", "endpoint-config"),
        ("delete_endpoint_config", "EndpointConfigName", "endpoint configuration", "endpoint-config"),
        ("describe_endpoint", "EndpointName", "endpoint", "endpoint"),
        ("delete_endpoint", "EndpointName", "endpoint", "endpoint"),
    ],
)
def test_an_unknown_name_is_refused(cloud, operation, member, noun, kind):
    message = refusal(getattr(cloud.sagemaker, operation), **{member: "nobody"})
    assert message == f'Could not find {noun} "{ARN}{kind}/nobody".'


def test_a_role_that_is_not_there_or_does_not_trust_sagemaker_is_refused(cloud):
    stranger = cloud.make_role("lambda-only", "lambda.amazonaws.com")
    for role in (stranger, cloud.role + "-nobody"):
        assert model_refusal(cloud, role=role) == (
            f'The execution role ARN "{role}" is invalid. Please ensure that the role exists and that its '
            'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com".'
        )


def test_an_archive_that_is_not_there_is_refused(cloud):
    for url in (f"s3://{cloud.bucket}/nothing/model.tar.gz", "s3://no-such-bucket-here/model.tar.gz"):
        assert model_refusal(cloud, ModelDataUrl=url) == f"Could not find model data at {url}."


def test_an_archive_that_does_not_end_in_tar_gz_is_refused(cloud):
    url = cloud.archive(key="model.zip")
    assert ".tar.gz" in model_refusal(cloud, ModelDataUrl=url)
    assert ".tar.gz" in model_refusal(cloud, ModelDataUrl=f"s3://{cloud.bucket}/")


def test_model_data_source_of_one_gzip_object_is_taken_and_others_are_refused(cloud):
    source = {"S3Uri": cloud.archive(), "S3DataType": "S3Object", "CompressionType": "Gzip"}
    container = {"Image": cloud.image, "ModelDataSource": {"S3DataSource": source}}
    name = cloud.name("sourced")
    cloud.sagemaker.create_model(ModelName=name, ExecutionRoleArn=cloud.role, PrimaryContainer=container)
    assert cloud.invoke(cloud.endpoint(cloud.config(name)))["model"] == ["weights.txt"]
    prefix = {**source, "S3DataType": "S3Prefix", "CompressionType": "None"}
    assert "ModelDataSource" in model_refusal(cloud, ModelDataSource={"S3DataSource": prefix})


@pytest.mark.parametrize("image", ["busybox", "docker.io/library/python:3.11", "public.ecr.aws/x/y:1"])
def test_an_image_outside_ecr_is_refused(cloud, image):
    assert model_refusal(cloud, Image=image) == (
        f'Using non-ECR image "{image}" without Vpc repository access mode is not supported.'
    )


def test_a_model_without_an_image_or_with_two_containers_is_refused(cloud):
    two = [{"Image": cloud.image}, {"Image": cloud.kit_image}]
    create = cloud.sagemaker.create_model
    assert "2 containers" in refusal(create, ModelName="two", ExecutionRoleArn=cloud.role, Containers=two)
    assert "0 containers" in refusal(create, ModelName="none", ExecutionRoleArn=cloud.role)
    one = {"Environment": {"A": "b"}}
    assert "no Image" in refusal(create, ModelName="x", ExecutionRoleArn=cloud.role, PrimaryContainer=one)


def test_environment_has_at_most_100_entries(cloud):
    cloud.model({f"K{number}": "v" for number in range(100)})
    many = {f"K{number}": "v" for number in range(101)}
    assert "environment" in model_refusal(cloud, Environment=many).lower()


def test_environment_keys_and_values_have_at_most_1024_bytes(cloud):
    cloud.model({"K" * 1024: "v" * 1024})
    for environment in ({"K": "v" * 1025}, {"K" * 1025: "v"}, {"K": "é" * 513}):
        assert "1024" in model_refusal(cloud, Environment=environment)


def test_environment_has_at_most_32_kb_in_all(cloud):
    full = {f"K{number:03}": "v" * 1020 for number in range(32)}
    cloud.model(full)
    assert "32768" in model_refusal(cloud, Environment={**full, "K": ""})


@pytest.mark.parametrize("name", ["-a", "a_b", "a b", "é", "x" * 64])
def test_a_name_that_sagemaker_refuses_is_refused(cloud, name):
    container = {"Image": cloud.image}
    message = refusal(
        cloud.sagemaker.create_model, ModelName=name, ExecutionRoleArn=cloud.role, PrimaryContainer=container
    )
    assert f"Value '{name}' at 'modelName' failed to satisfy constraint: Member must" in message


def test_a_configuration_of_a_missing_model_is_refused(cloud):
    message = config_refusal(cloud, cloud.variant("nobody"))
    assert message == f'Could not find model "{ARN}model/nobody".'


def test_an_instance_type_outside_botocore_s_list_is_refused(cloud):
    one = {**cloud.variant(cloud.model()), "InstanceType": "ml.m99.large"}
    message = config_refusal(cloud, one)
    place = "1 validation error detected: Value 'ml.m99.large' at 'productionVariants.1.member.instanceType' "
    assert message.startswith(place + "failed to satisfy constraint: Member must satisfy enum value set: [")
    assert "ml.m7i.large" in message


def test_variant_names_are_unique(cloud):
    one = cloud.variant(cloud.model())
    assert config_refusal(cloud, one, one) == 'The variant name "A" was non-unique within the request.'


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"InitialInstanceCount": 0}, "initialInstanceCount' failed"),
        ({"InitialVariantWeight": -1.0}, "initialVariantWeight' failed"),
        ({"ContainerStartupHealthCheckTimeoutInSeconds": 59}, "greater than or equal to 60"),
        ({"ContainerStartupHealthCheckTimeoutInSeconds": 3601}, "less than or equal to 3600"),
        ({"ModelDataDownloadTimeoutInSeconds": 59}, "greater than or equal to 60"),
        ({"InitialInstanceCount": None}, "Member must not be null"),
        ({"InstanceType": None}, "Member must not be null"),
    ],
)
def test_counts_weights_and_timeouts_keep_their_ranges(cloud, given, said):
    one = {**cloud.variant(cloud.model()), **given}
    assert said in config_refusal(cloud, {key: value for key, value in one.items() if value is not None})


def test_an_endpoint_of_a_missing_configuration_is_refused(cloud):
    create = cloud.sagemaker.create_endpoint
    expected = f'Could not find endpoint configuration "{ARN}endpoint-config/nobody".'
    assert refusal(create, EndpointName="x", EndpointConfigName="nobody") == expected
    name = cloud.served()
    assert (
        refusal(cloud.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName="nobody") == expected
    )


def test_an_endpoint_of_a_configuration_whose_model_was_deleted_is_refused(cloud):
    model = cloud.model()
    config = cloud.config(model)
    cloud.sagemaker.delete_model(ModelName=model)
    message = refusal(cloud.sagemaker.create_endpoint, EndpointName="x", EndpointConfigName=config)
    assert message == f'Could not find model "{ARN}model/{model}".'


def test_a_model_and_a_configuration_in_use_can_be_deleted_and_the_endpoint_serves_on(cloud):
    model = cloud.model()
    config = cloud.config(model)
    name = cloud.endpoint(config)
    cloud.sagemaker.delete_model(ModelName=model)
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    assert cloud.invoke(name)["model"] == ["weights.txt"]


def test_list_models_and_configurations_filter_order_and_page(cloud):
    word = cloud.name("listed")
    models = [cloud.model(name=f"{word}-{letter}") for letter in "abc"]
    pages = cloud.sagemaker.get_paginator("list_models").paginate(
        NameContains=word, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [[one["ModelName"] for one in page["Models"]] for page in pages] == [models[:2], models[2:]]
    newest = cloud.sagemaker.list_models(NameContains=word)["Models"][0]
    assert newest["ModelName"] == models[-1]
    configs = [cloud.config(models[0]) for _ in range(3)]
    listed = cloud.sagemaker.list_endpoint_configs(MaxResults=3)["EndpointConfigs"]
    assert [one["EndpointConfigName"] for one in listed] == configs[::-1]
    assert "Invalid NextToken" in refusal(cloud.sagemaker.list_models, NextToken="?")


def test_what_was_given_is_described_and_nothing_empty_with_it(cloud):
    model = cloud.model({"A": "b"})
    described = cloud.sagemaker.describe_model(ModelName=model)
    assert described["PrimaryContainer"]["Environment"] == {"A": "b"}
    assert not [name for name, value in described.items() if value in ({}, None, "")]
    limits = {"ContainerStartupHealthCheckTimeoutInSeconds": 61, "InitialVariantWeight": 2.5}
    config = cloud.sagemaker.describe_endpoint_config(EndpointConfigName=cloud.config(model, **limits))
    assert limits.items() <= config["ProductionVariants"][0].items()
    assert not [name for name, value in config.items() if value in ({}, None, "")]
