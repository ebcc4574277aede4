"""From a bound socket to an exit status: an endpoint has a supervisor and workers, a transform job a crew.

Statuses: 0 after SIGTERM or SIGINT, 1 where the model could not be made ready or work was cut off.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

from inference.serving import artifact, log, manifest, samples, storage
from inference.serving.board import Board
from inference.serving.crew import Crew
from inference.serving.endpoint import Endpoint
from inference.serving.isolation import write_no_bytecode
from inference.serving.settings import Batch, Settings
from inference.serving.supervisor import Supervisor


def serve(settings: Settings, listening: socket.socket) -> int:
    """Serve until told to stop; the status to exit with."""
    if settings.batch is None:
        return Supervisor(settings, listening).run()
    return _Job(settings, settings.batch, listening).run()


class _Job:
    """A transform job's server: this process moves bytes, and the crew's processes run the handler."""

    def __init__(self, settings: Settings, batch: Batch, listening: socket.socket) -> None:
        self._settings, self._batch = settings, batch
        board = Board(1)
        self._endpoint = Endpoint(settings, listening, board.slots[0])
        board.slots[0].pid = os.getpid()
        self._downloads: Path | None = None

    def run(self) -> int:
        """Serve the job's requests."""
        try:
            return self._endpoint.run(self._live)
        finally:
            if self._downloads is not None:
                shutil.rmtree(self._downloads, ignore_errors=True)

    def _live(self) -> None:
        self._download()
        # Nothing may lie beside what the manifest lists: a compiled module would be run for a source.
        write_no_bytecode()
        model_dir = self._settings.model_dir
        log.event(manifest.check(model_dir, self._settings.manifest_sha256))
        with contextlib.closing(Crew(self._settings, self._batch, self._endpoint)) as crew:
            crew.start()
            log.event(samples.check(crew.ask, model_dir))
            self._endpoint.open()
            log.event("ready")
            crew.run()

    def _download(self) -> None:
        wanted = self._settings.artifact
        if wanted:
            self._downloads = Path(tempfile.mkdtemp(prefix="slipway-model-"))
            model_dir = artifact.fetch(wanted, storage.reached_by(os.environ), self._downloads)
            self._settings = replace(self._settings, model_dir=model_dir)
