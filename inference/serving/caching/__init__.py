"""Answers kept for requests that come again: in the process, and on Redis where that is asked for."""
