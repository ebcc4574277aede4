"""What Google's errors mean to the person who runs a verb, in Google's own words and with what to do."""

LOG_IN = (
    "no Google credentials were found: log in with `gcloud auth application-default login`, "
    "or export GOOGLE_APPLICATION_CREDENTIALS with the path of a key file"
)
RENEW = "renew them with `gcloud auth application-default login`, then give the same command again"


def refusal(status: int, message: str) -> str:
    """A sentence for an HTTP status of 400 and more, and what Google said to it."""
    message = message.strip() or f"Google answered {status} without a reason"
    if status == 401:
        return f"the Google credentials were not accepted ({message}): {RENEW}"
    if status == 403:
        return (
            f"{message} (403): look at [gcp] project and region in deploy.toml; "
            "whoever runs this needs that permission there"
        )
    if status == 429:
        return f"{message} (429): ask for more quota, or give the same command again in a minute"
    return f"{message} ({status})"


def unreached(text: str) -> str:
    """A sentence for an address that did not answer."""
    return f"{text.rstrip('.')}: look at the network and at [gcp] region, then give the same command again"
