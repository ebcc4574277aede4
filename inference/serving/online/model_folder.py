"""The model's folder, ready to be loaded: it is there, or is downloaded; and it is what was packaged."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from inference.serving import log
from inference.serving.caching import shared_cache
from inference.serving.model import artifact, manifest, storage
from inference.serving.settings import Settings


class ModelFolder:
    """Call `ready` once, and `remove` in the end, whatever happened."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._downloads: Path | None = None

    def ready(self) -> Path:
        """The folder. StartError where it cannot be had, or is not what was packaged."""
        folder = self._found()
        log.event(manifest.check(folder, self._settings.manifest_sha256))
        if self._settings.sharing is not None:
            shared_cache.version(folder, self._settings.sharing.version)
        return folder

    def remove(self) -> None:
        """Remove what was downloaded."""
        if self._downloads is not None:
            shutil.rmtree(self._downloads, ignore_errors=True)

    def _found(self) -> Path:
        wanted = self._settings.artifact
        if wanted is None:
            return self._settings.model_dir
        self._downloads = Path(tempfile.mkdtemp(prefix="slipway-model-"))
        return artifact.fetch(wanted, storage.reached_by(os.environ), self._downloads)
