"""Training jobs: a process with private /opt/ml folders, from its channels in S3 to its model there."""
