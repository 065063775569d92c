"""The one thread that computes, and what it runs for a stage."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

import torch

from stage_runtime.engines.base import Blocks
from stage_runtime.errors import SplitbedError
from stage_runtime.formats.cell import EngineName
from stage_runtime.stage.plan import StagePlan
from stage_runtime.tensors import describe

_log = logging.getLogger(__name__)

Job = Callable[[], None]


class ComputeThread:
    """Runs jobs one after the other, always on the same thread.

    OpenMP keeps a pool of worker threads per calling thread, so computing on a new thread for every cell
    would make a new pool each time, and two cells must never compute at once.
    """

    def __init__(self, threads: int) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        torch.set_num_threads(threads)
        # a GPU's convolutions would multiply with 10 bits of mantissa (TF32), and the output differ by a thousandth
        torch.backends.cudnn.allow_tf32 = False
        threading.Thread(target=self._work, name="compute", daemon=True).start()

    def submit(self, job: Job) -> None:
        """Run ``job`` when those before it are done; it handles its own errors."""
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:  # noqa: BLE001  (logged; without this thread the stage is of no use)
                _log.exception("a job of the compute thread failed")
            # a job may hold a whole cell's tensors: let go of them before waiting for the next
            del job


class Placed(NamedTuple):
    """A batch on the device that computes it; ``ready`` says when a copy to a GPU has come to its end."""

    tensor: torch.Tensor
    ready: torch.cuda.Event | None = None


class Computation:
    """A stage's blocks on their device, from host tensor to host tensor."""

    def __init__(self, blocks: Blocks, device: str, plan: StagePlan) -> None:
        self._blocks = blocks
        self._device = torch.device(device)
        self._plan = plan
        self._copies = _stream(self._device)

    @property
    def engine(self) -> EngineName:
        """What computes the blocks."""
        return self._blocks.engine

    @property
    def load_ms(self) -> float:
        """How long the blocks took to load."""
        return self._blocks.load_ms

    @torch.inference_mode()
    def place(self, tensor: torch.Tensor) -> Placed:
        """Begin to copy a batch to the GPU, beside what is computed there; on a CPU it is where it should be.

        The batch must stay as it is until it was computed.  May be called by another thread than the computing one.
        """
        if self._copies is None or self._is_empty:
            return Placed(tensor)
        with torch.cuda.stream(self._copies):
            copied = tensor.to(self._device, non_blocking=True)
            ready = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's own gap
            ready.record(self._copies)
        return Placed(copied, ready)

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """Compute one batch; the copies to and from a GPU are part of it, and are waited for.

        Raises SplitbedError when the output is not what the manifest says.
        """
        return self.compute(self.place(tensor))

    @torch.inference_mode()
    def compute(self, placed: Placed) -> torch.Tensor:
        """Compute a batch that was placed; the rest of its copy and the output's are part of it, and are waited for.

        Raises SplitbedError when the output is not what the manifest says.
        """
        mine = self._plan.mine
        if self._is_empty:
            return placed.tensor
        if placed.ready is not None:
            computing = torch.cuda.current_stream(self._device)
            computing.wait_event(placed.ready)
            placed.tensor.record_stream(computing)
        output = self._blocks.forward(placed.tensor)
        output = output.to("cpu").contiguous() if self._device.type != "cpu" else output.contiguous()
        if describe(output) != self._plan.gives:
            found, expected = describe(output), self._plan.gives
            raise SplitbedError(
                f"blocks [{mine.first}, {mine.last}) gave {found.dtype} {found.shape}, "
                f"the manifest says {expected.dtype} {expected.shape}"
            )
        return output

    @property
    def _is_empty(self) -> bool:
        return self._plan.mine.first == self._plan.mine.last


def _stream(device: torch.device) -> torch.cuda.Stream | None:
    """Make a stream of a GPU's own for copies; there is none on a CPU."""
    if device.type != "cuda":
        return None
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's own gap


def choose_accelerator(asked: str) -> str:
    """Give the torch device to use: ``cpu`` or ``cuda:<n>``; raises SplitbedError when it is not there."""
    if asked == "cpu":
        return "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return "cuda:0" if count else "cpu"
    number = asked.removeprefix("cuda:")
    if not asked.startswith("cuda:") or not number.isdigit():
        raise SplitbedError(f"accelerator {asked!r} is none of auto, cpu, cuda:<n>")
    if int(number) >= count:
        raise SplitbedError(f"accelerator {asked} is not there: torch {torch.__version__} sees {count} GPUs")
    return asked
