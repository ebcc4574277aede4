"""What Google's errors mean to the person who runs a verb, in Google's own words and with what to do."""

import re

_HOST = re.compile(r"host='(?P<name>[^']+)'")
_REASON = re.compile(r"\[Errno -?[0-9]+\] (?P<said>[^\"')]+)")
_OF_MACHINES = re.compile(
    r"machine.?type|accelerator|quota|resources? (is|are) (not|insufficient)", re.IGNORECASE
)
LOG_IN = (
    "log in with `gcloud auth application-default login`, "
    "or export GOOGLE_APPLICATION_CREDENTIALS with the path of a key file"
)
RENEW = "renew them with `gcloud auth application-default login`, then give the same command again"


def no_credentials(message: str) -> str:
    """A sentence for google-auth's DefaultCredentialsError: none were found, or a file of them is no good."""
    message = " ".join(message.split()).rstrip(".")
    if "credentials were not found" in message:
        return f"no Google credentials were found: {LOG_IN}"
    return f"the Google credentials cannot be used ({message}): {LOG_IN}"


def expired(message: str) -> str:
    """A sentence for google-auth's RefreshError: the credentials are there, and worth nothing any more."""
    return f"the Google credentials cannot be used ({message.rstrip('.')}): {RENEW}"


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


def of_machine(message: str, machine: str, region: str) -> str:
    """What Vertex AI said to a deployment, and what to do if it was that it has no such machine."""
    if not _OF_MACHINES.search(message):
        return message
    return (
        f"{message.rstrip('.')}: in deploy.toml: [gcp] choose another machine_type or region than {machine} "
        f"in {region}, or ask for its quota (cloud.google.com/vertex-ai/docs/predictions/configure-compute "
        "has what each region offers)"
    )


def unreached(text: str) -> str:
    """A sentence for an address that did not answer; `text` is what requests said, often in many words."""
    host, reason = _HOST.search(text), _REASON.search(text)
    why = f" ({reason['said']})" if reason else ""
    said = f"{host['name']} was not reached{why}" if host else text.rstrip(".")
    return f"{said}: look at the network and at [gcp] region, then give the same command again"
