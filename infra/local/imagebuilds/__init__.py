"""Image builds made true as far as that goes without a container tool: CodeBuild and ECR.

A build really reads its context from the bucket and is held against it: the Dockerfile, what that copies, the
arguments that it knows, the requirements. What then is in the registry is a manifest and a configuration of
that platform, whose digests follow from the context; layers there are none.
"""
