"""Lines on their way to CloudWatch Logs, against an account that remembers its calls."""

import threading
import time

from infra.local.cloud import Caller
from infra.local.errors import AwsError
from infra.local.sagemaker import logs
from infra.local.sagemaker.logs import BATCH_BYTES, LogStream

CALLER = Caller("123456789012", "us-east-1")


class Account:
    """Takes PutLogEvents once the stream was made; `slow` holds every call up."""

    def __init__(self, slow=0.0):
        self.slow, self.made, self.batches, self.refusals = slow, False, [], 0

    def moto(self, caller, operation, payload):
        time.sleep(self.slow)
        if operation.endswith("CreateLogStream"):
            self.made = True
        if operation.endswith("PutLogEvents"):
            if not self.made:
                self.refusals += 1
                raise AwsError(400, "ResourceNotFoundException", "The specified log group does not exist.")
            self.batches.append([event["message"] for event in payload["logEvents"]])
        return {}


def lines_of(account):
    return [line for batch in account.batches for line in batch]


def test_lines_arrive_in_order_in_few_calls_and_soon():
    account = Account()
    stream = LogStream(account, CALLER, "group", "stream")
    began = time.monotonic()
    written = [f"line {number}" for number in range(1500)]
    for line in written:
        stream.write(line)
    stream.flush()
    assert time.monotonic() - began < 1
    assert lines_of(account) == written
    assert len(account.batches) < 20
    assert account.refusals == 1
    stream.close()


def test_a_blank_line_stays_a_line():
    account = Account()
    stream = LogStream(account, CALLER, "group", "stream")
    stream.write("")
    stream.close()
    assert lines_of(account) == [" "]


def test_a_container_that_says_much_waits_and_loses_nothing(monkeypatch):
    """A script's last words are the ones that matter, and memory is bounded."""
    monkeypatch.setattr(logs, "FLUSH_S", 1.0)
    account = Account(slow=0.01)
    stream = LogStream(account, CALLER, "group", "stream")
    written, most = [f"line {number}" for number in range(40_000)], 0
    for line in written:
        stream.write(line)
        most = max(most, len(stream._lines))
    stream.close()
    assert lines_of(account) == written
    assert most <= logs.BACKLOG_EVENTS


def test_long_lines_wait_by_their_size():
    account = Account(slow=0.01)
    stream = LogStream(account, CALLER, "group", "stream")
    most = 0
    for _ in range(100):
        stream.write("x" * 200_000)
        most = max(most, len(stream._lines))
    stream.close()
    assert most * 200_000 <= logs.BACKLOG_BYTES + 200_000


def test_a_batch_is_no_larger_than_a_call_may_be():
    account = Account()
    stream = LogStream(account, CALLER, "group", "stream")
    for _ in range(12):
        stream.write("x" * 190_000)
    stream.close()
    assert len(lines_of(account)) == 12
    assert max(sum(map(len, batch)) for batch in account.batches) <= BATCH_BYTES


def test_flush_does_not_wait_for_lines_written_after_it():
    account = Account(slow=0.05)
    stream = LogStream(account, CALLER, "group", "stream")
    stop = threading.Event()

    def chatter():
        while not stop.wait(0.001):
            stream.write("again")

    stream.write("first")
    writer = threading.Thread(target=chatter)
    writer.start()
    began = time.monotonic()
    stream.flush()
    waited = time.monotonic() - began
    stop.set()
    writer.join()
    assert "first" in lines_of(account)
    assert waited < 5
    stream.close()


def test_a_line_after_the_end_is_dropped_and_waited_for_by_nobody(monkeypatch):
    monkeypatch.setattr(logs, "FLUSH_S", 5.0)
    account = Account()
    stream = LogStream(account, CALLER, "group", "stream")
    stream.write("last words")
    stream.close()
    stream.write("from the grave")
    began = time.monotonic()
    stream.flush()
    stream.close()
    assert time.monotonic() - began < 4
    assert lines_of(account) == ["last words"]


def test_a_call_that_fails_loses_its_lines_but_not_the_next_ones(caplog):
    account = Account()
    account.made = True
    good = account.moto
    account.moto = lambda *_: (_ for _ in ()).throw(AwsError(500, "InternalFailure", "no"))
    stream = LogStream(account, CALLER, "group", "stream")
    stream.write("lost")
    stream.flush()
    account.moto = good
    stream.write("kept")
    stream.close()
    assert lines_of(account) == ["kept"]
    assert "1 lines not put" in caplog.text
