"""Batch transform: jobs that send S3's objects through a model's container and keep its answers."""
