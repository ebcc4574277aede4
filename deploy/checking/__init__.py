"""`check`: what would fail on the platform in twenty minutes fails here in seconds.

`command` has the order of things. What can be told from files is told first (`lints`, of a `subject`). Then
the archive that a deploy would send is unpacked as the platform unpacks it, read-only (`layout`), and served
by a Python that has what a container has and nothing else (`environment`, `installing`; `resolving` where
this `machine` is not like the container's). That is a process which may write nowhere but to its own folder,
reach no network and see no file of the project's (`running`, `inside`, `isolation`, `container`). It is asked
what both clouds would ask it (`contracts`); what was seen of it is judged (`verdict`), its traceback becomes
one thing to change (`diagnosis`), and all of it a few lines (`findings`, `report`).

What it cannot show: the image itself, a GPU, the platform's own limits of memory and time, and how a
container of Vertex AI's downloads its model, which the runtime's tests have.
"""


class CheckError(Exception):
    """Something would fail on the platform, or be unsafe there; what it is was shown, and is counted here."""


class Broken(Exception):
    """The check itself failed; the message is what was printed."""
