"""What of a template can be made here, each kind of resource through its own service's API.

A kind or a property that is not in these tables is refused: nothing counts as made that was not.
"""

from __future__ import annotations

from collections.abc import Mapping

from infra.local.cloudformation.resources import budgets, codebuild, ecr, iam, logs, s3
from infra.local.cloudformation.resources.kind import Kind
from infra.local.cloudformation.templates import Template, invalid

KINDS: Mapping[str, Kind] = {
    "AWS::Budgets::Budget": budgets.BUDGET,
    "AWS::CodeBuild::Project": codebuild.PROJECT,
    "AWS::ECR::Repository": ecr.REPOSITORY,
    "AWS::IAM::Role": iam.ROLE,
    "AWS::Logs::LogGroup": logs.LOG_GROUP,
    "AWS::S3::Bucket": s3.BUCKET,
    "AWS::S3::BucketPolicy": s3.BUCKET_POLICY,
}


def check(template: Template) -> None:
    """Raise AwsError ValidationError for a kind of resource, or a property, that is not done here."""
    for name, said in template.resources.items():
        kind = KINDS.get(said["Type"])
        if kind is None:
            known = ", ".join(KINDS)
            raise invalid(f"Resource {name}: the local cloud does not make {said['Type']}, but {known}")
        if unknown := set(said.get("Properties", {})) - kind.properties:
            raise invalid(
                f"Resource {name}: the local cloud does not do {said['Type']}'s {', '.join(sorted(unknown))}"
            )
