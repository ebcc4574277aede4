"""One instance's work: its objects split, posted within a window, and put back whole and in order."""

from __future__ import annotations

import os
import tempfile
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, cast

from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError
from infra.local.sagemaker.transforms import failures, joining, splitting
from infra.local.sagemaker.transforms.datalog import DataLog
from infra.local.sagemaker.transforms.failures import FileFailed, Stopped
from infra.local.sagemaker.transforms.framing import FrameError
from infra.local.sagemaker.transforms.gunzip import Unpacked
from infra.local.sagemaker.transforms.inputs import Source
from infra.local.sagemaker.transforms.joining import DataError, Processing
from infra.local.sagemaker.transforms.parameters import MOST_REQUESTS, Parameters
from infra.local.sagemaker.transforms.posting import Poster
from infra.local.sagemaker.transforms.splitting import Payload

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Handling:
    """What a job does with each object: its TransformInput, TransformOutput and DataProcessing."""

    split: str
    is_packed: bool
    ends_lines: bool
    output_bucket: str
    processing: Processing


class Instance:
    """An instance of a job, with a container that answers."""

    def __init__(self, cloud: Cloud, caller: Caller, handling: Handling, stopped: threading.Event) -> None:
        self._cloud, self._caller, self._handling, self._stopped = cloud, caller, handling, stopped

    def work(
        self, sources: Sequence[Source], poster: Poster, chosen: Parameters, log: DataLog
    ) -> list[FileFailed]:
        """Transforms its objects, as many at once as requests may be; those that failed. Raises Stopped."""
        if not sources:
            return []
        window = _Window(poster, chosen, self._handling)

        def attempt(source: Source) -> FileFailed | None:
            try:
                self._transform(source, window)
            except FileFailed as failed:
                log.failed(source.place, failed.lines)
                return failed
            return None

        files = min(chosen.concurrent, len(sources), MOST_REQUESTS)
        with window, ThreadPoolExecutor(files, thread_name_prefix="object") as pool:
            return [failed for failed in pool.map(attempt, sources) if failed]

    def _transform(self, source: Source, window: _Window) -> None:
        """The object's answer into the bucket, whole; nothing if it raises FileFailed or Stopped."""
        with tempfile.TemporaryFile() as output:
            try:
                window.fill(lambda: self._opened(source), output)
                if self._stopped.is_set():
                    raise Stopped
                output.seek(0)
                self._cloud.put_object(self._caller, self._handling.output_bucket, source.output, output)
            except AwsError as error:
                raise FileFailed(f"ClientError: {error.code}: {error.message}", client=True) from error
            except splitting.RecordTooLarge as error:
                raise FileFailed(failures.TOO_LARGE.format(record=error), client=True) from error
            except (FrameError, DataError) as error:
                raise FileFailed(f"ClientError: {error}", client=True) from error
            except (EOFError, OSError, zlib.error) as error:
                raise FileFailed(f"ClientError: Failed on the object: {error}", client=True) from error

    def _opened(self, source: Source) -> BinaryIO:
        stream = self._cloud.open_object(self._caller, source.bucket, source.key)
        return cast(BinaryIO, Unpacked(stream)) if self._handling.is_packed else stream


class _Window:
    """The requests of one instance: some on their way at once, and as many answers that wait for their turn.

    A place is taken before a payload is read and given back once its answer is written, so memory is bounded
    by the window, whatever the objects' size and number.
    """

    def __init__(self, poster: Poster, chosen: Parameters, handling: Handling) -> None:
        self._poster, self._chosen, self._handling = poster, chosen, handling
        requests = min(chosen.concurrent, MOST_REQUESTS)
        self._places = threading.Semaphore(2 * requests)
        self._pool = ThreadPoolExecutor(requests, thread_name_prefix="post")

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def fill(self, source: Opener, output: BinaryIO) -> None:
        """Writes the answers to all of the object's payloads, in their order."""
        if self._is_streamed:
            return self._stream(source, output)
        waiting: deque[Future[bytes]] = deque()
        with source() as stream:
            payloads = splitting.payloads(
                stream, self._handling.split, self._chosen.strategy, self._chosen.payload_bytes
            )
            try:
                while self._submit_next(payloads, waiting, output):
                    pass
                while waiting:
                    self._write_first(waiting, output)
            finally:
                self._give_up(waiting)

    def _stream(self, source: Opener, output: BinaryIO) -> None:
        self._pool.submit(self._poster.stream, source, output).result()
        if self._handling.ends_lines and output.tell():
            output.seek(-1, os.SEEK_END)
            output.write(b"" if output.read(1) == b"\n" else b"\n")

    @property
    def _is_streamed(self) -> bool:
        """One chunked request for the object, which nothing here looks into."""
        one_request = self._handling.split == "None" or self._chosen.strategy == splitting.MULTI
        return not self._chosen.payload_mb and one_request and not self._handling.processing.is_needed

    def _submit_next(
        self, payloads: Iterator[Payload], waiting: deque[Future[bytes]], output: BinaryIO
    ) -> bool:
        while not self._places.acquire(blocking=not waiting):
            self._write_first(waiting, output)
        try:
            payload = next(payloads, None)
        except BaseException:
            self._places.release()
            raise
        if payload is None:
            self._places.release()
            return False
        waiting.append(self._pool.submit(self._answer, payload))
        return True

    def _answer(self, payload: Payload) -> bytes:
        processing = self._handling.processing
        try:
            answer = self._poster.post(joining.for_container(processing, payload.data))
            if processing.is_needed:
                answer = joining.for_output(processing, payload.data, answer)
        except DataError as error:
            begins = f"the request began with record {payload.first} of the object"
            raise DataError(f"{error} ({begins})") from None
        is_ended = not answer or answer.endswith(b"\n")
        return answer if is_ended or not self._handling.ends_lines else answer + b"\n"

    def _write_first(self, waiting: deque[Future[bytes]], output: BinaryIO) -> None:
        try:
            output.write(waiting[0].result())
        finally:
            waiting.popleft()
            self._places.release()

    def _give_up(self, waiting: deque[Future[bytes]]) -> None:
        """After a failure: what has not been sent is not, and the rest is waited for."""
        for future in waiting:
            future.cancel()
        while waiting:
            with suppress(Exception, CancelledError):
                waiting[0].result()
            waiting.popleft()
            self._places.release()
