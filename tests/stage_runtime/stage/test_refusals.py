"""Cells and neighbours that a stage refuses, saying why."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stage_runtime.stage.computing import Computation, Placed
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.frames import Kind
from stage_runtime.wire.handshake import greet_listener
from stage_runtime.wire.messages import Configure, Error, decode, encode
from tests.stage_runtime.stage.chain import SECRET, Chain
from tests.stage_runtime.stage.processes import make_cell


def test_a_wrong_address_is_recognised(three: Chain) -> None:
    configs = [three.devices[i].config for i in (0, 1)]
    cell = make_cell(configs, three.manifest, (2,))
    stages = (
        cell.stages[0],
        type(cell.stages[1])(device="pi9", address="127.0.0.2", port=configs[1].port, first=2, last=4),
    )
    measured = three.devices[0].service.lead(make_cell(configs, three.manifest, (2,), stages=stages)).measure()
    assert measured.status == "failed"
    assert "this stage is dev2, but the cell expects pi9" in measured.reason


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"window": 0}, "window is 0"),
        ({"engine": "warp"}, "known engines: eager"),
        ({"codec": "zip"}, "known codecs: none"),
        ({"manifest_id": "nothing"}, "the model_shards role brings it"),
        ({"inputs_id": "nothing"}, "the model_shards role brings it"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(three: Chain, changes: dict[str, Any], named: str) -> None:
    measured = three.run(**changes)
    assert measured.status == "failed"
    assert named in measured.reason
    assert measured.failed_device == "dev1"


def test_stages_that_do_not_cover_the_model_are_refused(three: Chain) -> None:
    assert "do not cover blocks 0 to 4" in three.run((1, 3, 2)[:2], stages=three.cell((1,)).stages[:1]).reason


def test_another_runtime_version_is_refused_by_name(three: Chain) -> None:
    error = talk(three, Kind.CONFIGURE, encode(Configure(runtime="9.9", stage=1, cell=three.cell((2,)))))
    assert error.device == "dev2"
    assert "the stage above 9.9; run playbooks/provision.yml" in error.reason


def test_a_configuration_that_does_not_parse_is_answered(three: Chain) -> None:
    assert "Configure message does not parse" in talk(three, Kind.CONFIGURE, b"{}").reason


def test_a_fault_of_a_stages_own_is_not_blamed_on_the_stage_above(
    three: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Computation.place

    def no_room(own: Computation, tensor: torch.Tensor) -> Placed:
        if own._plan.mine.first:
            raise RuntimeError("CUDA out of memory")
        return place(own, tensor)

    monkeypatch.setattr(Computation, "place", no_room)
    measured = three.run()
    assert (measured.failed_device, measured.lost) == ("dev2", False)
    assert "taking a batch failed: RuntimeError: CUDA out of memory" in measured.reason


def talk(three: Chain, kind: Kind, body: bytes) -> Error:
    """Speak to the second device as a stage above would, and give the error it answers with."""
    config = three.devices[1].config
    network = three.devices[0].service._workplace.neighbours._transport("tcp")
    stream = network.connect(config.data_address, config.port, 5)
    greet_listener(stream, SECRET, f"{config.data_address}:{config.port}", 5)
    channel = Channel(stream)
    channel.send_message(kind, 5, 0, body, 5)
    while True:
        header = channel.receive_header(10)
        answer = channel.receive_body(header)
        if header.kind is Kind.ERROR:
            channel.abort()
            return decode(answer, Error)
