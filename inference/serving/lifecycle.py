"""From a bound socket to an exit status: an endpoint has a supervisor and workers, a transform job a crew.

Statuses: 0 after SIGTERM or SIGINT, 1 where the model could not be made ready or work was cut off.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import replace

from inference.serving import log
from inference.serving.counting.board import Board
from inference.serving.jobs.crew import Crew
from inference.serving.online import carried
from inference.serving.online.endpoint import Endpoint
from inference.serving.online.model_folder import ModelFolder
from inference.serving.online.supervisor import Supervisor
from inference.serving.processes.isolation import write_no_bytecode
from inference.serving.processes.loader import Begun
from inference.serving.settings import Batch, Settings


def serve(settings: Settings, listening: socket.socket, begun: Begun | None) -> int:
    """Serve until told to stop; the status to exit with. `begun` is there for an endpoint, None in a job."""
    if settings.batch is None and begun is not None:
        return Supervisor(settings, listening, begun).run()
    assert settings.batch is not None
    return _Job(settings, settings.batch, listening).run()


class _Job:
    """A transform job's server: this process moves bytes, and the crew's processes run the handler."""

    def __init__(self, settings: Settings, batch: Batch, listening: socket.socket) -> None:
        self._settings, self._batch = settings, batch
        board = Board(1)
        self._endpoint = Endpoint(settings, listening, board.slots[0])
        # Whose handler it is, and so what is read, the crew's processes know.
        self._endpoint.service.ask = carried.asked
        board.slots[0].pid = os.getpid()
        self._model = ModelFolder(settings)

    def run(self) -> int:
        """Serve the job's requests."""
        try:
            return self._endpoint.run(self._live)
        finally:
            self._model.remove()

    def _live(self) -> None:
        # Nothing may lie beside what the manifest lists: a compiled module would be run for a source.
        write_no_bytecode()
        model_dir = self._model.ready()
        settings = replace(self._settings, model_dir=model_dir)
        with contextlib.closing(Crew(settings, self._batch, self._endpoint)) as crew:
            crew.start()
            log.event(crew.check(model_dir))
            self._endpoint.open()
            log.event("ready")
            crew.run()
