"""What each codec keeps of an activation, what it makes of it in bytes, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stage_runtime.codecs.affine import Affine
from stage_runtime.codecs.choice import NAMES, NUMBERS, Reading, make_codec
from stage_runtime.codecs.half import Half
from stage_runtime.codecs.lossless import Lossless
from stage_runtime.errors import FormatError
from stage_runtime.tensors import describe
from stage_runtime.wire.frames import TensorHeader
from tests.stage_runtime.codecs.wired import through

SHAPES = [
    (2, 16, 100),
    (1, 3, 40, 40),
    (8, 5),
    (64, 2048),
    (3,),
    (1, 7, 7),
    (2, 70_000),
    (5, 4, 150, 150),
    (1, 60, 1, 1),
]
# A few values repeated give constant channels, which values drawn one by one hardly ever do.
any_floats = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=1, max_dims=4, max_side=9),
    elements=st.one_of(st.sampled_from([0.0, -1.0, 3e38, -3e38, np.inf, -np.inf, np.nan]), st.floats(width=32)),
)


def activation(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.relu(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_an_activation_comes_through(name: str, shape: tuple[int, ...]) -> None:
    codec = make_codec(name, TensorHeader("float32", shape))
    for seed in range(2):
        sent = activation(shape, seed)
        kept = sent.clone()
        received = through(codec, sent)
        assert torch.equal(sent, kept)
        most = {"none": 0.0, "lossless": 0.0, "fp16": 2**-11, "int8": 0.502 / 255}[name]
        assert float((received - sent).abs().max()) <= most * float(sent.max())


@given(any_floats)
@example(np.array([0, 2e-44], np.float32))
@example(np.array([1e-31, 3e-31, np.inf], np.float32))
@settings(deadline=None)
def test_eight_bits_keep_what_is_not_finite_and_are_half_a_step_off_at_most(values: np.ndarray) -> None:
    sent = torch.from_numpy(values)
    received = through(Affine(describe(sent)), sent).numpy()
    finite = np.isfinite(values)
    assert np.array_equal(values[~finite], received[~finite], equal_nan=True)
    wide = values[finite].astype(np.float64)
    if wide.size:
        if np.ptp(wide) < 1e-30:
            wide[:] = wide.min()
        error = np.abs(received[finite].astype(np.float64) - wide).max()
        assert error <= np.ptp(wide) / 252 * 0.501 + 2e-7 * np.abs(wide).max()


def test_each_channel_has_steps_of_its_own() -> None:
    sent = torch.cat([torch.linspace(0, scale, 100).reshape(1, 1, 10, 10) for scale in (1e-3, 1.0, 1e3)], dim=1)
    error = (through(Affine(describe(sent)), sent) - sent).abs().amax(dim=(0, 2, 3))
    assert (error <= torch.tensor([1e-3, 1.0, 1e3]) * 0.502 / 255).all()


def test_a_channel_that_is_not_finite_leaves_the_others_alone() -> None:
    sent = activation((2, 3, 10, 10))
    well = through(Affine(describe(sent)), sent)
    sent[0, 1, 2, 3], sent[1, 1, 0, 0], sent[1, 1, 0, 1] = torch.nan, torch.inf, -torch.inf
    received = through(Affine(describe(sent)), sent)
    assert torch.equal(received[:, [0, 2]], well[:, [0, 2]])
    assert torch.equal(torch.isnan(received), torch.isnan(sent))
    assert torch.equal(torch.isinf(received), torch.isinf(sent))


@pytest.mark.parametrize("value", [0.0, -2.5, 7e30])
def test_a_constant_channel_is_exact(value: float) -> None:
    sent = torch.full((2, 3, 10, 10), value)
    assert torch.equal(through(Affine(describe(sent)), sent), sent)


@pytest.mark.parametrize("shape", [(1, 160, 7, 7), (8, 2048, 1, 1), (8, 24, 56, 56), (1, 1000), (32, 2048, 1, 1)])
def test_eight_bits_take_at_most_a_third_and_a_tenth_less(shape: tuple[int, ...]) -> None:
    raw = TensorHeader("float32", shape)
    assert Affine(raw).most_bytes * 3.3 <= raw.payload_bytes
    assert Half(raw).most_bytes * 2 == raw.payload_bytes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.int64])
def test_without_loss_any_bits_come_through(dtype: torch.dtype) -> None:
    noise = torch.randint(0, 256, (4, 1000), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    sent = noise.view(dtype)
    received = through(Lossless(describe(sent)), sent)
    assert torch.equal(received.view(torch.uint8), noise)


def test_without_loss_an_activation_gets_smaller() -> None:
    sent = activation((4, 16, 30, 30))
    ((header, _),) = Lossless(describe(sent)).encode(sent)
    assert header.payload_bytes < 0.6 * describe(sent).payload_bytes


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_make_unpacking_raise_anything_but_a_format_error(data: bytes) -> None:
    codec = Lossless(TensorHeader("float32", (5,)))
    with pytest.raises(FormatError, match="packed activation"):
        codec.decode(memoryview(data), torch.empty(5))


def test_a_packed_activation_that_would_unpack_to_more_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(10**7))
    with pytest.raises(FormatError, match="says that it has 10000000 bytes, expected 20"):
        Lossless(TensorHeader("float32", (5,))).decode(memoryview(bomb), torch.empty(5))


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("none", (TensorHeader("float32", (2, 4)),)),
        ("fp16", (TensorHeader("float32", (2, 3)),)),
        ("int8", (TensorHeader("uint8", (2, 3)),)),
        ("int8", (TensorHeader("float32", (2, 2)), TensorHeader("uint8", (2, 3)))),
        ("lossless", (TensorHeader("uint8", (10_000,)),)),
        ("lossless", (TensorHeader("uint8", (1,)), TensorHeader("uint8", (1,)))),
    ],
)
def test_other_tensors_than_the_codecs_are_refused_before_they_are_received(
    name: str, described: tuple[TensorHeader, ...]
) -> None:
    reading = Reading(TensorHeader("float32", (2, 3)), "auto")
    with pytest.raises(FormatError, match="expected"):
        reading.accept(NUMBERS[name], described)


def test_another_codec_than_the_cells_is_refused() -> None:
    reading = Reading(TensorHeader("float32", (2, 3)), "fp16")
    with pytest.raises(FormatError, match="by codec int8, expected fp16"):
        reading.accept(NUMBERS["int8"], ())
    with pytest.raises(FormatError, match="by codec 99"):
        Reading(TensorHeader("float32", (2, 3)), "auto").accept(99, ())


@pytest.mark.parametrize("name", ["fp16", "int8"])
def test_what_is_no_float32_is_not_rounded(name: str) -> None:
    with pytest.raises(FormatError, match=r"int64 \(2, 3\); take codec none or lossless"):
        make_codec(name, TensorHeader("int64", (2, 3)))
