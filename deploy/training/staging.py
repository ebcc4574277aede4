"""Bundles brought to where a job reads them: what is there already is not sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.batch.cloud import Storage
from deploy.batch.places import Remote
from deploy.config import Config
from deploy.target import CloudError, Say
from deploy.training import addresses
from deploy.training.bundles import Bundle, File, changed


@dataclass(frozen=True)
class Shelf:
    """Where bundles are put: a cloud's storage, and the root below which they lie in it."""

    storage: Storage
    config: Config
    root: Remote


def stage(shelf: Shelf, bundles: Sequence[Bundle], say: Say) -> None:
    """Upload the files that are not there yet; under a digest, name and size stand for the content.

    CloudError, and nothing is left of it, for a file that changed meanwhile: later jobs take it unseen.
    """
    missing = [one for bundle in bundles for one in _missing(shelf, bundle)]
    size, sent = max(1, sum(file.size for file, _ in missing)), 0

    def count(transferred: int) -> None:
        nonlocal sent
        sent += transferred
        say(f"{sent / size:.0%} of {size / 1e6:,.1f} MB")

    if not missing:
        return
    try:
        shelf.storage.upload(shelf.config, [(file.path, place) for file, place in missing], count)
    finally:
        # Of an upload that broke off, too: what has arrived may be of a file that changed.
        _take_back([(file, place) for file, place in missing if changed(file)], shelf)


def _missing(shelf: Shelf, bundle: Bundle) -> list[tuple[File, Remote]]:
    if not bundle.files:
        return []
    place = addresses.of_bundle(shelf.root, bundle)
    there = {found.key: found.size for found in shelf.storage.listed(shelf.config, place)}
    wanted = [(file, place / file.name) for file in bundle.files]
    return [(file, target) for file, target in wanted if there.get(target.key) != file.size]


def _take_back(wrong: Sequence[tuple[File, Remote]], shelf: Shelf) -> None:
    if wrong:
        shelf.storage.remove(shelf.config, [place for _, place in wrong])
        raise CloudError(
            f"{wrong[0][0].path}: changed while it was uploaded: let it be finished, and try again"
        )
