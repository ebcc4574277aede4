"""Where the time of an endpoint's answers goes: requests replayed, phases told, a budget held."""

# Requests that are under way at once, at most: an SDK's client keeps as many connections.
MOST_AT_ONCE = 64


class LatencyError(Exception):
    """A budget is broken, requests were not answered, or no plot can be drawn; the message says which."""
