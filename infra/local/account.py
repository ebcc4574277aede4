"""What must exist in an account before a deployment, made where missing: its buckets and its execution role.

In a real account `infra/aws` makes them.
"""

from __future__ import annotations

from typing import Any

from infra.local.cloud import DEFAULT_REGION, Caller
from infra.local.project import GOOGLE_PROJECT, ROLE, Needs, google_installed
from infra.local.records import NewRole, Records
from infra.local.roles import RIGHTS, TRUST
from infra.local.vertex import Google


def provision(records: Records, google: Google, needs: Needs) -> dict[str, Any]:
    """Makes the buckets and the role unless they are there, in the account that the role names.

    Google's bucket is left out where nothing of Google's is installed: whoever asks for it then is told so.
    Returns what was made: {"made": ["bucket …", "role …"]}. Raises AwsError or GoogleError where a name is
    refused.
    """
    account_id = needs.account_id or records.settings.account_id
    caller = Caller(account_id, needs.region or DEFAULT_REGION)
    made = []
    if needs.bucket and records.make_bucket(caller, needs.bucket):
        records.provisioned.add(("AWS::S3::Bucket", f"{account_id}/{needs.bucket}"))
        made.append(f"bucket {needs.bucket}")
    role = ROLE.fullmatch(needs.role)
    if role and records.make_role(caller, NewRole(role["name"], role["path"], TRUST, RIGHTS)):
        records.provisioned.add(("AWS::IAM::Role", f"{account_id}/{role['name']}"))
        made.append(f"role {role['name']}")
    if needs.gcs_bucket and google_installed():
        storage, project = google.service().vertex.storage, needs.gcp_project or GOOGLE_PROJECT
        if storage.make_bucket(needs.gcs_bucket, project):
            made.append(f"bucket gs://{needs.gcs_bucket}")
    return {"made": made}
