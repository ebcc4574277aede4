"""The CPU time of a process's whole tree."""

import subprocess
import sys

from waiting import until

from infra.local.vertex import cputimes

# It waits, its child burns and waits, and a child of its own that burnt has ended.
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "sys = __import__('time')\\nwhile sys.process_time() < 0.3: pass"])
child = "import time\\nwhile time.process_time() < 0.3: pass\\ninput()"
subprocess.run([sys.executable, "-c", child])
"""


def test_what_children_use_counts_while_they_run_and_when_they_have_ended():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE)
    try:
        # Twice 0.3 s, each counted in hundredths that are cut off.
        until(lambda: (cputimes.of_tree(parent.pid) or 0) >= 0.55)
    finally:
        parent.communicate(b"\n")
    assert cputimes.of_tree(parent.pid) is None


def test_there_is_a_core():
    assert cputimes.cores() >= 1
