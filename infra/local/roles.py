"""The execution role of a local account that has none: who may assume it, and what it may do.

The role of `infra/aws` is for its own bucket, logs and repository alone; `make infra` makes that one.
"""

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
# What SageMaker needs to run containers on any bucket and image of the account.
RIGHTS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Objects",
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": "arn:aws:s3:::*",
        },
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": "arn:aws:logs:*:*:log-group:/aws/sagemaker/*",
        },
        {
            "Sid": "Guardrails",
            "Effect": "Allow",
            "Action": ["cloudwatch:DescribeAlarms", "sns:Publish"],
            "Resource": ["arn:aws:cloudwatch:*:*:alarm:*", "arn:aws:sns:*:*:*"],
        },
        {
            "Sid": "Images",
            "Effect": "Allow",
            "Action": [
                "ecr:GetAuthorizationToken",
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": "*",
        },
    ],
}
