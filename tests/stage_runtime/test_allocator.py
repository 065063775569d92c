"""Freed memory is kept, in any thread and of any size, until it is given back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
_FAULTS = """
import ctypes, resource, sys, threading
from stage_runtime.allocator import give_back_freed_memory, keep_freed_memory

if "keep" in sys.argv:
    assert keep_freed_memory()

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p

def fill():
    # not numpy's arrays, for which it asks the kernel for huge pages
    taken = [(ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size))), size) for size in (30_000_000, 100_000_000)]
    for where, size in taken:
        ctypes.memset(where, 1, size)
    for where, _ in taken:
        libc.free(where)

def faults_of(work):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def measure():
    fill()
    print(faults_of(fill))
    give_back_freed_memory()
    print(faults_of(fill))

thread = threading.Thread(target=measure)
thread.start()
thread.join()
"""
_PAGES = 130_000_000 // 4096


def _faults(*arguments: str) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS, *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    again, given_back = map(int, done.stdout.split())
    return again, given_back


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is what is told")
def test_a_thread_gets_the_memory_that_it_freed_without_a_page_fault() -> None:
    huge_pages = "[always]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    if huge_pages:
        pytest.skip("this kernel gives huge pages to everything, so that faults are few in any case")
    again, given_back = _faults("keep")
    assert again < _PAGES / 50
    assert given_back > _PAGES / 2, "what is given back must be taken anew"
    assert _faults()[0] > _PAGES / 2, "without being told, malloc gives it back"
