"""The worker's heaps, counted by glibc itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = """
import ctypes, sys, threading
from tasks.steps.memory import FewHeaps

FewHeaps(None)
libc = ctypes.CDLL(None)
barrier = threading.Barrier(16)

def allocate():
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc(1000)
    barrier.wait(10)

threads = [threading.Thread(target=allocate) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fopen.restype = ctypes.c_void_p
told = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, told)
libc.fclose(told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
@pytest.mark.parametrize(("environment", "few"), [({}, True), ({"MALLOC_ARENA_MAX": "12"}, False)])
def test_threads_share_heaps(tmp_path: Path, environment: dict[str, str], few: bool) -> None:
    """16 threads that allocate at the same time have two heaps, unless somebody has set how many."""
    told = tmp_path / "malloc.xml"
    clean = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    subprocess.run([sys.executable, "-c", COUNT, told], check=True, timeout=60, env={**clean, **environment})
    assert (told.read_text().count("<heap nr=") <= 2) is few
