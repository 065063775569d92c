"""Run a sweep over processes of this machine, and sample what the driver and its stages hold."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from sweep.places import CHECKOUT

_MODEL = "bench.soak.model:tiny"
_CUTS = ("P1", "P3", "P5")
# each cut and the whole model on either device, with one batch in flight and with two
CELLS_A_ROUND = (len(_CUTS) + 2) * 2
DEVICES = ("sbD1", "sbD2")


class Sample(NamedTuple):
    """What one process held at one moment: resident memory in MiB, open descriptors, threads."""

    who: str
    at_s: float
    rss_mb: float
    descriptors: int
    threads: int


class Soak(NamedTuple):
    """A sweep that is over: its exit status, what was sampled, and the folder with its journal."""

    status: int
    samples: list[Sample]
    campaign: Path


def soak(results: Path, cells: int, port: int, transport: str, *, every_s: float = 0.25) -> Soak:
    """Run so many cells (rounded up to whole rounds); raises OSError where the sweep wrote no journal."""
    repeats = -(-cells // CELLS_A_ROUND)
    devices = ",".join(f"{name}:cpu:1" for name in DEVICES)
    words = [
        f"model={_MODEL}", "granularity=all", f"splits={','.join(_CUTS)}", f"devices={devices}",
        f"transports={transport}",
        "window=1,2", "batch=1", "batches=3", "warmup=1", "cell_s=0", "num_classes=10", f"repeats={repeats}",
        f"most_repeats={repeats}", f"results={results}", f"port={port}", "fresh=true",
    ]  # fmt: skip
    log = results / "sweep.log"
    results.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    over = threading.Event()
    with log.open("wb") as said:
        driver = subprocess.Popen(
            [sys.executable, "-m", "sweep", "direct", *words], cwd=CHECKOUT, stdout=said, stderr=subprocess.STDOUT
        )
        watcher = threading.Thread(target=_watch, args=(driver.pid, samples, over, every_s))
        watcher.start()
        try:
            status = driver.wait()
        finally:
            driver.kill()
            over.set()
            watcher.join()
    found = list(results.glob("*/journal.jsonl"))
    if not found:
        raise FileNotFoundError(f"the sweep wrote no journal: {log.read_text(errors='replace')[-2000:]}")
    return Soak(status, samples, max(found, key=lambda journal: journal.stat().st_mtime_ns).parent)


def _watch(driver: int, samples: list[Sample], over: threading.Event, every_s: float) -> None:
    begun = time.monotonic()
    known: dict[str, psutil.Process] = {"driver": psutil.Process(driver)}
    while not over.wait(every_s):
        if len(known) <= len(DEVICES):
            known |= _stages(known["driver"])
        for who, process in known.items():
            try:
                with process.oneshot():
                    rss = process.memory_info().rss / 2**20
                    sample = Sample(who, time.monotonic() - begun, rss, process.num_fds(), process.num_threads())
            except psutil.Error:
                continue  # it has ended, or has yet to become what it is to be
            samples.append(sample)


def _stages(driver: psutil.Process) -> dict[str, psutil.Process]:
    """Find the stages among the driver's children, by the device that their configuration is of."""
    found = {}
    try:
        for child in driver.children():
            words = child.cmdline()
            if words[1:3] == ["-m", "stage_runtime.stage"]:
                found[Path(words[-1]).parent.name] = child
    except psutil.Error:
        return {}
    return found
