"""A new version on an endpoint of its own, asked and compared before it takes traffic."""
