"""Run the baseline's jobs and keep what they give, a line each, beside the campaign's journal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.contest.interleave import Job
from bench.contest.sides import BATCHES, WINDOWS
from bench.contest.workers import Pair, order_for
from bench.pickle_chain.orders import FirstFigures, SecondFigures
from bench.testbed import BenchError
from sweep.lines import DurableLines, whole_lines
from sweep.testbed import Device

BASELINE = "baseline.jsonl"
_LEAST_BATCHES = max(WINDOWS) + 1
_SLACK_S = 120.0
_FAILURES = 3


class BaselineRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of the baseline: which, and its figures; times are medians over the measured batches.

    ``response_ms`` is from the batch lying ready to its result being back at the first part, None where nothing came
    back; ``throughput_ips`` images per second between the first and the last measured output of the second part;
    ``bytes`` those of one batch's pickle and its header.  A run that failed has a ``reason`` and no figures.
    """

    model: str
    network: str
    split: str
    batch: int
    one_in_flight: bool
    repeat: int
    status: Literal["ok", "failed"]
    started: str
    reason: str = ""
    batches: int = 0
    bytes: int = 0
    throughput_ips: float | None = None
    response_ms: float | None = None
    batch_response_ms: tuple[float, ...] = ()
    first_compute_ms: float | None = None
    pickle_ms: float | None = None
    send_ms: float | None = None
    receive_ms: float | None = None
    unpickle_ms: float | None = None
    second_compute_ms: float | None = None

    @property
    def key(self) -> tuple[str, str, str, int, bool, int]:
        """What occurs once among good rows; see :attr:`bench.contest.interleave.Job.key`."""
        return (self.model, self.network, self.split, self.batch, self.one_in_flight, self.repeat)


def read_baseline(folder: Path) -> list[BaselineRow]:
    """Read a campaign's baseline rows; a torn last line is ignored."""
    return [msgspec.json.decode(line, type=BaselineRow) for _, line in whole_lines(folder / BASELINE)]


class Baseline:
    """Runs jobs that have no good row yet; gives up for good when several in a row fail."""

    def __init__(
        self, folder: Path, devices: Mapping[str, Device], pair: Pair, *, limit_s: float, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._devices = devices
        self._pair = pair
        self._limit_s = limit_s
        self._say = say
        self._done = {row.key for row in read_baseline(folder) if row.status == "ok"}
        self._failures = 0

    def run(self, jobs: Iterable[Job], stopping: Callable[[], bool]) -> None:
        """Run the jobs one after the other, and write a row for each; none is begun once `stopping`."""
        for job in jobs:
            if stopping() or self._failures >= _FAILURES:
                return
            if job.key in self._done:
                continue
            row = self._measure(job)
            if stopping() and row.status != "ok":
                return  # what was measured is an interruption
            with DurableLines(self._folder / BASELINE, "the baseline's rows") as lines:
                lines.append_line(msgspec.json.encode(row))
            self._note(row)

    def _measure(self, job: Job) -> BaselineRow:
        cell = job.cell
        about: dict[str, Any] = {
            "model": cell.model,
            "network": cell.network,
            "split": cell.split,
            "batch": cell.batch,
            "one_in_flight": job.one_in_flight,
            "repeat": cell.repeat,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        orders = [
            order_for(
                cell,
                self._devices[stage.device],
                batches=BATCHES,
                least=_LEAST_BATCHES,
                limit_s=self._limit_s,
                one_in_flight=job.one_in_flight,
            )
            for stage in cell.stages
        ]
        try:
            near, far = self._pair.run(orders[0], orders[1], cell.timeout_s + _SLACK_S)
        except BenchError as exc:
            return BaselineRow(**about, status="failed", reason=str(exc))
        if near.first is None or far.second is None:
            return BaselineRow(**about, status="failed", reason=f"the parts answered {near} and {far}")
        return BaselineRow(**about, status="ok", **figures(near.first, far.second, cell.batch))

    def _note(self, row: BaselineRow) -> None:
        what = (
            f"      {row.model} {row.network} pickle {row.split} {'one in flight' if row.one_in_flight else 'stream'}"
        )
        if row.status == "ok":
            self._done.add(row.key)
            self._failures = 0
            response = f"{row.response_ms:.1f} ms, " if row.response_ms is not None else ""
            self._say(f"{what}: {response}{row.throughput_ips:.1f} images/s")
            return
        self._failures += 1
        self._say(f"{what}: FAILED: {row.reason}")
        if self._failures >= _FAILURES:
            self._say(f"the pickle transport failed {_FAILURES} times in a row and is given up")


def figures(first: FirstFigures, second: SecondFigures, batch: int) -> dict[str, Any]:
    """Make a row's figures of what the parts measured."""
    instants = second.computed_ms
    span_s = (instants[-1] - instants[0]) / 1e3
    return {
        "batches": len(instants),
        "bytes": first.bytes,
        "throughput_ips": (len(instants) - 1) * batch / span_s,
        "response_ms": statistics.median(first.response_ms) if first.response_ms else None,
        "batch_response_ms": first.response_ms,
        "first_compute_ms": statistics.median(first.compute_ms),
        "pickle_ms": statistics.median(first.pickle_ms),
        "send_ms": statistics.median(first.send_ms),
        "receive_ms": statistics.median(second.receive_ms),
        "unpickle_ms": statistics.median(second.unpickle_ms),
        "second_compute_ms": statistics.median(second.compute_ms),
    }
