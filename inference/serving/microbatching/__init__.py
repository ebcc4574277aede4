"""Requests that arrive together, put into one call of the handler."""
