"""Profile one model on this device: load all of it, time its passes, weigh its activations."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import torch
from torch import nn

from stage_runtime import __version__
from stage_runtime.errors import FormatError
from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.profile import BlockProfile, BlockTimes, ModelProfile, ModelTimes, ProfileRequest
from stage_runtime.profiling import passes
from stage_runtime.profiling.memory import activation_peaks, cuda_activation_peaks
from stage_runtime.profiling.room import available_bytes, check_room
from stage_runtime.stage.inputs import read_inputs
from stage_runtime.stage.plan import read_manifest
from stage_runtime.stage.stability import disturbances
from stage_runtime.stage.workplace import Workplace
from stage_runtime.telemetry.recorder import Recorder
from stage_runtime.tensors import empty, memory_of
from stage_runtime.wire.frames import TensorHeader


class Times:
    """The kept times of one batch size: a tuple per block and pass, and those of the whole model."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, ...]] = []
        self.whole: list[float] = []


def profile_model(workplace: Workplace, request: ProfileRequest, check: Callable[[], None]) -> ModelProfile:
    """Profile what `request` names; `check` is called between passes and raises to end it.

    To be called on the compute thread.  Raises FormatError where the request, shards or inputs are not what they
    must be, ShardError where they are not there, ModelError where the device has too little memory.
    """
    _check_request(request)
    started, begun = datetime.now(UTC), time.monotonic()
    device = torch.device(workplace.accelerator)
    bare = workplace.engines.loader.without_weights(request.manifest_id)
    manifest = read_manifest(workplace.shards_dir, request.manifest_id)
    available = available_bytes(device)
    check_room(workplace.device, manifest, bare, max(request.batches), available)
    images = [_batch(workplace, request, manifest, size).to(device) for size in request.batches]
    steps = workplace.engines.loader.load(request.manifest_id, 0, len(manifest.blocks)).steps
    recorder = Recorder(workplace.accelerator)
    try:
        times = time_passes(steps, images, request, clock=passes.clock_for(device), recorder=recorder, check=check)
    finally:
        recorder.stop()
    disturbed = disturbances(workplace.device, workplace.threads, workplace.processors, recorder.figures())
    peaks = []
    for size in request.batches:
        check()
        peaks.append(_peaks(steps, device, _maker(workplace, request, manifest, size, device)))
    return ModelProfile(
        model=manifest.model,
        granularity=manifest.granularity,
        manifest_id=manifest.manifest_id,
        inputs_id=request.inputs_id,
        device=workplace.device,
        engine="eager",
        accelerator=workplace.accelerator,
        threads=workplace.threads,
        processors=workplace.processors,
        available_memory_bytes=available,
        torch=str(torch.__version__),
        runtime=__version__,
        started=started.isoformat(timespec="milliseconds"),
        elapsed_s=round(time.monotonic() - begun, 3),
        warmup=request.warmup,
        input_bytes_per_sample=manifest.input.bytes_per_sample,
        batches=tuple(
            ModelTimes(batch=size, marked_ms=tuple(map(_sum, kept.blocks)), whole_ms=tuple(kept.whole))
            for size, kept in zip(request.batches, times, strict=True)
        ),
        blocks=_blocks(manifest, request.batches, times, peaks),
        warnings=(*disturbed, *_too_few(workplace.device, request, times)),
    )


def time_passes(
    steps: nn.Sequential,
    images: list[torch.Tensor],
    request: ProfileRequest,
    *,
    clock: passes.Clock,
    recorder: Recorder,
    check: Callable[[], None],
) -> list[Times]:
    """Run rounds of passes, batch sizes and kinds of pass interleaved, and keep what is not warm-up.

    The recorder records while what is kept is measured.
    """
    times = [Times() for _ in images]
    for number, kept in passes.rounds(request.passes, request.warmup, request.most_s):
        if number == request.warmup:
            recorder.begin()
        for one in passes.plan_round(number, len(images)):
            check()
            if one.marked:
                spans = passes.marked_pass(steps, images[one.batch], clock)
                times[one.batch].blocks += [spans] if kept else []
            else:
                whole = passes.whole_pass(steps, images[one.batch], clock)
                times[one.batch].whole += [whole] if kept else []
    recorder.end()
    return times


def _check_request(request: ProfileRequest) -> None:
    least = {"passes": 1, "warmup": 0}
    wrong = [f"{name} is {getattr(request, name)}" for name in least if getattr(request, name) < least[name]]
    if not request.batches or min(request.batches) < 1:
        wrong.append(f"batches are {list(request.batches)}")
    if wrong:
        raise FormatError(f"a profile of {request.manifest_id} cannot be made: {', '.join(wrong)}")


def _batch(workplace: Workplace, request: ProfileRequest, manifest: Manifest, size: int) -> torch.Tensor:
    header = TensorHeader(manifest.input.dtype, (size, *manifest.input.shape))
    inputs = read_inputs(workplace.inputs_dir, request.inputs_id, header)
    batch = empty(header)
    inputs.fill(memory_of(batch), size, 0)
    return batch


def _maker(
    workplace: Workplace, request: ProfileRequest, manifest: Manifest, size: int, device: torch.device
) -> Callable[[], torch.Tensor]:
    return lambda: _batch(workplace, request, manifest, size).to(device)


def _peaks(steps: nn.Sequential, device: torch.device, make_batch: Callable[[], torch.Tensor]) -> tuple[int, ...]:
    if device.type == "cuda":
        return cuda_activation_peaks(steps, make_batch, device)
    return activation_peaks(steps, make_batch)


def _blocks(
    manifest: Manifest, batches: tuple[int, ...], times: list[Times], peaks: list[tuple[int, ...]]
) -> tuple[BlockProfile, ...]:
    return tuple(
        BlockProfile(
            index=entry.index,
            name=entry.name,
            parameter_bytes=entry.parameter_bytes,
            output_bytes_per_sample=entry.output.bytes_per_sample,
            batches=tuple(
                BlockTimes(
                    batch=size,
                    times_ms=tuple(spans[place] for spans in kept.blocks),
                    peak_activation_bytes=peak[place],
                )
                for size, kept, peak in zip(batches, times, peaks, strict=True)
            ),
        )
        for place, entry in enumerate(manifest.blocks)
    )


def _sum(spans: tuple[float, ...]) -> float:
    return round(sum(spans), 6)


def _too_few(device: str, request: ProfileRequest, times: list[Times]) -> tuple[str, ...]:
    kept = len(times[0].whole)
    if kept == request.passes:
        return ()
    return (f"{device} made {kept} of {request.passes} passes: more would have taken longer than {request.most_s:g} s",)
