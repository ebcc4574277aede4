"""`python -m inference.serving serve`: the container's command.

The socket is bound before anything heavy is imported, so the platform finds a listener at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from pathlib import Path

from inference.serving import log, settings
from inference.serving.errors import StartError

_DESCRIPTION = """\
Serve <model>/code/handler.py over HTTP, as SageMaker and Vertex AI call a container:
  GET /ping          200 once the model is loaded and every line of code/samples.jsonl was answered
  POST /invocations  instances in, predictions out: JSON, JSON Lines, CSV or npy, by Content-Type and Accept
  GET /metrics       requests by status, and the time spent in each phase, for Prometheus
"""
_EXAMPLE = """
example:
  SAGEMAKER_BASE_DIR=/tmp/ml SAGEMAKER_BIND_TO_PORT=8080 python -m inference.serving serve
"""


def main(arguments: list[str]) -> int:
    """Run the verb; the status to exit with."""
    _parser().parse_args(arguments)
    # Before the loop has its own handlers, to be told to stop is to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        chosen = settings.read(os.environ)
        listening = _listen(chosen)
    except StartError as error:
        log.failure(str(error))
        return 1
    from inference.serving import lifecycle  # after the socket: it imports numpy and uvicorn

    _leave_to_handler()
    return lifecycle.serve(chosen, listening)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.serving",
        description=_DESCRIPTION,
        epilog=settings.HELP + _EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=["serve"], help="serve: listen until SIGTERM, then finish and exit 0")
    return parser


def _listen(chosen: settings.Settings) -> socket.socket:
    try:
        found = socket.getaddrinfo(chosen.host, chosen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        raise StartError(
            f"cannot listen on {chosen.host} port {chosen.port}: {error.strerror}; end what listens there, "
            "or set SAGEMAKER_BIND_TO_PORT (AIP_HTTP_PORT, SLIPWAY_HOST) to something else"
        ) from None
    log.event(f"listening on http://{chosen.host}:{listening.getsockname()[1]}")
    return listening


def _leave_to_handler() -> None:
    """Take the kit out of the handler's sight, now that all of it is imported.

    In the cloud nothing of the kit but this package is there, and a handler may have an inference.py of its
    own: `import deploy` has to fail here as it would there, and `import inference` has to find the handler's.
    """
    kit = Path(__file__).parents[2]
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() not in (kit, Path.cwd())]
    inherited = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    if kept := [entry for entry in inherited if entry and Path(entry).resolve() != kit]:
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    for name in [name for name in sys.modules if name.partition(".")[0] == "inference"]:
        del sys.modules[name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
