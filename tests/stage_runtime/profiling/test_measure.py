"""A whole profile of a small model, on this thread."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch

from stage_runtime.engines.choice import local_engines
from stage_runtime.errors import FormatError, ModelError, ShardError
from stage_runtime.formats.profile import ModelProfile, ProfileRequest
from stage_runtime.models.loading import StageLoader
from stage_runtime.profiling import measure, room
from stage_runtime.profiling.measure import profile_model
from stage_runtime.stage.workplace import Workplace
from stage_runtime.telemetry.figures import TelemetryFigures
from stage_runtime.telemetry.recorder import Recorder
from tests.stage_runtime.profiling.conftest import Cache


def workplace(cache: Cache) -> Workplace:
    # the compute thread is this one, and a profile talks to no neighbour
    missing: Any = None
    return Workplace(
        device="pi9",
        accelerator="cpu",
        threads=1,
        oversubscribed=False,
        shards_dir=cache.folder / "shards",
        inputs_dir=cache.folder / "inputs",
        engines=local_engines(cache.folder / "shards", "cpu", 1),
        compute=missing,
        neighbours=missing,
    )


def request(cache: Cache, **changes: Any) -> ProfileRequest:
    values: dict[str, Any] = {
        "manifest_id": cache.manifest.manifest_id,
        "inputs_id": "inputs",
        "batches": (1, 4),
        "passes": 4,
        "warmup": 1,
        "most_s": 0.0,
        "timeout_s": 60.0,
    }
    return ProfileRequest(**values | changes)


def go_on() -> None:
    """Let the profile go on."""


@pytest.fixture(scope="session")
def profile(cache: Cache) -> ModelProfile:
    return profile_model(workplace(cache), request(cache), go_on)


def test_every_block_has_its_times_at_every_batch_size(cache: Cache, profile: ModelProfile) -> None:
    assert [block.name for block in profile.blocks] == [entry.name for entry in cache.manifest.blocks]
    for block in profile.blocks:
        assert [times.batch for times in block.batches] == [1, 4]
        assert all(len(times.times_ms) == 4 and min(times.times_ms) > 0 for times in block.batches)


def test_the_blocks_of_a_pass_add_up_to_it(profile: ModelProfile) -> None:
    for place, whole in enumerate(profile.batches):
        passes = zip(*(block.batches[place].times_ms for block in profile.blocks), strict=True)
        assert [sum(spans) for spans in passes] == pytest.approx(whole.marked_ms)
        assert len(whole.whole_ms) == 4


def test_bytes_are_those_of_the_manifest(cache: Cache, profile: ModelProfile) -> None:
    assert profile.input_bytes_per_sample == 3 * 32 * 32 * 4
    for block, entry in zip(profile.blocks, cache.manifest.blocks, strict=True):
        assert (block.parameter_bytes, block.output_bytes_per_sample) == (
            entry.parameter_bytes,
            entry.output.bytes_per_sample,
        )


def test_activation_memory_is_at_least_a_blocks_input_and_output_and_grows_with_the_batch(
    profile: ModelProfile,
) -> None:
    before = profile.input_bytes_per_sample
    for block in profile.blocks:
        one, four = (times.peak_activation_bytes for times in block.batches)
        assert one >= before + block.output_bytes_per_sample
        # batch normalisation hands out a few statistics, whose size is not the batch's
        assert four == pytest.approx(4 * one, rel=0.02)
        before = block.output_bytes_per_sample


def test_memory_foreseen_on_meta_is_memory_used(cache: Cache, profile: ModelProfile) -> None:
    bare = StageLoader(cache.folder / "shards").without_weights(cache.manifest.manifest_id)
    parameters, activations = room.needed_bytes(bare, 4)
    assert parameters == sum(block.parameter_bytes for block in profile.blocks)
    used = max(block.batches[1].peak_activation_bytes for block in profile.blocks)
    assert activations == pytest.approx(used, rel=0.01)


def test_too_little_memory_is_said_before_anything_is_loaded(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "available_bytes", lambda _device: 9 * 2**20)
    place = workplace(cache)
    wanted = (
        r"pi9 has too little memory for the whole of mobilenet_v2: 9\.\d MiB are needed \(8\.\d for parameters, 0\.8 "
    )
    with pytest.raises(ModelError, match=wanted + r".*batch of 4\), 9\.0 MiB are available; choose smaller batches"):
        profile_model(place, request(cache), go_on)
    loader = place.engines.loader
    assert not loader._skeletons[cache.manifest.manifest_id].loaded


def test_a_pass_too_slow_for_the_limit_leaves_three(cache: Cache) -> None:
    profile = profile_model(workplace(cache), request(cache, batches=(1,), passes=9, most_s=1e-9), go_on)
    assert [len(whole.whole_ms) for whole in profile.batches] == [3]
    assert profile.warnings[-1] == "pi9 made 3 of 9 passes: more would have taken longer than 1e-09 s"


def test_what_disturbed_the_device_is_a_warning(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    class Thrashing(Recorder):
        def figures(self) -> TelemetryFigures:
            return msgspec.structs.replace(super().figures(), swapped_mb=77.0, waited_percent=0.0)

    monkeypatch.setattr(measure, "Recorder", Thrashing)
    profile = profile_model(workplace(cache), request(cache, batches=(1,), passes=1), go_on)
    assert "pi9 swapped 77 MiB" in profile.warnings
    assert not any("passes" in text for text in profile.warnings)


def test_it_can_be_ended_between_passes(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Recorder] = []

    class Watched(Recorder):
        def stop(self) -> None:
            stopped.append(self)
            super().stop()

    monkeypatch.setattr(measure, "Recorder", Watched)
    calls = iter([None] * 5)
    with pytest.raises(StopIteration):
        profile_model(workplace(cache), request(cache), lambda: next(calls))
    assert len(stopped) == 1


@pytest.mark.parametrize(
    ("changes", "error"), [({"manifest_id": "0" * 16}, ShardError), ({"inputs_id": "none"}, ShardError)]
)
def test_what_is_not_there_is_named(cache: Cache, changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(changes.values()))):
        profile_model(workplace(cache), request(cache, **changes), go_on)


@pytest.mark.parametrize("changes", [{"batches": ()}, {"batches": (0,)}, {"passes": 0}, {"warmup": -1}])
def test_numbers_that_make_no_sense_are_refused(cache: Cache, changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=next(iter(changes))):
        profile_model(workplace(cache), request(cache, **changes), go_on)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_is_profiled_alike(cache: Cache) -> None:
    engines = local_engines(cache.folder / "shards", "cuda:0", 1)
    values = {name: getattr(workplace(cache), name) for name in Workplace.__dataclass_fields__}
    place = Workplace(**values | {"accelerator": "cuda:0", "engines": engines})
    profile = profile_model(place, request(cache), go_on)
    for number, whole in enumerate(profile.batches):
        assert min(whole.whole_ms) > 0
        passes = zip(*(block.batches[number].times_ms for block in profile.blocks), strict=True)
        assert [sum(spans) for spans in passes] == pytest.approx(whole.marked_ms, rel=1e-3)
    assert all(times.peak_activation_bytes > 0 for block in profile.blocks for times in block.batches)
