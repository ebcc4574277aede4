"""The local cloud: AWS's APIs on one local address, where endpoints are real processes."""
