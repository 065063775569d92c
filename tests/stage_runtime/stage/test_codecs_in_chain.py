"""Activations that are written by a codec, through whole chains inside one process."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from msgspec import structs
from safetensors.torch import load_file

from stage_runtime.codecs.base import CodecOnWire
from stage_runtime.codecs.choice import NUMBERS
from stage_runtime.transports.tcp import TcpTransport
from stage_runtime.wire.channel import Channel
from tests.stage_runtime.stage.chain import SHAPE, Chain, chain, expected_output, write_cache

# The largest error of one hop over the activation's largest magnitude; blocks triple values and errors alike.
MOST_ERROR = {"none": 0.0, "lossless": 0.0, "fp16": 2**-11, "int8": 2 * 0.502 / 255}
RAW = 4 * 64_000


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("cut", [(2,), (0,), (1, 2), (0, 4)])
@pytest.mark.parametrize("codec", get_args(CodecOnWire))
def test_every_codec_gives_the_output_within_its_error(
    three: Chain, codec: CodecOnWire, cut: tuple[int, ...], window: int
) -> None:
    saved = three.folder / "output.safetensors"
    cell = three.cell(cut, window=window, batch=4, batches=5, warmup=2, codec=codec)
    measured = three.devices[0].service.lead(cell, saved).measure()
    assert measured.status == "ok", measured.reason
    expected = expected_output(three.images, 4, range(2, 7))
    error = (load_file(saved)["output"] - expected).abs().max() / expected.abs().max()
    assert float(error) <= MOST_ERROR[codec] * len(cut)
    for hop in measured.hops:
        assert (hop.codec, hop.raw_bytes) == (codec, RAW)
        assert hop.bytes <= {"none": 1.001, "lossless": 1.001, "fp16": 0.502, "int8": 0.26}[codec] * RAW
        assert (hop.encode_ms > 0) == (hop.decode_ms > 0) == (codec != "none")


@pytest.mark.parametrize("codec", ["int8", "lossless"])
def test_several_tensors_of_a_frame_come_over_sockets(tmp_path: Path, codec: CodecOnWire) -> None:
    manifest, images = write_cache(tmp_path / "cache", SHAPE)
    with chain(tmp_path, tmp_path / "cache", 3, TcpTransport()) as devices:
        three = Chain(devices, manifest, images, tmp_path)
        saved = tmp_path / "output.safetensors"
        measured = devices[0].service.lead(three.cell(codec=codec, window=3, batches=5), saved).measure()
    assert measured.status == "ok", measured.reason
    expected = expected_output(images, 2, range(1, 6))
    error = (load_file(saved)["output"] - expected).abs().max() / expected.abs().max()
    assert float(error) <= 2 * MOST_ERROR[codec]


def test_writing_and_reading_have_instants_of_their_own(three: Chain) -> None:
    measured = three.run(batches=5, warmup=2, window=3, codec="int8")
    for each in measured.samples:
        moments = [each.first_byte_ns, each.received_ns, each.decoded_ns, each.started_ns, each.computed_ns]
        moments += [each.encode_started_ns, each.send_started_ns, each.sent_ns]
        assert [len(moment) for moment in moments] == [7] * 8
        assert all(list(batch) == sorted(batch) for batch in zip(*moments, strict=True))
    plain = three.run(batches=5, warmup=2, window=3)
    assert all(each.decoded_ns == each.encode_started_ns == () for each in plain.samples)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize(("link_mbit", "found"), [(None, "none"), (1e6, "none"), (0.01, "int8")])
def test_auto_chooses_for_each_hop_by_its_link(
    three: Chain, link_mbit: float | None, found: CodecOnWire, window: int
) -> None:
    cell = three.cell((1, 2), codec="auto", window=window, batches=5)
    first, *others = cell.stages
    cell = structs.replace(cell, stages=(structs.replace(first, link_mbit=link_mbit), *others))
    measured = three.devices[0].service.lead(cell).measure()
    assert measured.status == "ok", measured.reason
    assert [hop.codec for hop in measured.hops] == [found, "none"]


def test_a_batch_by_another_codec_than_the_cells_is_refused(three: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Channel.send_tensors

    def send(self: Channel, *told: object, codec: int = 0) -> int:
        return plain(self, *told, codec=NUMBERS["fp16"] if codec else 0)

    monkeypatch.setattr(Channel, "send_tensors", send)
    measured = three.run(codec="int8")
    assert measured.status == "failed"
    assert "by codec fp16, expected int8" in measured.reason


def test_values_that_are_not_finite_are_not_hidden(three: Chain) -> None:
    def spoil(tensor: torch.Tensor) -> torch.Tensor:
        tensor[0, 0, 0] = torch.nan
        return tensor

    three.devices[0].loader.after_forward = spoil
    measured = three.run(codec="int8")
    assert (measured.status, measured.failed_device) == ("invalid", "dev3")
