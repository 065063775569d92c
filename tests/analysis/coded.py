"""Made-up rows of cells with codecs: what each is faster by, and what it does to the output."""

from __future__ import annotations

import msgspec

from stage_runtime.formats.cell import CodecName
from stage_runtime.formats.row import Row
from tests.analysis.synthetic import Plan, make_rows

SHARES = {"none": 1.0, "fp16": 0.5, "int8": 0.25, "lossless": 0.6, "auto": 0.25}
ERRORS = {"none": 0.0, "fp16": 2e-4, "int8": 5e-3, "lossless": 0.0, "auto": 5e-3}


def with_codec(row: Row, codec: CodecName, *, weights: str = "file:0") -> Row:
    """Turn a row into one of the same cell with a codec, whose hops took less time by its share of the bytes."""
    share, wire = SHARES[codec], sum(hop.transfer_ms for hop in row.hops)
    hops = tuple(
        msgspec.structs.replace(
            hop,
            raw_bytes=hop.bytes,
            bytes=round(share * hop.bytes),
            codec="int8" if codec == "auto" else codec,
            encode_ms=0.0 if codec == "none" else 1.0,
            decode_ms=0.0 if codec == "none" else 0.5,
        )
        for hop in row.hops
    )
    saved = (1 - share) * wire - sum(hop.encode_ms + hop.decode_ms for hop in hops)
    assert row.latency_ms is not None
    assert row.throughput_ips is not None
    return msgspec.structs.replace(
        row,
        codec=codec,
        cell_id=f"{row.cell_id[:-4]}{codec:.4}",
        weights=weights,
        hops=hops,
        latency_ms=row.latency_ms - saved,
        batch_latency_ms=tuple(value - saved for value in row.batch_latency_ms),
        throughput_ips=row.throughput_ips / share if row.hops else row.throughput_ips,
        relative_error=ERRORS[codec] if row.hops else 0.0,
        top1_agreement=1.0 if codec != "int8" or not row.hops else 0.9 + 0.01 * row.repeat,
    )


def make_coded(plan: Plan, *codecs: CodecName, weights: str = "file:0") -> list[Row]:
    """Make every row of a plan with each of the codecs."""
    return [with_codec(row, codec, weights=weights) for codec in codecs for row in make_rows(plan)]
