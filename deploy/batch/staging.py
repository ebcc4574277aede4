"""Local input on its way to a job: uploaded once, held to what was counted, and taken away in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deploy import terminal
from deploy.batch import inputs, report
from deploy.batch.collecting import Work
from deploy.batch.orders import File
from deploy.batch.places import BatchError, Remote


def stage(work: Work, left: Sequence[File]) -> None:
    """Bring local files to where the job reads them; what is there already is not sent again."""
    cloud, source = work.cloud, work.inputs.source
    if isinstance(source, Remote):
        return
    there = {one.key: one.size for one in cloud.storage.listed(cloud.config, work.order.source)}
    missing = [file for file in left if there.get((work.order.source / file.name).key) != file.size]
    if not missing:
        return
    size, sent = sum(file.size for file in missing), 0
    with terminal.counting(f"stage {report.files(len(missing))}", size) as show:

        def count(transferred: int) -> None:
            nonlocal sent
            sent += transferred
            show(sent, f"{sent / size:.0%} of {size / 1e6:,.1f} MB")

        places = [(source / file.name, work.order.source / file.name) for file in missing]
        cloud.storage.upload(cloud.config, places, count)
    _check_unchanged(work, source, missing)


def _check_unchanged(work: Work, source: Path, sent: Sequence[File]) -> None:
    """What was staged must be what was counted: a later call takes it unseen."""
    changed = [file for file in sent if inputs.changed(source, file)]
    if changed:
        cloud, places = work.cloud, [work.order.source / file.name for file in changed]
        cloud.storage.remove(cloud.config, places)
        raise BatchError(
            f"{source / changed[0].name}: changed while it was uploaded: let it be finished, and try again"
        )


def clear(work: Work) -> None:
    """Remove what was staged, unless another command has a job on it: one with another OUTPUT."""
    if any(job.moving for job in work.cloud.transforms.jobs(work.cloud.config, work.order.run)):
        return
    cloud, own = work.cloud, work.cloud.transforms.run_place(work.cloud.config, work.order.run)
    cloud.storage.remove(
        cloud.config, [replace(own, key=one.key) for one in cloud.storage.listed(cloud.config, own)]
    )
