"""Runs over chains inside one process: what must hold, and what must go wrong cleanly."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
import torch
from safetensors.torch import load_file

from stage_runtime.formats.row import Measurement
from stage_runtime.transports.memory import MemoryStream
from tests.stage_runtime.stage.chain import Chain, expected_output
from tests.stage_runtime.stage.processes import make_cell

# for a busy machine to get as far as what hangs
_LONG_ENOUGH_S = 6.0


@pytest.mark.parametrize("window", [1, 2, 7])
@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("cut", [(), (2,), (0,), (4,), (1, 2), (0, 4), (2, 2)])
def test_every_cut_and_window_gives_the_whole_models_output(
    three: Chain, cut: tuple[int, ...], window: int, warmup: int
) -> None:
    saved = three.folder / "output.safetensors"
    cell = three.cell(cut, window=window, batch=4, batches=5, warmup=warmup)
    measured = three.devices[0].service.lead(cell, saved).measure()
    assert measured.status == "ok", measured.reason
    output = load_file(saved)["output"]
    assert torch.equal(output, expected_output(three.images, 4, range(warmup, warmup + 5)))
    # a busy machine may be slow to begin
    assert len(measured.batch_response_ms) == len(measured.batch_latency_ms) == 5 - measured.discarded
    assert len(measured.warmup_response_ms) == warmup + measured.discarded
    assert [(stage.device, stage.first, stage.last) for stage in measured.stages] == [
        (stage.device, stage.first, stage.last) for stage in cell.stages
    ]
    assert [(hop.source, hop.target) for hop in measured.hops] == [
        (f"dev{i + 1}", f"dev{i + 2}") for i in range(len(cut))
    ]
    for hop in measured.hops:
        assert 4 * 64_000 < hop.bytes < 4 * 64_000 + 100


def test_nothing_of_a_run_is_left_when_the_next_one_computes(three: Chain) -> None:
    """Whatever the interpreter does by itself, which is to look for garbage once in many cells."""
    gc.disable()
    try:
        run = three.devices[0].service.lead(three.cell(batches=2))
        assert run.measure().status == "ok"
        before = weakref.ref(run)
        del run
        for _ in range(2):  # a device holds its last run
            assert three.run(batches=2).status == "ok"
        assert before() is None
    finally:
        gc.enable()


def test_figures_add_up(three: Chain) -> None:
    measured = three.run(batches=5)
    assert measured.latency_ms is not None
    assert measured.response_ms is not None
    assert measured.throughput_ips is not None
    # all stages share this process's clock, so the estimated offsets must be next to nothing
    for hop in measured.hops:
        assert abs(hop.offset_ms) <= hop.offset_uncertainty_ms
    uncertainty = sum(hop.offset_uncertainty_ms for hop in measured.hops)
    parts = sum(stage.compute_ms for stage in measured.stages)
    for latency, response in zip(measured.batch_latency_ms, measured.batch_response_ms, strict=True):
        assert latency <= response + uncertainty
    assert parts <= measured.response_ms * 1.5
    assert measured.measuring_s * 1e3 >= sum(measured.batch_response_ms)
    assert measured.elapsed_s >= measured.measuring_s


def test_samples_hold_every_batch_of_every_stage(three: Chain) -> None:
    measured = three.run(batches=5, warmup=2, window=3)
    assert [(each.stage, each.device, each.discarded) for each in measured.samples] == [
        (number, f"dev{number + 1}", measured.discarded) for number in range(3)
    ]
    for each in measured.samples:
        moments = [each.first_byte_ns, each.received_ns, each.started_ns, each.computed_ns]
        moments += [each.send_started_ns, each.sent_ns]
        assert [len(moment) for moment in moments] == [7] * 6
        assert all(list(batch) == sorted(batch) for batch in zip(*moments, strict=True))
        assert len(each.offset_ns) == 7
        assert len(each.back_ns) == (0 if each.stage else 7)


def test_connections_are_kept_from_cell_to_cell(three: Chain) -> None:
    kept = set()
    for _ in range(8):
        assert three.run(batches=1, warmup=0).status == "ok"
        kept.update(three.devices[0].service._workplace.neighbours._idle.values())
        assert all(channel.is_quiet() for channel in kept)
    assert len(kept) == 1
    serving = [thread for thread in threading.enumerate() if thread.name == "upstream"]
    assert len(serving) == 2


def test_no_thread_of_a_run_outlives_it(three: Chain) -> None:
    three.run(window=3)
    three.run(window=3)
    left = [thread.name for thread in threading.enumerate() if thread.name in {"hop", "send"}]
    assert left == []


@pytest.mark.parametrize("guilty", [0, 1, 2])
@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("call", [3, 10])  # while it computes alone after the first batch, and of the third
def test_a_failing_stage_is_named_and_the_next_cell_is_well(three: Chain, guilty: int, window: int, call: int) -> None:
    calls = 0

    def fail_at_the_call(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == call:
            raise MemoryError("no memory left for it")
        return tensor

    three.devices[guilty].loader.after_forward = fail_at_the_call
    measured = three.run(window=window, batches=6)
    assert (measured.status, measured.failed_device) == ("failed", f"dev{guilty + 1}")
    assert "computing failed: MemoryError: no memory left for it" in measured.reason
    assert_next_is_well(three)


@pytest.mark.parametrize("guilty", [0, 1, 2])
def test_a_stage_that_cannot_load_is_named(three: Chain, guilty: int) -> None:
    def fail() -> None:
        raise FileNotFoundError("block 7")

    three.devices[guilty].loader.before_load = fail
    measured = three.run()
    assert (measured.status, measured.failed_device) == ("failed", f"dev{guilty + 1}")
    assert "cannot load blocks" in measured.reason
    assert "FileNotFoundError: block 7" in measured.reason
    three.devices[guilty].loader.before_load = lambda: None
    assert_next_is_well(three)


def test_an_output_that_is_not_finite_is_invalid(three: Chain) -> None:
    three.devices[2].loader.after_forward = lambda tensor: tensor * float("nan")
    measured = three.run()
    assert (measured.status, measured.failed_device) == ("invalid", "dev3")
    assert "not finite" in measured.reason
    three.devices[2].loader.after_forward = lambda tensor: tensor
    assert_next_is_well(three)


def test_an_output_of_another_shape_is_refused_where_it_arises(three: Chain) -> None:
    three.devices[1].loader.after_forward = lambda tensor: tensor[:, :3]
    measured = three.run()
    assert (measured.status, measured.failed_device) == ("failed", "dev2")
    assert "the manifest says float32 (2, 16, 1000)" in measured.reason


@pytest.mark.parametrize("guilty", [0, 1, 2])
def test_a_stage_that_hangs_is_named_when_time_is_over(three: Chain, guilty: int) -> None:
    hang = threading.Event()

    def wait(tensor: torch.Tensor) -> torch.Tensor:
        hang.wait(20)
        return tensor

    three.devices[guilty].loader.after_forward = wait
    measured = three.run(timeout_s=_LONG_ENOUGH_S)
    three.devices[guilty].loader.after_forward = lambda tensor: tensor
    hang.set()
    assert (measured.status, measured.failed_device) == ("timeout", f"dev{guilty + 1}")
    assert "was still computing batch 0" in measured.reason
    assert_next_is_well(three)


def test_a_stage_that_hangs_while_loading_is_named(three: Chain) -> None:
    hang = threading.Event()
    three.devices[1].loader.before_load = lambda: hang.wait(20) and None
    measured = three.run(timeout_s=_LONG_ENOUGH_S)
    hang.set()
    assert (measured.status, measured.failed_device) == ("timeout", "dev2")
    assert "was still loading blocks [1, 2)" in measured.reason
    assert_next_is_well(three)


def test_a_newer_run_ends_an_older_one(three: Chain) -> None:
    begun, hang = threading.Event(), threading.Event()

    def wait(tensor: torch.Tensor) -> torch.Tensor:
        begun.set()
        hang.wait(20)
        return tensor

    three.devices[1].loader.after_forward = wait
    first: list[Measurement] = []
    older = threading.Thread(target=lambda: first.append(three.run()))
    older.start()
    assert begun.wait(20)
    three.devices[1].loader.after_forward = lambda tensor: tensor
    threading.Timer(0.2, hang.set).start()
    assert three.run().status == "ok"
    older.join(20)
    assert first[0].status == "failed"
    assert "taken over by a newer run command" in first[0].reason


def test_a_device_can_lead_one_cell_and_follow_in_the_next(three: Chain) -> None:
    backwards = [three.devices[i].config for i in (2, 1, 0)]
    for _ in range(2):
        assert three.run().status == "ok"
        cell = make_cell(backwards, three.manifest, (1, 3))
        assert three.devices[2].service.lead(cell).measure().status == "ok"


@pytest.mark.parametrize("noticed", [True, False])
def test_a_kept_connection_that_died_is_replaced(
    three: Chain, monkeypatch: pytest.MonkeyPatch, *, noticed: bool
) -> None:
    assert three.run().status == "ok"
    if not noticed:  # as when the other device lost its power: nothing has arrived yet
        monkeypatch.setattr(MemoryStream, "is_quiet", lambda _: True)
    for device in three.devices[:2]:
        for idle in device.service._workplace.neighbours._idle.values():
            idle.abort()
    assert_next_is_well(three)


def test_a_device_that_is_not_there_is_named(three: Chain) -> None:
    three.devices[1].service.stop("gone")
    three.devices[1].service.shut_down()
    measured = three.run()
    assert (measured.status, measured.failed_device) == ("failed", "dev2")
    assert "does its stage run?" in measured.reason


def test_the_third_device_missing_is_reported_by_the_second(three: Chain) -> None:
    three.devices[2].service.stop("gone")
    three.devices[2].service.shut_down()
    measured = three.run()
    assert (measured.status, measured.failed_device) == ("failed", "dev3")


def assert_next_is_well(three: Chain) -> None:
    """Run the next cell, whose frames must all be its own."""
    saved = three.folder / "next.safetensors"
    measured = three.devices[0].service.lead(three.cell(batch=3, window=2), saved).measure()
    assert measured.status == "ok", measured.reason
    assert torch.equal(load_file(saved)["output"], expected_output(three.images, 3, range(1, 4)))
