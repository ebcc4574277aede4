"""`python -m inference.serving serve`: the container's command. And `batch IN OUT`, without a container.

For serve, the socket is bound and the loader started before anything heavy is imported: the platform finds a
listener at once, and two processes import at the same time.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys

from inference.serving import log, settings
from inference.serving.errors import StartError
from inference.serving.processes import loader
from inference.serving.processes.isolation import leave_to_handler

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
    if arguments[:1] == ["batch"]:
        from inference.serving.batch import command  # serve has no use for it

        return command.main(arguments[1:])
    if arguments[:1] == ["optimize"]:
        from inference.serving.optimize import command as optimizing  # as above

        return optimizing.main(arguments[1:])
    _parser().parse_args(arguments)
    # Before the loop has its own handlers, to be told to stop is to stop: at once, for an exception in the
    # middle of numpy's import makes that crash.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        chosen = settings.read(os.environ)
        listening = _listen(chosen)
    except StartError as error:
        log.failure(str(error))
        return 1
    begun = loader.begin(chosen, listening) if chosen.batch is None else None
    from inference.serving import lifecycle  # after socket and loader: it imports numpy and uvloop

    leave_to_handler()
    return lifecycle.serve(chosen, listening, begun)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.serving",
        description=_DESCRIPTION,
        epilog=settings.HELP + _EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "verb",
        choices=["serve", "batch", "optimize"],
        help="serve: listen until SIGTERM, then finish and exit 0; "
        "batch IN OUT: score files without a cloud (batch --help says more); "
        "optimize MODEL --out OUT: try what makes the model lighter (optimize --help says more)",
    )
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
