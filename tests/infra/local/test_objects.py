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
