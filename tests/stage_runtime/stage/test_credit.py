"""What may be in flight: bounded numbers of batches on every stage, and of bytes on every connection."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from msgspec import structs

from stage_runtime.formats.row import Measurement
from stage_runtime.stage.run import Run
from stage_runtime.transports.memory import MemoryStream
from stage_runtime.transports.room import room_bytes
from tests.stage_runtime.stage.chain import Chain, Device

INPUTS, OUTPUTS = 3, 2
WINDOW = 16


def batches_held(device: Device) -> tuple[int, int, int]:
    """Give how many batches a stage received, and holds as inputs and as outputs."""
    run = device.service._current
    if not isinstance(run, Run) or run._pipeline is None:
        return 0, 0, 0
    times = run.pipeline.timeline
    received, computed, sent = times.batches_received, times.batches_computed, times.batches_sent
    return received, received - computed, computed - sent


def until_still(three: Chain) -> list[tuple[int, int, int]]:
    """Wait until nothing has moved for a while, and give what every stage holds."""
    end, before, since = time.monotonic() + 30, [], time.monotonic()
    while time.monotonic() < end:
        held = [batches_held(device) for device in three.devices]
        if held != before:
            before, since = held, time.monotonic()
        elif held[2][0] and time.monotonic() - since > 1:
            return held
        time.sleep(0.01)
    pytest.fail(f"batches still move: {before}")


def test_behind_a_stage_that_hangs_no_stage_holds_more_than_its_slots(three: Chain) -> None:
    hang = threading.Event()

    def wait(tensor: torch.Tensor) -> torch.Tensor:
        hang.wait(60)
        return tensor

    three.devices[2].loader.after_forward = wait
    measured: list[Measurement] = []
    running = threading.Thread(
        target=lambda: measured.append(three.run(window=WINDOW, warmup=0, batches=2 * WINDOW, timeout_s=60.0))
    )
    running.start()
    held = until_still(three)
    hang.set()
    running.join(60)
    assert measured[0].status == "ok"
    assert [inputs for _, inputs, _ in held] == [INPUTS] * 3
    assert [outputs for *_, outputs in held] == [OUTPUTS, OUTPUTS, 0]
    assert held[0][0] == 3 * INPUTS + 2 * OUTPUTS < WINDOW, "the first stage took up more than the chain holds"


@pytest.mark.parametrize("told", [True, False])
def test_both_ends_of_a_hop_make_room_for_its_link(
    three: Chain, monkeypatch: pytest.MonkeyPatch, *, told: bool
) -> None:
    rooms: list[tuple[object, ...]] = []
    monkeypatch.setattr(MemoryStream, "make_room", lambda end, *room: rooms.append((end.peer, *room)))
    cell = three.cell()
    links: dict[str, float] = {"link_mbit": 5.0, "link_rtt_ms": 400.0} if told else {}
    stages = tuple(structs.replace(stage, **links) for stage in cell.stages)
    assert three.devices[0].service.lead(structs.replace(cell, stages=stages)).measure().status == "ok"
    hop = [(end, room_bytes(5, 400), 625_000) for end in ("memory:a", "memory:b")]
    assert sorted(rooms) == sorted(hop * 2 if told else [])
