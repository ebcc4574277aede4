"""The work behind a job's states, in a thread: containers up, objects through, containers down."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from infra.local.cloud import Cloud
from infra.local.containers import stop_all
from infra.local.errors import AwsError
from infra.local.sagemaker import fleets
from infra.local.sagemaker.containers import Container, ContainerSpec, StartFailed
from infra.local.sagemaker.launches import SERVICE_FAILED
from infra.local.sagemaker.states import Key
from infra.local.sagemaker.transforms import failures, inputs, parameters
from infra.local.sagemaker.transforms.datalog import DataLog
from infra.local.sagemaker.transforms.failures import FileFailed, JobFailed, Stopped
from infra.local.sagemaker.transforms.files import Handling, Instance
from infra.local.sagemaker.transforms.inputs import Source
from infra.local.sagemaker.transforms.posting import Client, Poster
from infra.local.sagemaker.transforms.states import TransformJob, TransformJobs

REASON_CHARACTERS = 1024
CLOSE_EXTRA_S = 10.0  # beyond the containers' own grace
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """All that a job needs to run."""

    sources: tuple[Source, ...]
    handling: Handling
    client: Client
    container: ContainerSpec


@dataclass
class Run:
    """A job at work. `halted` ends it: it was stopped, or one of its instances cannot go on."""

    job: TransformJob
    plan: Plan
    containers: tuple[Container, ...]
    halted: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Runs:
    """Starts and stops the work of jobs."""

    def __init__(self, cloud: Cloud, jobs: TransformJobs) -> None:
        self._cloud, self._jobs = cloud, jobs
        self._lock = threading.Lock()
        self._live: dict[Key, Run] = {}
        self._closed = False

    def begin(self, job: TransformJob, plan: Plan) -> None:
        """Starts a job's work in a thread of its own."""
        count = job.request["TransformResources"]["InstanceCount"]
        run = Run(job, plan, tuple(Container(self._cloud, plan.container) for _ in range(count)))
        run.thread = threading.Thread(
            target=self._run, args=(run,), name=f"transform {job.name}", daemon=True
        )
        with self._lock:
            self._live[job.key] = run
            now = self._jobs.find(job.key)
            if self._closed or (now and now.status != "InProgress"):  # stopped before it was begun
                run.halted.set()
            run.thread.start()

    def stop(self, key: Key) -> None:
        """Ends a job's work: requests on their way are cut off, and no further output appears."""
        with self._lock:
            run = self._live.get(key)
        if run:
            _halt_soon(run)

    def close(self) -> None:
        """Ends every job's work and waits until its containers are gone; none is started any more."""
        with self._lock:
            self._closed = True
            live = list(self._live.values())
        for run in live:
            self.stop(run.job.key)
        for run in live:
            if run.thread:
                run.thread.join(self._cloud.settings.stop_grace_s + CLOSE_EXTRA_S)

    def _run(self, run: Run) -> None:
        failure = ""
        try:
            failure = self._outcome(run)
        except Stopped:
            failure = failures.CONTAINER_GONE
        except (StartFailed, JobFailed) as failed:
            failure = str(failed)
        except AwsError as error:
            failure = f"ClientError: {error.code}: {error.message}"
        except Exception:  # ours: the job must come to rest all the same
            _log.exception("transform job %s", run.job.name)
            failure = SERVICE_FAILED
        finally:
            stop_all(run.containers)
            self._jobs.end(run.job.key, failure[:REASON_CHARACTERS])
            with self._lock:
                del self._live[run.job.key]

    def _outcome(self, run: Run) -> str:
        """Does the work; the job's FailureReason, "" if all went well."""
        if run.halted.is_set():
            raise Stopped
        # Is the output's bucket there, and ours? Once all is scored it is too late to ask.
        self._cloud.list_keys(run.job.caller, run.plan.handling.output_bucket, "\x00")
        self._jobs.start(run.job.key)
        fleets.start_all(run.containers)
        with ThreadPoolExecutor(len(run.containers), thread_name_prefix="instance") as pool:
            works = [pool.submit(self._instance, run, number) for number in range(len(run.containers))]
        failed = [one for work in _by_gravity(works) for one in work.result()]
        return failures.reason(failed) if failed else ""

    def _instance(self, run: Run, number: int) -> list[FileFailed]:
        container = run.containers[number]
        assumed = run.plan.container.caller
        log = DataLog(self._cloud, assumed, f"{container.log_stream}/data-log")
        poster = Poster(container, run.plan.client, run.halted)
        try:
            chosen = parameters.resolved(run.job.request, parameters.answered(container.port))
            log.parameters(chosen)
            sources = inputs.share(run.plan.sources, number, len(run.containers))
            instance = Instance(self._cloud, assumed, run.plan.handling, run.halted)
            return instance.work(sources, poster, chosen, log)
        except JobFailed:
            _halt_soon(run)  # the other instances need not go on
            raise
        finally:
            poster.close()
            log.close()


def _halt_soon(run: Run) -> None:
    run.halted.set()
    # What is on its way breaks off with its container.
    threading.Thread(
        target=stop_all, args=(run.containers,), name=f"stop {run.job.name}", daemon=True
    ).start()


def _by_gravity(works: Sequence[Future[list[FileFailed]]]) -> list[Future[list[FileFailed]]]:
    """Those that say why the job cannot go on first, since the others were only halted by them."""
    return sorted(works, key=lambda work: not isinstance(work.exception(), JobFailed))
