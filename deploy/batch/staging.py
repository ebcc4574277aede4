"""Input on its way to a job: shown, held to what was counted, and taken away in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from deploy import terminal
from deploy.batch import inputs, report
from deploy.batch.cloud import Storage
from deploy.batch.collecting import Work
from deploy.batch.orders import File, Order
from deploy.batch.places import BatchError, Place, Remote
from deploy.config import Config

CHANGED = "changed while it was uploaded: let it be finished, and try again"


def copy(storage: Storage, config: Config, order: Order, origin: Place) -> None:
    """Bring the job's files as they are to `order.source`; what lies in a bucket stays where it is."""
    if isinstance(origin, Remote):
        return
    there = {one.key: one.size for one in storage.listed(config, order.source)}
    files = [file for file in order.wanted.values() if there.get((order.source / file.name).key) != file.size]
    if not files:
        return
    with progress(files) as sent:
        storage.upload(config, [(origin / file.name, order.source / file.name) for file in files], sent)
    # What was staged must be what was counted: a later call takes it unseen.
    if changed := [file for file in files if inputs.changed(origin, file)]:
        storage.remove(config, [order.source / file.name for file in changed])
        raise BatchError(f"{origin / changed[0].name}: {CHANGED}")


@contextmanager
def progress(files: Sequence[File]) -> Iterator[Callable[[int], None]]:
    """Show how far these files have been staged; yields what takes their bytes as they go."""
    size, sent = sum(file.size for file in files), 0
    with terminal.counting(f"stage {report.files(len(files))}", size) as show:

        def count(transferred: int) -> None:
            nonlocal sent
            sent += transferred
            show(sent, f"{sent / size:.0%} of {size / 1e6:,.1f} MB")

        yield count


def clear(work: Work) -> None:
    """Remove what was staged, unless another command has a job on it: one with another OUTPUT."""
    if any(job.moving for job in work.cloud.transforms.jobs(work.cloud.config, work.order.run)):
        return
    cloud, own = work.cloud, work.cloud.transforms.run_place(work.cloud.config, work.order.run)
    cloud.storage.remove(
        cloud.config, [replace(own, key=one.key) for one in cloud.storage.listed(cloud.config, own)]
    )
