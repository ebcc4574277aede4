"""The local cloud's process: `python -m infra.local.serve`, which `daemon.up` starts in the background.

It takes the port, cleans up after one that was killed, says on the file descriptor it was given that it is
ready (or in one sentence why not), and serves until SIGTERM or SIGINT, when it stops every container and
exits 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

from infra.local import daemon, engines, listening, settings
from infra.local.settings import SettingError, Settings

log = logging.getLogger("infra.local")
MOTO = {
    "MOTO_DISABLE_GLOBAL_CORS": "true",
    "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def main() -> int:
    """Serves until told to stop; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        chosen = settings.from_environment()
        with daemon.only_one(chosen.home), listening.listen(chosen.port) as listener:
            return _serve(chosen, listener)
    except daemon.AlreadyRunning as error:
        daemon.tell_parent({daemon.STARTING: True})
        log.error("%s", error)
        return 1
    except (SettingError, listening.PortTaken, OSError) as error:
        daemon.tell_parent({"error": str(error)})  # first: the log's disk may be full
        log.error("%s", error)
        return 1


def _serve(chosen: Settings, listener: socket.socket) -> int:
    _clean(chosen)
    _raise_file_limit()
    port = listener.getsockname()[1]
    asyncio.run(_run(chosen, listener, port))
    daemon.forget(chosen.home)
    log.info("stopped")
    return 0


def _clean(chosen: Settings) -> None:
    """What one that was killed left behind: its containers with their directories, and its objects."""
    engines.of(chosen).clean()
    for stale in (chosen.places, chosen.home / "objects"):
        shutil.rmtree(stale, ignore_errors=True)
        stale.mkdir(parents=True, exist_ok=True)


def _raise_file_limit() -> None:
    """An object that is not small holds a file open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(chosen: Settings, listener: socket.socket, port: int) -> None:
    os.environ.update(MOTO)  # moto reads it when it is imported
    import uvicorn

    from infra.local.cloudwatch import CloudWatch
    from infra.local.gateway import Gateway
    from infra.local.imagebuilds.codebuild import CodeBuild
    from infra.local.imagebuilds.ecr import let_moto_answer_for
    from infra.local.records import Records
    from infra.local.sagemaker import SageMaker
    from infra.local.vertex import Google

    class Server(uvicorn.Server):
        """uvicorn, without its own signal handlers: they end the process by the signal."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    records = Records(chosen, port)
    let_moto_answer_for(records.url)
    codebuild = CodeBuild(records)
    cloudwatch = CloudWatch(chosen.time_scale)
    sagemaker, google = SageMaker(records, cloudwatch), Google(chosen, records.url)
    config = uvicorn.Config(
        Gateway(records, sagemaker, google),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,  # as clients keep theirs
        timeout_graceful_shutdown=2,
    )
    server = Server(config)
    _stop_on_signals(server, chosen)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not (server.started or serving.done()):
        await asyncio.sleep(0.005)
    if server.started:
        log.info("ready at %s, process %d", records.url, os.getpid())
        daemon.announce(chosen.home, port)
    try:
        await serving
    finally:
        await asyncio.gather(sagemaker.close(), google.close())
        cloudwatch.close()
        codebuild.close()


def _stop_on_signals(server: Any, chosen: Settings) -> None:
    def stop() -> None:
        server.should_exit = True
        daemon.forget(chosen.home)  # whoever needs one from here on is to wait for another

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


if __name__ == "__main__":
    sys.exit(main())
