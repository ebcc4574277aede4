"""Batch scoring without a cloud: `python -m inference.serving batch IN OUT`, for cron or any scheduler."""
