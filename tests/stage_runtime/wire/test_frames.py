from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage_runtime.errors import FormatError
from stage_runtime.wire import frames
from stage_runtime.wire.frames import (
    Header,
    Kind,
    TensorHeader,
    pack_descriptors,
    pack_header,
    unpack_descriptors,
    unpack_header,
)

messages = st.builds(
    Header,
    kind=st.sampled_from(Kind),
    tensors=st.just(0),
    run=st.integers(0, 2**64 - 1),
    number=st.integers(0, 2**32 - 1),
    body_bytes=st.integers(0, frames.MAX_BODY_BYTES),
    payload_bytes=st.just(0),
    codec=st.just(0),
)
with_tensors = st.builds(
    Header,
    kind=st.sampled_from(Kind),
    tensors=st.integers(1, frames.MAX_TENSORS),
    run=st.integers(0, 2**64 - 1),
    number=st.integers(0, 2**32 - 1),
    body_bytes=st.integers(0, frames.MAX_DESCRIPTOR_BYTES),
    payload_bytes=st.integers(0, frames.MAX_PAYLOAD_BYTES),
    codec=st.integers(0, 2**16 - 1),
)
headers = messages | with_tensors
descriptors = st.builds(
    TensorHeader,
    dtype=st.sampled_from(["float32", "float64", "float16", "bfloat16", "uint8", "int64", "bool"]),
    shape=st.lists(st.integers(0, 2**32 - 1), max_size=frames.MAX_DIMENSIONS).map(tuple),
)


@given(headers)
def test_a_header_survives_the_wire(header: Header) -> None:
    packed = pack_header(header)
    assert len(packed) == frames.HEADER_BYTES == 32
    assert unpack_header(packed) == header


@given(st.binary(min_size=32, max_size=32))
def test_no_bytes_make_a_header_raise_anything_but_a_format_error(data: bytes) -> None:
    try:
        header = unpack_header(data)
    except FormatError:
        return
    assert pack_header(header) == data


@given(st.binary(min_size=31, max_size=31), st.integers(0, 255))
def test_any_bytes_after_a_good_start_are_bounded(rest: bytes, kind: int) -> None:
    data = frames.MAGIC + bytes([kind, 1, 0, 0]) + rest[:24]
    try:
        header = unpack_header(data)
    except FormatError:
        return
    assert header.body_bytes <= frames.MAX_BODY_BYTES
    assert header.payload_bytes <= frames.MAX_PAYLOAD_BYTES


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (Header(Kind.BATCH, 65, 0, 0, 0, 0), "65 tensors"),
        (Header(Kind.PING, 0, 0, 0, 0, 0, codec=3), "without tensors names codec 3"),
        (Header(Kind.FIGURES, 0, 0, 0, frames.MAX_BODY_BYTES + 1, 0), "body bytes"),
        (Header(Kind.BATCH, 2, 0, 0, 2 * 34 + 1, 0), "69 body bytes, at most 68"),
        (Header(Kind.PING, 0, 0, 0, 0, 1), "without tensors has a payload of 1 bytes"),
        (Header(Kind.BATCH, 1, 0, 0, 0, frames.MAX_PAYLOAD_BYTES + 1), "payload bytes"),
    ],
)
def test_sizes_out_of_bounds_are_refused_by_name(header: Header, named: str) -> None:
    with pytest.raises(FormatError, match=named):
        pack_header(header)


def test_an_unknown_kind_and_another_version_are_refused() -> None:
    good = pack_header(Header(Kind.PING, 0, 1, 2, 0, 0))
    with pytest.raises(FormatError, match="kind 99"):
        unpack_header(good[:4] + bytes([99]) + good[5:])
    with pytest.raises(FormatError, match="SBW9"):
        unpack_header(b"SBW9" + good[4:])


@given(st.lists(descriptors, max_size=4).map(tuple))
def test_descriptors_survive_the_wire(tensors: tuple[TensorHeader, ...]) -> None:
    assert unpack_descriptors(pack_descriptors(tensors), len(tensors)) == tensors


@given(st.binary(max_size=64), st.integers(0, 4))
def test_no_bytes_make_descriptors_raise_anything_but_a_format_error(data: bytes, count: int) -> None:
    try:
        found = unpack_descriptors(data, count)
    except FormatError:
        return
    assert pack_descriptors(found) == data


def test_bytes_left_over_are_refused() -> None:
    data = pack_descriptors((TensorHeader("float32", (2, 3)),))
    with pytest.raises(FormatError, match="take 10 bytes, the frame has 11"):
        unpack_descriptors(data + b"\0", 1)
    with pytest.raises(FormatError, match="do not fit"):
        unpack_descriptors(data[:-1], 1)


def test_payload_bytes_count_the_elements() -> None:
    assert TensorHeader("float32", (8, 3, 4)).payload_bytes == 8 * 3 * 4 * 4
    assert TensorHeader("bfloat16", (5,)).payload_bytes == 10
    assert TensorHeader("float64", ()).payload_bytes == 8


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(FormatError, match="complex64"):
        pack_descriptors((TensorHeader("complex64", (1,)),))
    with pytest.raises(FormatError, match="9 dimensions"):
        pack_descriptors((TensorHeader("float32", (1,) * 9),))
