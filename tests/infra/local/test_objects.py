"""S3's objects as files: moto's records with their bytes out of memory."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

# In a process of its own: what is replaced of moto stays replaced.
PROGRAM = """
import os, sys, tracemalloc
from pathlib import Path
import moto.s3.models as s3
from infra.local import objects
from infra.local.cloud import Caller
objects.keep_in_files(Path(sys.argv[1]))
caller = Caller("123456789012", "us-east-1")
objects.make_bucket(caller, "bucket")
backend = s3.s3_backends["123456789012"]["aws"]
part = os.urandom(6 * 2**20)
upload = backend.create_multipart_upload("bucket", "key", {}, None, None, None, None, None)
upload = upload if isinstance(upload, str) else upload.id
tags = [(n, backend.upload_part("bucket", upload, n, part).etag) for n in range(1, 9)]
tracemalloc.start()
backend.complete_multipart_upload("bucket", upload, tags)
reader = objects.open_object(caller, "bucket", "key")
backend.put_object("bucket", "key", b"another")
pieces = list(iter(lambda: reader.read(2**20) == part[:0], True))
reader.seek(5 * len(part))
print(len(pieces), reader.read(len(part)) == part, reader.seek(0, 2) == 8 * len(part))
reader.close()
print(objects.open_object(caller, "bucket", "key").read())
print(tracemalloc.get_traced_memory()[1] < 2 * len(part))
"""


def test_a_multipart_upload_is_joined_and_read_without_being_held_in_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["48 True True", "b'another'", "True"], done.stderr


PUT = """
import hashlib, io, os, sys, tracemalloc
from pathlib import Path
from infra.local import objects
from infra.local.cloud import Caller
objects.keep_in_files(Path(sys.argv[1]))
caller, other = Caller("123456789012", "us-east-1"), Caller("210987654321", "us-east-1")
objects.make_bucket(caller, "bucket")
size = 40 * 2**20
with open(sys.argv[1] + "/big", "wb") as big:
    for _ in range(40):
        big.write(os.urandom(2**20))
tracemalloc.start()
with open(sys.argv[1] + "/big", "rb") as body:
    made = objects.Joined([body])
    objects.put_object(caller, "bucket", "b/\u00e9", (made, made.md5()))
print(tracemalloc.get_traced_memory()[1] < size / 4)
small = objects.Joined([io.BytesIO(b"small")])
objects.put_object(caller, "bucket", "b/Z", (small, small.md5()))
with open(sys.argv[1] + "/big", "rb") as body:
    print(hashlib.md5(objects.open_object(caller, "bucket", "b/\u00e9").read()).hexdigest() == made.md5())
print(objects.list_keys(caller, "bucket", "b/"), objects.open_object(caller, "bucket", "b/Z").read())
objects.delete_object(caller, "bucket", "b/Z")
objects.delete_object(caller, "bucket", "b/never")
print(objects.list_keys(caller, "bucket", "b"))
for who, bucket in ((other, "bucket"), (caller, "none")):
    for call in (objects.list_keys, objects.delete_object):
        try:
            call(who, bucket, "b")
        except objects.AwsError as error:
            print(error.code)
"""


def test_an_object_is_put_from_a_file_without_being_held_in_memory_listed_and_deleted(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PUT, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "True",
        "True",
        "['b/Z', 'b/é'] b'small'",
        "['b/é']",
        *["AccessDenied"] * 2,
        *["NoSuchBucket"] * 2,
    ], done.stderr
