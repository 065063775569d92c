"""Which codec is chosen, from what each took."""

from __future__ import annotations

import pytest
import torch

from stage_runtime.codecs.choice import make_codec
from stage_runtime.codecs.trial import Trial, quickest, try_codecs
from stage_runtime.wire.frames import TensorHeader

PLAIN = TensorHeader("float32", (8, 24, 56, 56))


def trial(name: str, encode_ms: float, decode_ms: float, payload_bytes: int) -> Trial:
    return Trial(make_codec(name, PLAIN), encode_ms / 1e3, decode_ms / 1e3, payload_bytes)


TRIALS = [
    trial("none", 0, 0, 2_400_000),
    trial("fp16", 1, 1, 1_200_000),
    trial("int8", 8, 6, 600_000),
    trial("lossless", 60, 20, 1_000_000),
]


@pytest.mark.parametrize(
    ("link_mbit", "found"),
    # by hand: 2.4 MB take 1.9 ms at 10 Gbit/s, 19.2 at 1 Gbit/s, 192 at 100 Mbit/s; or half and 2 ms, a quarter and 14
    [(10_000, "none"), (1_000, "fp16"), (500, "fp16"), (300, "int8"), (5, "int8"), (None, "none")],
)
def test_a_batch_alone_is_written_carried_and_read(link_mbit: float | None, found: str) -> None:
    assert quickest(TRIALS, link_mbit, 1, 1.0).codec.name == found


@pytest.mark.parametrize(
    ("link_mbit", "computing_ms", "found"),
    # 100 ms of computing hide what 100 Mbit/s needs for a half, though not for the whole, nor what 200 Mbit/s need
    [(1_000, 100, "none"), (200, 100, "none"), (100, 100, "fp16"), (5, 100, "int8"), (1_000, 0, "int8")],
)
def test_in_a_window_the_slowest_part_counts(link_mbit: float, computing_ms: float, found: str) -> None:
    assert quickest(TRIALS, link_mbit, 4, computing_ms / 1e3).codec.name == found


def test_where_the_slowest_part_is_alike_the_time_of_a_batch_counts() -> None:
    free = [trial("none", 0, 0, 1000), trial("fp16", 0, 0, 500)]
    assert quickest(free, 1.0, 4, 60.0).codec.name == "fp16"


def test_every_codec_that_can_write_an_activation_is_tried_on_it() -> None:
    activation = torch.relu(torch.randn(2, 8, 20, 20))
    tried = try_codecs(activation)
    assert [each.codec.name for each in tried] == ["none", "fp16", "int8", "lossless"]
    assert (tried[0].encode_s, tried[0].decode_s, tried[0].payload_bytes) == (0.0, 0.0, 4 * activation.numel())
    assert all(each.encode_s > 0 and each.decode_s > 0 for each in tried[1:])
    assert all(each.payload_bytes < tried[0].payload_bytes for each in tried[1:])
    whole = [each.codec.name for each in try_codecs(torch.arange(100))]
    assert whole == ["none", "lossless"]
