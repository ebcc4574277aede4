"""CreateTransformJob: what is refused, in SageMaker's words, and that nothing is recorded then."""

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"
CSV = {"ContentType": "text/csv"}


@pytest.fixture(scope="module")
def url(jobs):
    return jobs.put({"a.csv": b"1,2\n"})


@pytest.fixture(scope="module")
def model(jobs):
    return jobs.cloud.model(Image="123456789012.dkr.ecr.us-east-1.amazonaws.com/batchbox:1")


def refused(jobs, code="ValidationException", checks=True, **request):
    with pytest.raises(ClientError) as caught:
        jobs.cloud.client("sagemaker", checks=checks).create_transform_job(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    with pytest.raises(ClientError):
        jobs.cloud.sagemaker.describe_transform_job(TransformJobName=request["TransformJobName"])
    return error["Message"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"MaxPayloadInMB": 101}, "MaxPayloadInMB is 101, at most 100 is allowed."),
        ({"MaxPayloadInMB": 10, "MaxConcurrentTransforms": 11}, "(11) * MaxPayloadInMB (10) is 110"),
        ({"BatchStrategy": "MultiRecord", "TransformInput": {"SplitType": "None"}}, "requires SplitType"),
        ({"Environment": {f"N{n}": "v" for n in range(17)}}, "'environment' failed to satisfy"),
        ({"ModelClientConfig": {"InvocationsMaxRetries": 4}}, "less than or equal to 3"),
        ({"ModelClientConfig": {"InvocationsTimeoutInSeconds": 3601}}, "less than or equal to 3600"),
        ({"TransformInput": {"SplitType": "Lines"}}, "enum value set: [None, Line, RecordIO, TFRecord]"),
        ({"TransformResources": {"InstanceType": "ml.m5.tiny"}}, "enum value set: [ml."),
        ({"TransformInput": {"ContentType": "a\r\nX: y"}}, "is no HTTP header"),
        ({"TransformOutput": {"S3OutputPath": "https://x/y"}}, '"https://x/y" is no s3:// URL'),
        (
            {"DataProcessing": {"InputFilter": "$" * 64}, "TransformInput": CSV},
            "length less than or equal to 63",
        ),
        ({"DataProcessing": {"InputFilter": "$..a"}, "TransformInput": CSV}, "'dataProcessing.inputFilter'"),
        ({"DataProcessing": {"OutputFilter": "a"}, "TransformInput": CSV}, "must begin with $"),
        ({"DataProcessing": {"InputFilter": "$.a"}, "TransformInput": CSV}, "a row is an array"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "ContentType is ''"),
        (
            {"DataProcessing": {"JoinSource": "Input"}, "TransformInput": {"ContentType": "image/png"}},
            "for application/json, application/jsonlines and text/csv, and ContentType is 'image/png'",
        ),
        (
            {"DataProcessing": {"JoinSource": "Input"}, "TransformInput": CSV},
            "Accept must be ContentType: '' is not 'text/csv'",
        ),
        (
            {
                "DataProcessing": {"InputFilter": "$[0]"},
                "TransformInput": CSV,
                "TransformOutput": {"AssembleWith": "None"},
            },
            "needs SplitType Line and AssembleWith Line",
        ),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(jobs, url, model, given, said):
    assert said in refused(jobs, **jobs.request(url, ModelName=model, **given))


def test_a_product_of_a_hundred_megabytes_is_taken(jobs, url, model):
    name = jobs.start(url, ModelName=model, MaxConcurrentTransforms=10, MaxPayloadInMB=10)
    assert jobs.ended(name)["TransformJobStatus"] == "Completed"


def test_filters_and_joins_that_change_nothing_bring_no_rules(jobs, url, model):
    nothing = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    jobs.run(url, ModelName=model, DataProcessing=nothing)


def test_a_missing_member_is_refused(jobs, url, model):
    request = jobs.request(url, ModelName=model)
    del request["TransformResources"]
    assert "'transformResources' failed to satisfy constraint: Member must not be null" in refused(
        jobs, checks=False, **request
    )


def test_an_unknown_model_is_refused(jobs, url):
    assert (
        refused(jobs, **jobs.request(url, ModelName="nobody")) == f'Could not find model "{ARN}model/nobody".'
    )


def test_an_input_that_is_not_there_is_refused(jobs, model):
    for missing in ("s3://batches-of-the-tests/nowhere/", "s3://no-such-bucket-of-anybody/x"):
        said = refused(jobs, **jobs.request(missing, ModelName=model))
        bucket = missing.split("/")[2]
        assert said == (
            f'No S3 objects found under S3 URL "{missing}" given in input data source. Please ensure that '
            "the bucket exists in the selected region (us-east-1), that objects exist under that S3 prefix, "
            f'and that the role "{jobs.cloud.role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        )


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b'["a"]', b'[{"prefix": "s3://b/"}]', b'[{"prefix": "b"}, "a"]', b"[" * 10_000],
    ids=lambda text: repr(text[:20]),
)
def test_a_manifest_of_another_form_is_refused(jobs, model, text):
    url = jobs.put({"m.json": text}) + "m.json"
    source = {"DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": url}}}
    assert "manifest" in refused(jobs, **jobs.request(url, ModelName=model, TransformInput=source))


def test_other_kinds_of_source_are_refused(jobs, url, model):
    source = {"DataSource": {"S3DataSource": {"S3DataType": "AugmentedManifestFile", "S3Uri": url}}}
    assert "S3Prefix or ManifestFile" in refused(
        jobs, **jobs.request(url, ModelName=model, TransformInput=source)
    )


def test_more_instances_than_the_account_may_have_are_refused(jobs, url, model):
    request = jobs.request(url, ModelName=model, TransformResources={"InstanceCount": 21})
    assert "limit 'ml.m5.large for transform job usage' is 20 Instances" in refused(
        jobs, code="ResourceLimitExceeded", **request
    )


def test_a_role_that_sagemaker_may_no_longer_assume_is_refused(jobs, url):
    cloud, iam = jobs.cloud, jobs.cloud.client("iam")
    role = cloud.make_role("short-lived", "sagemaker.amazonaws.com")
    name = cloud.name("model")
    container = {"Image": cloud.image, "ModelDataUrl": cloud.archive()}
    cloud.sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    iam.delete_role_policy(RoleName="short-lived", PolicyName="rights")
    iam.delete_role(RoleName="short-lived")
    assert f'The execution role ARN "{role}" is invalid.' in refused(
        jobs, **jobs.request(url, ModelName=name)
    )


def test_a_name_is_taken_for_ever(jobs, url, model):
    request = jobs.request(url, ModelName=model)
    jobs.cloud.sagemaker.create_transform_job(**request)
    jobs.ended(request["TransformJobName"])
    with pytest.raises(ClientError) as caught:
        jobs.cloud.sagemaker.create_transform_job(**request)
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "ResourceInUse",
        "Job name must be unique within an AWS account and region, and a job with this name already exists "
        f"({ARN}transform-job/{request['TransformJobName']})",
    )
