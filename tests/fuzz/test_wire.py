"""Whatever comes over the wire is taken or refused: arbitrary bytes, and good frames with something changed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stage_runtime.wire import frames
from stage_runtime.wire.frames import Kind
from tests.fuzz.changing import CALM, changed_bytes
from tests.fuzz.wire_target import READERS, consume, read_frames, seeds


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: f"{READERS[seed[0]].__name__}-{len(seed)}")
def test_what_the_runs_start_from_is_well_formed(seed: bytes) -> None:
    if READERS[seed[0]].__name__.startswith("greet"):
        return
    try:
        READERS[seed[0]](seed[1:])
    except Exception as exc:  # noqa: BLE001 - the end of the bytes is the only thing that may be missed
        assert "closed the connection" in str(exc)  # noqa: PT017 - see above


@settings(CALM, max_examples=300)
@given(st.integers(0, len(READERS) - 1), st.binary(max_size=200))
def test_arbitrary_bytes_are_taken_or_refused(reader: int, data: bytes) -> None:
    consume(bytes([reader]) + data)


@settings(CALM, max_examples=500)
@given(st.data())
def test_good_bytes_with_something_changed_are_taken_or_refused(data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds()))
    consume(seed[:1] + data.draw(changed_bytes(seed[1:])))


@settings(CALM, max_examples=200)
@given(st.binary(max_size=64), st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_no_announced_size_is_awaited_beyond_its_bound(rest: bytes, tensors: int, body: int, payload: int) -> None:
    header = frames.MAGIC + bytes([Kind.BATCH, tensors, 0, 0]) + bytes(12)
    consume(bytes([READERS.index(read_frames)]) + header + body.to_bytes(4) + payload.to_bytes(8) + rest)
